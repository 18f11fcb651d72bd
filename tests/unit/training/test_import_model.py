"""What the platforms say of an import, and what is refused before TensorFlow is imported."""

import dataclasses
import json
from pathlib import Path

import pytest
from made_models import checkpoint, graph, keras_file, member, saved_model, tar, tree

from trainer.cli.program import parse
from trainer.config.cluster import Cluster
from trainer.config.errors import UserError
from trainer.config.job import Job
from trainer.doctor.data import examine_data
from trainer.doctor.probes import Probes
from trainer.packaging.prepare import prepare_model
from trainer.platforms.base import Environment
from trainer.platforms.resolve import resolve_job
from trainer.training.import_model import import_model
from trainer.training.staging import staged_locally


def resolved(env, *argv, root):
    environment = Environment(env=env, argv=argv, root=root)
    return resolve_job(environment, parse(argv)).job


def sagemaker(tmp_path, *argv, channel="INPUT", **env):
    saved_model(tmp_path / "channel/1")
    variables = {
        "SM_MODEL_DIR": str(tmp_path / "model"),
        "SM_HOSTS": '["algo-1"]',
        "SM_CURRENT_HOST": "algo-1",
        f"SM_CHANNEL_{channel}": str(tmp_path / "channel"),
    }
    return resolved({**variables, **env}, *argv, root=tmp_path)


@pytest.mark.parametrize("channel", ["INPUT", "MODEL", "input"])
def test_a_channel_of_sagemaker_is_what_is_imported(tmp_path, channel):
    job = sagemaker(tmp_path, "--import", channel=channel)
    assert (job.import_model, job.input) == (True, str(tmp_path / "channel"))
    assert job.layout == "version"


def test_the_channel_named_input_comes_before_the_one_named_model(tmp_path):
    job = sagemaker(tmp_path, "--import", SM_CHANNEL_MODEL="/elsewhere")
    assert job.input == str(tmp_path / "channel")


@pytest.mark.parametrize("value", ["true", '"true"', "True"])
def test_a_hyperparameter_asks_for_it_too(tmp_path, value):
    hyperparameters = json.dumps({"import": value})
    assert sagemaker(tmp_path, SM_HPS=hyperparameters).import_model


def test_without_the_flag_a_channel_named_input_is_none_for_training(tmp_path):
    with pytest.raises(UserError, match=r"none of input is for training.*, or set .* import=true"):
        sagemaker(tmp_path)


def test_an_empty_channel_is_an_error(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"SM_CHANNEL_MODEL=.*empty: the channel is empty"):
        sagemaker(tmp_path, "--import", channel="X", SM_CHANNEL_MODEL=str(tmp_path / "empty"))


def test_a_packed_model_is_not_left_where_sagemaker_packs_it_again(tmp_path):
    with pytest.raises(UserError, match="--layout tar: SageMaker packs the model folder itself"):
        sagemaker(tmp_path, "--layout", "tar", "--import")


def test_on_vertex_the_model_lies_flat_and_comes_from_the_mounted_bucket(tmp_path):
    (tmp_path / "gcs/bucket").mkdir(parents=True)
    env = {"AIP_MODEL_DIR": "gs://bucket/job/model"}
    job = resolved(env, "--import", "--input", "gs://bucket/trained", root=tmp_path)
    assert job.input == str(tmp_path / "gcs/bucket/trained")
    assert job.model_dir == str(tmp_path / "gcs/bucket/job/model")
    assert job.layout == "flat"


def test_both_names_of_the_flag_mean_the_same(tmp_path):
    for flag in ("--import", "--import-model"):
        job = resolved({}, flag, "--input", "x", root=tmp_path)
        assert (job.import_model, job.input) == (True, "x")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("model", ("ok", "model, 3: saved_model")),
        ("none", ("problem", "not found; expected a SavedModel folder")),
        ("s3://bucket/x", ("ok", "s3://bucket/x: in an object store, 1 object, 7 B")),
        (None, ("problem", "not given")),
    ],
)
def test_doctor_looks_at_the_model_and_not_at_training_data(tmp_path, source, expected):
    saved_model(tmp_path / "model/3")
    path = source if source is None or "://" in source else str(tmp_path / source)
    probes = Probes(list_store=lambda url, flag, among: {"model.tar.gz": 7})
    (finding,) = examine_data(Job(import_model=True, input=path), probes, unknown=())
    assert finding.about == "--input"
    assert finding.level == expected[0]
    assert expected[1] in finding.text


def run(job: Job) -> None:
    with staged_locally(job) as stage:
        import_model(stage)


def job(tmp_path, source, **more):
    return Job(import_model=True, input=str(source), model_dir=str(tmp_path / "out/model"), **more)


