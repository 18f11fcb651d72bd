import gc
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import tensorflow as tf

from trainer.runtime import precision, tensorflow
from trainer.runtime.processor import Processor

pytestmark = pytest.mark.tensorflow


def python(code: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_tensorflow_comes_quietly_with_the_threads_asked_for():
    ran = python(
        "from trainer.runtime.tensorflow import import_tensorflow\n"
        "tf = import_tensorflow(threads=1)\n"
        "print(tf.config.threading.get_intra_op_parallelism_threads())\n"
        "tf.matmul([[1.0]], [[1.0]])\n"
    )
    assert (ran.returncode, ran.stdout.split(), ran.stderr) == (0, ["1"], "")


def test_what_went_wrong_with_an_import_is_not_swallowed(tmp_path):
    (tmp_path / "tensorflow.py").write_text(
        "import os\nos.write(2, b'libcuda went missing')\nraise ImportError('broken')\n"
    )
    ran = python(
        "from trainer.runtime.tensorflow import import_tensorflow; import_tensorflow()",
        PYTHONPATH=str(tmp_path),
    )
    assert ran.returncode == 1
    assert "libcuda went missing" in ran.stderr
    assert "broken" in ran.stderr


KERAS = """
from trainer.runtime.tensorflow import import_tensorflow
import_tensorflow(say=print)
import keras
print(keras.backend.backend(), keras.config.floatx(), keras.config.epsilon(),
      keras.config.image_data_format())
"""
OWN = "tensorflow float32 1e-07 channels_last"


@pytest.mark.parametrize(
    ("settings", "environment", "not_used"),
    [
        ('{"backend": "torch", "epsilon": 0.1}', {}, "not used: backend=torch in "),
        ('{"epsilon": 0.1}', {}, "epsilon=0.1 in "),
        ('{"floatx": "float16", "image_data_format": "channels_first"}', {}, "floatx=float16"),
        ("{}", {"KERAS_BACKEND": "jax", "TF_USE_LEGACY_KERAS": "1"}, "KERAS_BACKEND=jax"),
        # For JAX alone: TensorFlow's backend would end the run.
        ('{"nnx_enabled": true}', {"KERAS_NNX_ENABLED": "true"}, "KERAS_NNX_ENABLED=true"),
        ("no JSON", {}, ""),
    ],
)
def test_settings_of_the_users_do_not_change_keras(tmp_path, settings, environment, not_used):
    (tmp_path / "keras.json").write_text(settings)
    ran = python(KERAS, KERAS_HOME=str(tmp_path), **environment)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == OWN
    assert not_used in ran.stdout


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look into any folder")
def test_a_folder_of_settings_that_is_closed_to_the_user_is_passed_over(tmp_path):
    (tmp_path / "closed").mkdir(mode=0o000)
    ran = python(KERAS, KERAS_HOME=str(tmp_path / "closed"))
    assert ran.stdout.splitlines()[-1] == OWN, ran.stderr


def test_settings_below_a_file_are_passed_over(tmp_path):
    (tmp_path / "file").touch()
    ran = python(KERAS, KERAS_HOME=str(tmp_path / "file"))
    assert ran.stdout.splitlines()[-1] == OWN, ran.stderr


@pytest.mark.parametrize("settings", ["[]", '{"floatx": "half"}'])
def test_settings_with_which_keras_does_not_start_are_named(tmp_path, settings):
    (tmp_path / "keras.json").write_text(settings)
    ran = python(KERAS, KERAS_HOME=str(tmp_path))
    assert ran.stderr.splitlines()[-1].startswith(
        f"trainer.config.errors.UserError: {tmp_path}/keras.json"
    )


def test_garbage_is_collected_again_afterwards():
    tensorflow.import_tensorflow()
    assert gc.isenabled()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [({"avx2", "avx512_bf16"}, "bfloat16"), ({"amx_bf16"}, "bfloat16"), ({"avx2"}, "float32")],
)
def test_a_processor_with_bfloat16_uses_it(monkeypatch, flags, expected):
    processor = Processor(model="x", flags=frozenset(flags))
    monkeypatch.setattr(precision, "read_processor", lambda: processor)
    assert precision.default_precision(tf) == expected


@pytest.mark.parametrize(
    ("capability", "expected"),
    [((9, 0), "bfloat16"), ((8, 0), "bfloat16"), ((7, 0), "float16"), ((6, 1), "float32")],
)
def test_a_gpu_uses_what_its_generation_has(monkeypatch, capability, expected):
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: ["gpu"])
    details = {"compute_capability": capability}
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: details)
    assert precision.default_precision(tf) == expected


@pytest.mark.parametrize(
    ("count", "device", "gpu", "chosen"),
    [
        (0, "auto", 3, None),
        (1, "auto", None, [0]),
        (4, "auto", None, [0, 1, 2, 3]),
        # Rank by rank; where each rank is shown a GPU of its own, as by Slurm, that one.
        (4, "auto", 0, [0]),
        (4, "auto", 3, [3]),
        (1, "auto", 3, [0]),
        (2, "auto", 3, [1]),
        (2, "cpu", 1, []),
        (2, "cpu", None, []),
    ],
)
def test_a_process_uses_the_gpus_that_are_its_own(count, device, gpu, chosen):
    calls = {"visible": None, "growth": [], "deterministic": False}
    gpus = list(range(count))
    config = SimpleNamespace(
        list_physical_devices=lambda kind: gpus,
        set_visible_devices=lambda those, kind: calls.update(visible=those),
        experimental=SimpleNamespace(
            set_memory_growth=lambda one, on: calls["growth"].append(one if on else None),
            enable_op_determinism=lambda: calls.update(deterministic=True),
        ),
    )
    tensorflow.choose_gpus(
        SimpleNamespace(config=config), device=device, gpu=gpu, deterministic=True
    )
    used = chosen or []
    assert calls["visible"] == (None if chosen is None or chosen == gpus else used)
    # None of them takes all of a GPU's memory.
    assert calls["growth"] == used
    assert calls["deterministic"] is bool(used)


def test_without_gpus_none_is_looked_for():
    ran = python(
        "from trainer.runtime.tensorflow import import_tensorflow\n"
        "tf = import_tensorflow(device='cpu', check=lambda tf: print('chosen'))\n"
        "import os; print(os.environ['CUDA_VISIBLE_DEVICES'])\n"
    )
    assert (ran.returncode, ran.stdout.split(), ran.stderr) == (0, ["chosen", "-1"], "")
