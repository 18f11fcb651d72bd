import numpy as np
import pytest
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

from trainer.config.errors import UserError
from trainer.config.hparams import Hparams
from trainer.config.job import Job
from trainer.data.files import open_tables
from trainer.training import preflight
from trainer.training.loop import train_and_evaluate

pytestmark = pytest.mark.tensorflow


def job(tmp_path, **fields) -> Job:
    for split in ("train", "test"):
        images, labels = open_tables([], split=split)[0].read(0, 100)
        np.save(tmp_path / f"{split}_images.npy", images)
        np.save(tmp_path / f"{split}_labels.npy", labels)
    hparams = Hparams(model="fast", precision="float32", batch_size=20)
    folders = {"model_dir": str(tmp_path / "model"), "log_dir": str(tmp_path / "logs")}
    return Job(hparams=hparams, train=(str(tmp_path),), steps=8, log_every=4, **folders, **fields)


def test_the_steps_asked_for_are_profiled_into_the_log_folder(tmp_path, capsys):
    train_and_evaluate(job(tmp_path, profile="3:5"))
    (trace,) = (tmp_path / "logs").rglob("*.xplane.pb")
    assert trace.stat().st_size > 1000
    assert f"profile of steps 3 to 5: {tmp_path}/logs" in capsys.readouterr().out
    scalars = EventAccumulator(str(tmp_path / "logs")).Reload()
    assert [point.step for point in scalars.Tensors("learning_rate")] == [4, 8]


def test_steps_that_the_run_does_not_have_are_one_line(tmp_path):
    with pytest.raises(UserError, match=r"^--profile 7:9: the run has 8 steps"):
        train_and_evaluate(job(tmp_path, profile="7:9"))


def test_a_profile_without_a_log_folder_is_one_line(tmp_path):
    asked = Job(profile="3:5", model_dir=str(tmp_path / "model"))
    with pytest.raises(UserError, match=r"^--profile 3:5: no --log-dir is given"):
        preflight.check_outputs(asked)


@pytest.mark.parametrize("text", ["5:3", "0:3", "3", "a:b", "3:", ":", "1:2:3", "-1:4"])
def test_a_malformed_range_is_one_line(text):
    with pytest.raises(UserError, match=r"^--profile .*: expected FIRST:LAST"):
        Job(profile=text)