def test_nothing_to_import_is_an_error(tmp_path):
    with pytest.raises(UserError, match="--import: there is no model: name a channel `input`"):
        run(dataclasses.replace(job(tmp_path, "x"), input=None))


def test_only_the_first_of_several_hosts_imports(tmp_path, capsys):
    two = Cluster(chief=("a",), worker=("b",), role="worker", index=0)
    run(job(tmp_path, saved_model(tmp_path / "1"), cluster=two))
    assert not (tmp_path / "out").exists()
    assert "the first host does it" in capsys.readouterr().out


def test_a_model_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(UserError, match=r"--model-dir .*: cannot be written"):
        run(job(tmp_path, saved_model(tmp_path / "1")))


def several(folder):
    saved_model(folder / "a/1")
    saved_model(folder / "b/1")


def twice_packed(folder):
    tar(folder / "inner.tar.gz", member("x"))
    tar(folder / "model.tar.gz", member("inner.tar.gz", (folder / "inner.tar.gz").read_bytes()))
    (folder / "inner.tar.gz").unlink()


BAD = {
    "nothing": (lambda folder: None, "holds no model: .* found nothing"),
    "several": (several, "holds several models"),
    "mxnet": (lambda folder: checkpoint(folder, "model"), "an MXNet model; expected"),
    "not for serving": (
        lambda folder: saved_model(folder / "1", graph("s", tags=("train",))),
        "its tags are train",
    ),
    "no signature": (lambda folder: saved_model(folder / "1", graph()), "no signature to call"),
    "no graph": (lambda folder: saved_model(folder / "1", b"text"), "damaged, or no SavedModel"),
    "no archive": (
        lambda folder: (folder / "model.tar.gz").write_text("x"),
        "not a whole tar file",
    ),
    "packed twice": (twice_packed, r"model\.tar\.gz: holds no model: .* found inner\.tar\.gz"),
    "escape": (
        lambda folder: tar(folder / "model.tar.gz", member("../../x")),
        "its member '../../x' is outside the folder",
    ),
}


@pytest.mark.parametrize(("make", "expected"), BAD.values(), ids=BAD)
def test_what_is_no_servable_model_is_one_line_and_leaves_the_model_folder_empty(
    tmp_path, make, expected
):
    (tmp_path / "channel").mkdir()
    make(tmp_path / "channel")
    with pytest.raises(UserError, match=f"--input .*channel.*: .*{expected}") as caught:
        run(job(tmp_path, tmp_path / "channel"))
    assert "\n" not in str(caught.value)
    assert tree(tmp_path / "out") == {}


def test_a_channel_with_one_archive_is_unpacked_with_its_code(tmp_path):
    source = saved_model(tmp_path / "source")
    parts = [member(f"export/Servo/17/{name}", raw) for name, raw in tree(source).items()]
    (tmp_path / "channel").mkdir()
    tar(tmp_path / "channel/model.tar.gz", *parts, member("code/inference.py", b"#"))
    with prepare_model(tmp_path / "channel", name="x", scratch=tmp_path) as model:
        assert {name: file.read_bytes() for name, file in model.files.items()} == tree(source)
        assert model.version == 17
        assert model.origin == "channel/model.tar.gz/export/Servo/17"
        assert model.code is not None
        assert tree(model.code) == {"inference.py": b"#"}
    assert {path.name for path in tmp_path.iterdir()} == {"source", "channel"}


def test_the_folder_that_is_named_tells_the_version_also_from_inside(tmp_path, monkeypatch):
    monkeypatch.chdir(saved_model(tmp_path / "5"))
    with prepare_model(Path(), name="x", version=5) as model:
        assert model.version == 5


def test_a_version_is_not_given_to_a_model_that_has_another(tmp_path):
    source = saved_model(tmp_path / "5")
    with (
        pytest.raises(UserError, match="--version 7: x has 5"),
        prepare_model(source, name="x", version=7),
    ):
        pass


def test_a_keras_file_by_another_name_is_an_error(tmp_path):
    source = keras_file(tmp_path / "net.zip")
    with (
        pytest.raises(UserError, match=r"^x: .*rename it to net\.keras"),
        prepare_model(source, name="x"),
    ):
        pass


@pytest.mark.parametrize("place", ["5", "export/Servo/5", ""])
def test_a_folder_is_read_where_it_is(tmp_path, place):
    model_files = tree(saved_model(tmp_path / "model" / place))
    (tmp_path / "model/code").mkdir()
    (tmp_path / "model/code/inference.py").write_text("#")
    with prepare_model(tmp_path / "model", name="x") as model:
        found = {name.removeprefix(f"{place}/"): raw for name, raw in model_files.items()}
        assert set(model.files) == set(found)
        assert model.version == (5 if place else None)
        assert model.code == tmp_path / "model/code"
    with prepare_model(tmp_path / "model" / place, name="x") as model:
        assert model.version == (5 if place else None)
