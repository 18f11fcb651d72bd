import pytest

from trainer.cli import program
from trainer.config.job import Job
from trainer.platforms.base import Environment


def test_debug_is_a_flag_of_containers_too_and_reaches_what_they_start(tmp_path):
    environment = Environment(env={}, argv=["--debug", "--steps", "3"], root=tmp_path)
    prepared = program.prepare(environment)
    assert prepared.command.argv[-3:] == ("--debug", "--steps", "3")


@pytest.mark.parametrize("argv", [("--train", "train"), ("train", "--train", "train", "--dry-run")])
def test_a_folder_may_have_the_name_of_the_verb(argv):
    command = program.command(Environment(env={}, argv=argv))
    assert command.argv[1:] == ("-m", "trainer", "train", "--train", "train")


def test_a_preview_of_a_users_script_takes_the_whole_command_line(tmp_path):
    (tmp_path / "model").mkdir()
    env = {
        "SM_MODEL_DIR": str(tmp_path / "model"),
        "SM_HOSTS": '["algo-1"]',
        "SM_CURRENT_HOST": "algo-1",
        "SAGEMAKER_PROGRAM": "train.py",
    }
    environment = Environment(env=env, argv=("train", "--dry-run"), root=tmp_path)
    (script,) = program.preview(environment, Job())
    assert script.argv[1:] == ("train.py",)
