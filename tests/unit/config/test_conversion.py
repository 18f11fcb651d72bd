import pytest

from trainer.cli import command_line
from trainer.config.errors import UserError
from trainer.config.flags import add_flags, job_from_flags
from trainer.config.hparams import Hparams
from trainer.config.job import Job
from trainer.config.options import flag_of
from trainer.config.parser import Parser
from trainer.platforms.coerce import coerce_value, known_options
from trainer.serving import settings

NUMBERS = sorted(name for name, (_, kind) in known_options().items() if kind in (int, float))
BOOLEANS = sorted(name for name, (_, kind) in known_options().items() if kind is bool)


def from_flag(name: str, text: str):
    parser = Parser(prog="trainer train", allow_abbrev=False)
    add_flags(parser, Hparams, Job)
    job = job_from_flags(vars(parser.parse_args([f"{flag_of(name)}={text}"])))
    return getattr(job if name in Job.__dataclass_fields__ else job.hparams, name)


def either(read, *args):
    """Return the value and its type, or that it is refused."""
    try:
        value = read(*args)
    except UserError:
        return "refused"
    return value, type(value)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize(
    "text",
    [
        "None",
        "",
        '"1"',
        "1",
        "1.0",
        "1e0",
        "0.5",
        "+1",
        " 1 ",
        "1_0",
        "64.5",
        "-1",
        "nan",
        "1e400",
        "ten",
        "0x1",
    ],
)
def test_a_flag_takes_the_numbers_that_a_hyperparameter_takes(name, text):
    where = f"hyperparameter {name}"
    default = getattr(Job() if name in Job.__dataclass_fields__ else Job().hparams, name)
    value = either(lambda: coerce_value(name, text, where=where))
    # What says nothing leaves the default.
    assert either(from_flag, name, text) == (
        (default, type(default)) if value[0] is None else value
    )


@pytest.mark.parametrize("name", BOOLEANS)
@pytest.mark.parametrize("text", ["True", "true", "False", "false", "yes", "1", "2"])
def test_a_flag_takes_the_booleans_that_a_hyperparameter_takes(name, text):
    where = f"hyperparameter {name}"
    assert either(from_flag, name, text) == either(lambda: coerce_value(name, text, where=where))


@pytest.mark.parametrize("name", ["precision", "distribution", "layout", "model_dir", "log_dir"])
@pytest.mark.parametrize("text", ["None", "null", "", '"flat"', "flat", "Flat", "none", "tar"])
def test_a_flag_takes_the_texts_that_a_hyperparameter_takes(name, text):
    where = f"hyperparameter {name}"
    default = getattr(Job() if name in Job.__dataclass_fields__ else Job().hparams, name)
    value = either(lambda: coerce_value(name, text, where=where))
    # What says nothing leaves the default.
    assert either(from_flag, name, text) == (
        (default, type(default)) if value[0] is None else value
    )


def test_a_boolean_flag_may_stand_alone_or_be_denied():
    parser = Parser(prog="trainer train")
    add_flags(parser, Hparams, Job)
    for argv, expected in (
        (["--autotune"], True),
        (["--no-autotune"], False),
        (["--autotune", "False"], False),
        (["--no-autotune=false"], True),
        (["--autotune", "--steps", "3"], True),
    ):
        assert parser.parse_args(argv).autotune is expected


def test_whole_numbers_of_the_server_may_be_written_as_floats():
    parser = Parser(prog="trainer serve")
    add_flags(parser, settings.Settings)
    args = parser.parse_args(["--port", "81e2", "--max-batch=8.0", "--access-log=False"])
    found = settings.from_flags(
        vars(args),
        env={"SAGEMAKER_TFS_NUM_BATCH_THREADS": "2.0"},
        sagemaker_dir=settings.Path("/-"),
    )
    assert (found.port, found.max_batch, found.access_log) == (8100, 8, False)
    assert found.batch_threads == 2


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["data", "create", "--out", "x", "--shards", "1.5"], "--shards: expected a whole number"),
        (["data", "mnist", "--out", "x", "--timeout", "soon"], "--timeout: expected a number"),
        (["package", "--version", "new"], "--version: expected a whole number, found 'new'"),
        (["serve", "--port=80.5"], "--port: expected a whole number, found '80.5'"),
        (["train", "--autotune=maybe"], "autotune: expected true or false, found 'maybe'"),
    ],
)
def test_each_verb_says_what_it_expected(capsys, argv, expected):
    assert command_line.main(argv) == 2
    assert expected in capsys.readouterr().err
