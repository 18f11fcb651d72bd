"""Packing, inspecting and importing real models, as people and platforms do it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from made_models import checkpoint, tree
from processes import environment, run, trainer
from tensorflow.core.protobuf import saved_model_pb2

from trainer.models import mnist
from trainer.packaging import saved_model
from trainer.packaging.contents import read_contents
from trainer.packaging.inspection import inspect
from trainer.packaging.save import save_model
from trainer.packaging.tarball import write_tarball
from trainer.storage.archive import unpack_archive

ROOT = Path(__file__).parent.parent.parent
SAGEMAKER = [sys.executable, "-u", str(ROOT / "entrypoints/sagemaker"), "train"]
AI_PLATFORM = [sys.executable, "-u", str(ROOT / "entrypoints/ai_platform")]
HANDLERS = "def handler(data, context):\n    return data, 'application/json'\n"
IMAGES = np.random.default_rng(0).random((3, 28, 28, 1), np.float32)


@pytest.fixture(scope="module")
def net() -> keras.Model:
    """From images to ten numbers."""
    keras.config.set_dtype_policy("float32")
    layers = [keras.Input((28, 28, 1), name="image_input"), keras.layers.Flatten()]
    return keras.Sequential([*layers, keras.layers.Dense(10)])


@pytest.fixture(scope="module")
def servo(net: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree as SageMaker's estimators leave it, the newest version trained."""
    folder = tmp_path_factory.mktemp("trained")
    for version in ("8", "17"):
        place = folder / "export/Servo" / version
        save_model(net, place, signatures=mnist.serving_input_fn(net))
    return folder


def ask(folder: Path, images: np.ndarray = IMAGES) -> np.ndarray:
    loaded = tf.saved_model.load(str(folder))
    return loaded.signatures["serving_default"](image_input=images)["probabilities"].numpy()


def expected(net: keras.Model) -> np.ndarray:
    return tf.nn.softmax(net(IMAGES)).numpy()


def same(found: object, proto: object) -> None:
    """What is read without TensorFlow is what its own classes say."""
    assert sorted(proto) == [tensor.name for tensor in found]
    for tensor in found:
        info = proto[tensor.name]
        assert tf.as_dtype(info.dtype).name == tensor.dtype
        assert tensor.shape is not None
        assert [dim.size for dim in info.tensor_shape.dim] == [
            -1 if size is None else size for size in tensor.shape
        ]


def test_signatures_are_those_that_tensorflow_reads(servo: Path):
    raw = (servo / "export/Servo/17/saved_model.pb").read_bytes()
    (meta,) = saved_model_pb2.SavedModel.FromString(raw).meta_graphs
    found = saved_model.parse(raw, name="m")
    assert list(meta.meta_info_def.tags) == list(found.tags)
    assert meta.meta_info_def.tensorflow_version == found.tensorflow == tf.__version__
    assert {s.name for s in found.signatures} == {
        *("serving_default", "serving_bytes", "serving_examples")
    }
    for signature in found.signatures:
        expected = meta.signature_def[signature.name]
        assert signature.method == expected.method_name
        same(signature.inputs, expected.inputs)
        same(signature.outputs, expected.outputs)


def test_every_type_has_the_name_that_tensorflow_gives_it():
    for number, name in saved_model.DTYPES.items():
        assert tf.as_dtype(number).name == name


def test_a_saved_model_of_tensorflow_1_is_read():
    text = """
        saved_model_schema_version: 1
        meta_graphs { meta_info_def { tags: "serve" } signature_def { key: "serving_default" value {
          method_name: "tensorflow/serving/classify"
          inputs { key: "inputs" value {
            name: "x:0" dtype: DT_STRING tensor_shape { dim { size: -1 } }
          } }
          outputs { key: "scores" value {
            dtype: DT_FLOAT_REF tensor_shape { unknown_rank: true }
          } }
        } } }
    """
    proto = text_format.Parse(text, saved_model_pb2.SavedModel())
    (signature,) = saved_model.parse(proto.SerializeToString(), name="m").signatures
    assert signature.method == "tensorflow/serving/classify"
    assert [str(t) for t in (*signature.inputs, *signature.outputs)] == [
        "inputs string [?]",
        "scores float32 any shape",
    ]


