import json

import pytest

from trainer.config.errors import UserError
from trainer.doctor import dry_run
from trainer.launch.launcher import preview_commands
from trainer.launch.supervise.api import Command
from trainer.platforms.base import Environment
from trainer.platforms.resolve import resolve_job
from trainer.sagemaker.mpi.mpi_job import read as read_mpi
from trainer.sagemaker.script_mode import arguments

SAGEMAKER = {"SM_MODEL_DIR": "/m", "SM_HOSTS": '["algo-1"]', "SM_CURRENT_HOST": "algo-1"}


def environment(tmp_path, *, env=None, **hyperparameters):
    given = {**SAGEMAKER, "SM_HPS": json.dumps(hyperparameters)} if hyperparameters else {}
    return Environment(env={**given, **(env or {})}, root=tmp_path)


@pytest.mark.parametrize(
    ("env", "hyperparameters", "secret", "source"),
    [
        ({"TRAINER_SECRET": "from-env"}, {}, "from-env", "TRAINER_SECRET"),
        ({}, {"trainer_secret": "as-sent"}, "as-sent", "hyperparameter trainer_secret"),
        ({}, {"trainer-secret": '"as-sent"'}, "as-sent", "hyperparameter trainer-secret"),
        ({}, {"TRAINER_SECRET": 12345678}, "12345678", "hyperparameter TRAINER_SECRET"),
        ({"TRAINER_SECRET": "a"}, {"trainer_secret": "b"}, "a", "TRAINER_SECRET"),
        ({"TRAINER_SECRET": ""}, {"trainer_secret": "null"}, None, None),
    ],
)
def test_the_secret_is_a_variable_or_a_hyperparameter(
    tmp_path, env, hyperparameters, secret, source
):
    found = resolve_job(environment(tmp_path, env=env, **hyperparameters), {})
    assert found.job.secret == secret
    assert found.sources.get("secret") == source
    assert "hp" not in found.sources


def test_a_secret_that_is_no_text_is_reported(tmp_path):
    with pytest.raises(UserError, match="hyperparameter trainer_secret: expected a text"):
        resolve_job(environment(tmp_path, trainer_secret=["a"]), {})


def test_it_is_shown_nowhere_and_processes_are_started_without_it(tmp_path):
    env = {"TRAINER_SECRET": "x7Q-s3cret", "PATH": "/bin"}
    found = resolve_job(
        environment(tmp_path, env=env), {"distribution": "horovod", "processes_per_host": 2}
    )
    commands = preview_commands(found.job, Command(argv=("python",), env=env, name="trainer"))
    for command in commands:
        assert "x7Q-s3cret" not in repr(dict(command.env))
    for shown in (
        repr(found.job),
        dry_run.describe(found, commands=commands, env=env),
        json.dumps(dry_run.as_dict(found, commands=commands, env=env)),
    ):
        assert "x7Q" not in shown
    assert "secret = ***  (TRAINER_SECRET)" in dry_run.describe(found, commands=[], env=env)


def test_a_users_script_gets_no_argument_of_it(tmp_path):
    assert arguments({"trainer_secret": "x", "rate": "1"}) == ("--rate", "1")
    found = read_mpi(
        environment(
            tmp_path, trainer_secret="x", sagemaker_mpi_enabled=True, sagemaker_program="x.py"
        ),
        {},
    )
    assert found is not None
    assert found.group.secret == "x"
