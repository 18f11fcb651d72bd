import dataclasses

import pytest

from trainer.config.errors import UserError
from trainer.config.hparams import Hparams
from trainer.config.job import Job
from trainer.config.options import options_of


def test_a_job_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Job().steps = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("part", "field", "value", "expected"),
    [
        (Hparams, "batch_size", 0, "--batch-size 0: expected a number of 1 to 65536"),
        (Hparams, "batch_size", "many", "--batch-size many: expected a whole number"),
        (Hparams, "batch_size", 1.5, "--batch-size 1.5: expected a whole number"),
        (Hparams, "dropout", [0.5], "--dropout [0.5]: expected a number"),
        (Job, "steps", True, "--steps True: expected a whole number"),
        (Job, "report", "no", "--report no: expected true or false"),
        (Hparams, "learning_rate", 0.0, "--learning-rate 0.0: expected a number above 0"),
        (Hparams, "learning_rate", float("nan"), "--learning-rate nan: expected a number above 0"),
        (Hparams, "dropout", 1.5, "--dropout 1.5: expected a number of 0 to 0.99"),
        (Hparams, "model", "resnet", "--model resnet: expected one of cnn, fast, sagemaker-cnn"),
        (Hparams, "seed", -1, "--seed -1: expected a number of 0 to"),
        (Job, "steps", 0, "--steps 0: expected a number of 1 or more"),
        (Job, "epochs", float("inf"), "--epochs inf: expected a number above 0"),
        (Job, "target_accuracy", 1.01, "--target-accuracy 1.01: expected a number above 0 to 1"),
        (Job, "keep", 0, "--keep 0: expected a number of 1 or more"),
        (Job, "verbosity", "LOUD", "--verbosity LOUD: expected one of DEBUG, INFO"),
    ],
)
def test_a_value_out_of_range_names_flag_value_and_range(part, field, value, expected):
    with pytest.raises(UserError) as error:
        part_made = part(**{field: value})
        Job(hparams=part_made if part is Hparams else Hparams())
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_steps_and_epochs_exclude_each_other():
    with pytest.raises(UserError, match=r"--steps 5 and --epochs 2: give one"):
        Job(steps=5, epochs=2)


def test_every_field_is_a_flag_with_help_but_for_what_a_platform_or_the_data_says():
    platform = {"platform", "cluster", "launched", "gpus", "trial", "stopped_code", "grace"}
    platform |= {"failure_file", "late_evaluators", "gpu_expected", "secret"}
    from_data = {"input_shape", "classes"}
    for part in (Job, Hparams):
        names = {f.name for f in dataclasses.fields(part)} - platform - {"hparams"}
        names -= from_data if part is Hparams else set()
        assert names == set(options_of(part))
        assert all(option.help for option in options_of(part).values())


@pytest.mark.parametrize("name", ["timeline", "autotune_log"])
def test_what_horovod_writes_itself_goes_to_no_store(name):
    with pytest.raises(UserError, match=r"^--[a-z-]+ s3://b/x: expected a local path$"):
        Job(**{name: "s3://b/x"})