def test_a_servo_tree_becomes_an_archive_with_its_newest_version_and_code(
    servo: Path, net: keras.Model, tmp_path: Path
):
    (tmp_path / "code").mkdir()
    (tmp_path / "code/inference.py").write_text(HANDLERS)
    (tmp_path / "code/requirements.txt").write_text("numpy\n")
    argv = ["package", "--source", str(servo), "--code", str(tmp_path / "code")]
    for name in ("a", "b"):
        ran = trainer(*argv, "--out", str(tmp_path / f"{name}.tar.gz"))
        assert ran.returncode == 0, ran.stderr
    assert "taken by SageMaker TensorFlow" in ran.stdout
    assert (tmp_path / "a.tar.gz").read_bytes() == (tmp_path / "b.tar.gz").read_bytes()
    unpack_archive(tmp_path / "a.tar.gz", tmp_path / "out", name="a")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["17", "code"]
    assert tree(tmp_path / "out/17") == tree(servo / "export/Servo/17")
    np.testing.assert_allclose(ask(tmp_path / "out/17"), expected(net), atol=1e-6)

    # Packed again, for the layout of old and with another version, code is kept.
    again = ["--source", str(tmp_path / "a.tar.gz"), "--layout", "servo"]
    ran = trainer("package", *again, "--out", str(tmp_path / "c.tar.gz"))
    assert ran.returncode == 0, ran.stderr
    names = set(read_contents(tmp_path / "c.tar.gz").sizes)
    assert {"export/Servo/17/saved_model.pb", "code/inference.py"} < names


def test_a_keras_file_becomes_servable_with_its_own_signatures_or_those_of_a_module(
    net: keras.Model, tmp_path: Path
):
    net.save(tmp_path / "net.keras")
    out = tmp_path / "plain.tar.gz"
    ran = trainer("package", "--source", str(tmp_path / "net.keras"), "--out", str(out))
    assert ran.returncode == 0, ran.stderr
    unpack_archive(out, tmp_path / "plain", name="m")
    loaded = tf.saved_model.load(str(tmp_path / "plain/1"))
    answer = loaded.signatures["serving_default"](image_input=IMAGES)
    np.testing.assert_allclose(next(iter(answer.values())), net(IMAGES), atol=1e-5)

    out = tmp_path / "module.tar.gz"
    argv = ["--source", str(tmp_path / "net.keras"), "--module", "trainer.model", "--version", "5"]
    ran = trainer("package", *argv, "--out", str(out))
    assert ran.returncode == 0, ran.stderr
    names = [s.name for model in inspect(out).models for s in model.signatures]
    assert names == ["serving_bytes", "serving_default", "serving_examples"]
    unpack_archive(out, tmp_path / "module", name="m")
    np.testing.assert_allclose(ask(tmp_path / "module/5"), expected(net), atol=1e-5)


def test_code_in_a_keras_file_is_not_run(tmp_path: Path):
    layers = [keras.Input((3,)), keras.layers.Lambda(lambda x: x * 2)]
    keras.Sequential(layers).save(tmp_path / "evil.keras")
    ran = trainer("package", "--source", str(tmp_path / "evil.keras"))
    assert ran.returncode == 2
    assert "cannot be loaded by Keras" in ran.stderr
    assert "Lambda" in ran.stderr
    assert ran.stderr.count("\n") == 1


LAYER = """
import keras
from trainer.models.mnist import input_fn, keras_model

@keras.saving.register_keras_serializable(package="Mine")
class Doubled(keras.layers.Layer):
    def call(self, rows):
        return 2 * rows

def serving_input_fn(model):
    import tensorflow as tf
    spec = tf.TensorSpec((None, 3), name="rows")
    return {"serving_default": tf.function(lambda rows: model(rows), input_signature=[spec])}
"""


