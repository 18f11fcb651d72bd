from pathlib import Path

import pytest

from trainer.config.cluster import Cluster
from trainer.config.errors import UserError
from trainer.config.job import Job
from trainer.config.trial import Trial
from trainer.data import selection
from trainer.training import preflight


def test_nothing_given_is_synthetic_data_and_the_folders_are_made(tmp_path):
    preflight.check(Job(model_dir=str(tmp_path / "a" / "model")))
    assert list((tmp_path / "a" / "model").iterdir()) == []


def test_whoever_writes_nothing_needs_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    worker = Cluster(chief=("a",), worker=("b",), role="worker")
    preflight.check(Job(model_dir=str(tmp_path / "file" / "model"), cluster=worker))
    preflight.check(Job(model_dir=str(tmp_path / "model"), cluster=worker))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_metrics_go_beside_the_model_folder_unless_a_place_is_named(tmp_path):
    assert preflight.output_dir(Job(model_dir=str(tmp_path / "model"))) == tmp_path
    assert preflight.output_dir(Job(output_dir="out")) == Path("out")


@pytest.mark.parametrize("field", ["model_dir", "output_dir", "checkpoint_dir", "log_dir"])
def test_a_folder_that_cannot_be_written_names_its_flag(tmp_path, field):
    # A folder below a file: not even root can make it.
    (tmp_path / "file").write_text("")
    folders = {"model_dir": str(tmp_path / "model"), field: str(tmp_path / "file" / "x")}
    with pytest.raises(UserError, match=f"--{field.replace('_', '-')} .*cannot be written"):
        preflight.check(Job(**folders))


def test_the_test_split_may_lie_among_the_training_data(mnist_dir):
    assert selection.test_paths(Job(train=(str(mnist_dir),))) == (str(mnist_dir),)


def test_training_data_without_a_test_split_is_enough(mnist_dir, tmp_path):
    job = Job(train=(str(mnist_dir / "train-images-idx3-ubyte.gz"),), model_dir=str(tmp_path))
    preflight.check(job)
    assert selection.test_paths(job) is None


@pytest.mark.parametrize(
    ("asked", "mistake"),
    [
        ({"target_accuracy": 0.9}, "--target-accuracy 0.9: needs an accuracy"),
        ({"trial": Trial(number="7")}, "tuning job: needs an accuracy"),
    ],
)
def test_what_needs_an_accuracy_needs_test_data(mnist_dir, tmp_path, asked, mistake):
    file = str(mnist_dir / "train-images-idx3-ubyte.gz")
    with pytest.raises(UserError, match=f"{mistake}, .* name some with --test"):
        preflight.check(Job(train=(file,), model_dir=str(tmp_path), **asked))


def test_test_data_alone_asks_for_training_data(mnist_dir, tmp_path):
    with pytest.raises(UserError, match="--train: not given"):
        preflight.check(Job(test=(str(mnist_dir),), model_dir=str(tmp_path)))
