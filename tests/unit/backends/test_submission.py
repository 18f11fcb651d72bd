import re
from dataclasses import dataclass

import pytest

from trainer.backends import Backend, SubmitOptions, make_submission
from trainer.config import UserError


@dataclass(frozen=True, kw_only=True)
class NoOptions:
    """A place without options."""


def refuse(*_):
    raise AssertionError("nothing is sent")


PLACE = Backend(
    name="place", options=NoOptions, connection=(), request=refuse, forms={}, connect=refuse,
)  # fmt: skip


def made(values=None, environ=None, **options):
    return make_submission(
        PLACE, SubmitOptions(**{"image": "i:1"} | options), values or {}, environ or {}
    )


def test_only_what_was_given_is_passed_on():
    submission = made({"model": "fast", "epochs": 2.0, "train": ("s3://b/x", "s3://b/y")})
    assert submission.given == {"model", "epochs", "train"}
    assert submission.arguments(without=["train"]) == ["--model", "fast", "--epochs", "2"]


def test_a_name_sorts_by_time_and_has_the_model_in_it():
    assert re.fullmatch(r"trainer-fast-\d{8}-\d{6}-[0-9a-f]{4}", made({"model": "fast"}).name)
    assert made({"module": "my/Net_2.py"}).name.startswith("trainer-net-2-")
    assert made(name="mine").name == "mine"


@pytest.mark.parametrize(
    ("text", "seconds"), [("90m", 5400), ("2h", 7200), ("1d12h", 129600), ("45", 45), ("30s", 30)]
)
def test_times_are_written_as_people_do(text, seconds):
    assert made(max_time=text).max_seconds == seconds


def test_the_strategy_follows_from_the_hosts():
    assert made().strategy == "none"
    assert made(hosts=2).strategy == "multi_worker_mirrored"
    assert made(parameter_servers=1).strategy == "parameter_server"
    assert made({"distribution": "horovod"}, hosts=2).strategy == "horovod"


def test_the_secret_comes_from_the_environment_and_is_not_shown():
    submission = made(environ={"TRAINER_SECRET": "hunter2-is-secret"})
    assert submission.secret == "hunter2-is-secret"
    assert "hunter2" not in repr(submission)


@pytest.mark.parametrize(
    ("values", "options", "expected"),
    [
        ({}, {"image": None}, "--image: place pulls the image from a registry, and none is named"),
        ({}, {"max_time": "soon"}, "--max-time soon: expected a time above 0"),
        ({}, {"max_time": "0h"}, "--max-time 0h: expected a time above 0"),
        ({}, {"tags": ("team",)}, "--tags team: expected NAME=VALUE"),
        ({}, {"env": ("A=1", "A=2")}, "--env A: given twice, with other values"),
        ({"distribution": "none"}, {"hosts": 2}, "--hosts 2: --distribution none trains on one"),
        ({"distribution": "horovod"}, {"hosts": 2, "parameter_servers": 1}, "--parameter-servers"),
        ({}, {"hosts": 2, "evaluators": 1}, "--evaluators 1: --distribution multi_worker_mirrored"),
    ],
)
def test_a_job_that_cannot_run_is_refused_before_anything_is_sent(values, options, expected):
    with pytest.raises(UserError) as error:
        made(values, **options)
    assert expected in str(error.value)