def test_a_layer_of_ones_own_needs_the_module_that_has_it(tmp_path: Path):
    (tmp_path / "doubled.py").write_text(LAYER)
    env = {"PYTHONPATH": str(tmp_path)}
    make = "import doubled, keras; keras.Sequential([keras.Input((3,)), doubled.Doubled()])"
    argv = [sys.executable, "-c", f"{make}.save('net.keras')"]
    ran = run(argv, cwd=tmp_path, env=environment(env))
    assert ran.returncode == 0, ran.stderr
    source = ["package", "--source", str(tmp_path / "net.keras")]
    source += ["--out", str(tmp_path / "m.tar.gz")]
    ran = trainer(*source)
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
    assert "it needs Doubled, which Keras has not; name the module that registers it" in ran.stderr
    ran = trainer(*source, "--module", "doubled", env=env)
    assert ran.returncode == 0, ran.stderr
    assert "    in  rows float32 [?, 3]" in ran.stdout


def test_an_mxnet_checkpoint_is_packed_flat(tmp_path: Path):
    prefix = checkpoint(tmp_path / "mx", epochs=(3, 4))
    out = tmp_path / "model.tar.gz"
    argv = ["package", "--framework", "mxnet", "--source", str(prefix), "--out", str(out)]
    ran = trainer(*argv, "--input-shape", "data=1,3")
    assert ran.returncode == 0, ran.stderr
    assert "taken by SageMaker MXNet" in ran.stdout
    unpack_archive(out, tmp_path / "out", name="m")
    found = tree(tmp_path / "out")
    assert sorted(found) == ["model-0000.params", "model-shapes.json", "model-symbol.json"]
    assert found["model-0000.params"] == Path(f"{prefix}-0004.params").read_bytes()
    assert json.loads(found["model-shapes.json"]) == [{"name": "data", "shape": [1, 3]}]


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], "--source: not given"),
        (["--source", "x", "--inspect", "y"], "give one of them"),
        (["--source", "none"], "--source none: not found"),
        (["--source", "s3://bucket/x"], "--source s3://bucket/x: expected a local path"),
        (["--source", "x", "--out", "gs://b/m.tar.gz"], "expected a local path"),
        (["--source", "x", "--out", "m.zip"], "--out m.zip: expected a file name that ends"),
        (["--source", "x", "--framework", "torch"], "expected one of tensorflow, mxnet"),
        (["--source", "x", "--layout", "flat"], "--layout flat: expected one of version, servo"),
        (["--source", "x", "--version", "-1"], "--version -1: expected a number of 0 or more"),
        (["--source", "x", "--epoch", "3"], "--epoch: is for --framework mxnet only"),
        (["--source", "x", "--framework", "mxnet", "--version", "1"], "for --framework tensorflow"),
        (["--source", "x", "--framework", "mxnet"], "--input-shape: not given"),
        (["--source", "x", "--code", "none"], "--code none: not a folder"),
        (["--inspect", "none"], "none: not found"),
        (["--source", "x", "--code", "gs://b/c"], "--code gs://b/c: expected a local path"),
        (["--inspect", "s3://bucket/x"], "--inspect s3://bucket/x: expected a local path"),
        (["--source", "x", "--epoch", "0"], "--epoch: is for --framework mxnet only"),
    ],
)
def test_mistakes_are_one_line(argv, expected, capsys, tmp_path, monkeypatch):
    from trainer.cli.command_line import main

    monkeypatch.chdir(tmp_path)
    assert main(["package", *argv]) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert error.count("\n") == 1
    assert tree(tmp_path) == {}


def test_inspecting_needs_no_tensorflow_and_prints_json(servo: Path):
    program = (
        "import sys; from trainer.cli.command_line import main; main(sys.argv[1:]); "
        "assert not {'tensorflow', 'keras', 'numpy'} & set(sys.modules)"
    )
    argv = [sys.executable, "-c", program, "package", "--json", "--inspect", str(servo)]
    ran = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    contents = json.loads(ran.stdout)
    assert [model["version"] for model in contents["models"]] == [8, 17]


