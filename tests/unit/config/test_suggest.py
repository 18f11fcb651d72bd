import pytest

from trainer.config.flags import add_flags
from trainer.config.hparams import Hparams
from trainer.config.job import Job
from trainer.config.parser import Parser
from trainer.config.suggest import ELSEWHERE, closest_name, suggestion

NAMES = ["--batch-size", "--learning-rate", "--steps", "--eval-batch-size"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("--batchsize", "--batch-size"),
        ("batch_size", "--batch-size"),
        ("--LR", "--learning-rate"),
        ("--learningrate", "--learning-rate"),
        ("--step", "--steps"),
        ("--max_steps", "--steps"),
        ("--colour", None),
        ("--data-dir", None),
    ],
)
def test_the_name_that_was_meant_is_found(name, expected):
    assert closest_name(name, NAMES) == expected


def test_nothing_is_suggested_where_nothing_resembles_the_name():
    assert suggestion("--zzz", NAMES) == ""
    assert suggestion("--lr", NAMES) == ", did you mean --learning-rate?"


def test_every_name_of_another_tool_leads_to_a_flag_of_some_verb():
    parser = Parser(prog="trainer train")
    add_flags(parser, Hparams, Job)
    flags = {option.removeprefix("--") for option in parser._option_string_actions}
    assert set(ELSEWHERE.values()) <= flags | {"shards", "source", "out"}
    assert not set(ELSEWHERE) & flags