def job(base: Path, source: Path) -> dict[str, str]:
    """The folder /opt/ml of a job with a channel `input` and a hyperparameter `import`."""
    for folder in ("input/config", "input/data", "model", "output"):
        (base / folder).mkdir(parents=True)
    (base / "input/data/input").symlink_to(source)
    hosts = {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "eth0"}
    given = {"hyperparameters": {"import": "true"}, "inputdataconfig": {"input": {}}}
    for name, content in {**given, "resourceconfig": hosts}.items():
        (base / "input/config" / f"{name}.json").write_text(json.dumps(content))
    return environment({"SAGEMAKER_BASE_DIR": str(base), "TRAINING_JOB_NAME": "a-job"})


def start(argv: list[str], env: dict[str, str]) -> subprocess.CompletedProcess:
    return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=300, check=False)


def test_a_sagemaker_job_imports_what_its_channel_holds(
    servo: Path, net: keras.Model, tmp_path: Path
):
    pytest.importorskip("sagemaker_training")
    newest = servo / "export/Servo/17"
    packed = {f"9/{file.relative_to(newest)}": file for file in newest.rglob("*") if file.is_file()}
    (tmp_path / "channel").mkdir()
    write_tarball(
        tmp_path / "channel/model.tar.gz", packed | {"code/inference.py": HANDLERS.encode()}
    )
    ran = start(SAGEMAKER, job(tmp_path / "ml", tmp_path / "channel"))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    model = tmp_path / "ml/model"
    assert sorted(path.name for path in model.iterdir()) == ["1", "code"]
    assert tree(model / "1") == tree(newest)
    assert tree(model / "code") == {"inference.py": HANDLERS.encode()}
    np.testing.assert_allclose(ask(model / "1"), expected(net), atol=1e-6)
    report = json.loads((tmp_path / "ml/output/data/import.json").read_text())
    assert report["version"] == 9
    assert report["model_path"] == str(model / "1")
    assert {s["name"] for s in report["signatures"]} == {
        *("serving_default", "serving_bytes", "serving_examples")
    }
    assert not (tmp_path / "ml/output/failure").exists()


def test_a_model_that_tensorflow_cannot_load_fails_the_job_in_one_line(servo: Path, tmp_path: Path):
    pytest.importorskip("sagemaker_training")
    place = tmp_path / "channel/1"
    for name, raw in tree(servo / "export/Servo/17").items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        # All files are there, but half of the weights are not.
        (place / name).write_bytes(raw[: len(raw) // 2] if "data-" in name else raw)
    ran = start(SAGEMAKER, job(tmp_path / "ml", tmp_path / "channel"))
    assert ran.returncode == 2, ran.stdout + ran.stderr
    assert "cannot be loaded by TensorFlow" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert tree(tmp_path / "ml/model") == {}
    assert "cannot be loaded by TensorFlow" in (tmp_path / "ml/output/failure").read_text()


def test_a_vertex_job_imports_into_the_folder_that_is_registered(
    servo: Path, net: keras.Model, tmp_path: Path
):
    env = environment({"AIP_MODEL_DIR": str(tmp_path / "job/model")})
    ran = start([*AI_PLATFORM, "--import", "--input", str(servo)], env)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert tree(tmp_path / "job/model") == tree(servo / "export/Servo/17")
    np.testing.assert_allclose(ask(tmp_path / "job/model"), expected(net), atol=1e-6)
    assert (tmp_path / "job/import.json").exists()


def test_a_plain_machine_imports_a_keras_file(net: keras.Model, tmp_path: Path):
    net.save(tmp_path / "net.keras")
    argv = ["train", "--import", "--input", str(tmp_path / "net.keras"), "--layout", "servo"]
    ran = trainer(*argv, "--model-dir", str(tmp_path / "model"))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    loaded = tf.saved_model.load(str(tmp_path / "model/export/Servo/1"))
    answer = loaded.signatures["serving_default"](image_input=IMAGES)
    np.testing.assert_allclose(next(iter(answer.values())), net(IMAGES), atol=1e-5)
