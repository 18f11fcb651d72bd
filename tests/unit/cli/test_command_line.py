import argparse
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from trainer import __version__
from trainer.cli import command_line
from trainer.cli.verbs import VERBS
from trainer.config import Parser
from trainer.storage.errors import StorageError

ROOT = Path(__file__).parents[3]
HELPS = [[], *(words.split() for words in VERBS), ["data"]]


@dataclass
class Toy:
    """A verb without flags."""

    run: Callable[[argparse.Namespace], int | None]
    HELP: str = "do it"
    EXAMPLES: str = "# do it\ntrainer toy\n"

    def add_flags(self, parser: Parser) -> None:
        pass


def raising(error: BaseException) -> dict[str, Toy]:
    def fail(args: argparse.Namespace) -> None:
        raise error

    return {"toy": Toy(run=fail)}


def run(capsys, *argv: str) -> tuple[int, str, str]:
    code = command_line.main(argv)
    out, err = capsys.readouterr()
    return code, out, err


def test_version_is_the_packages(capsys):
    with pytest.raises(SystemExit) as end:
        command_line.main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"trainer {__version__}\n"


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["trane"], "unknown command trane, did you mean train?; expected train, doctor"),
        (["--versoin"], "unknown argument --versoin, did you mean --version?"),
        (["data", "crate"], "unknown command crate, did you mean create?"),
        (["train", "--steps", "x"], "--steps: expected a whole number, found 'x'"),
        (["train", "--batchsize", "7"], "unknown argument --batchsize, did you mean --batch-size?"),
        (["train", "--lr=0.1"], "unknown argument --lr, did you mean --learning-rate?"),
        (["train", "--learning_rates", "1"], "did you mean --learning-rate? (see trainer train"),
        (["doctor", "--Batch-Size", "7"], "did you mean --batch-size? (see trainer doctor --help"),
        (["serve", "--maxbatch", "8"], "did you mean --max-batch? (see trainer serve --help)"),
        (["package", "--sauce", "m"], "did you mean --source? (see trainer package --help)"),
        (["data", "create", "--out", "x", "--num_shards", "2"], "did you mean --shards?"),
        (["data", "mnist", "--out", "x", "--miror", "u"], "did you mean --mirror?"),
        (["train", "--token=hunter22"], "unknown argument --token (see trainer train --help)"),
        (["train", "--hp", "lr=1"], "--hp lr: only a model of your own (--module)"),
        (["train", "--epochs", "-1"], "--epochs -1.0: expected a number above 0"),
        (["train", "--train", "/nowhere"], "--train /nowhere: does not exist"),
        (["train", "--train", "/nowhere", "--test", "/nor"], "--train /nowhere: does not exist"),
        (["data", "create", "--out", "x", "--shards", "0"], "--shards 0: expected"),
        (["data", "create", "--out", "x", "--source", "/nowhere"], "--source /nowhere: does not"),
        (["data", "mnist", "--out", "x", "--timeout", "0"], "--timeout 0: expected"),
        (["data", "create"], "the following arguments are required: --out"),
    ],
)
def test_a_mistake_is_one_line_and_code_2(capsys, tmp_path, monkeypatch, argv, expected):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *argv)
    assert (code, out) == (2, "")
    assert err.startswith("trainer: error: ")
    assert err.count("\n") == 1
    assert expected in err
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_where_beside_the_line(capsys):
    code, _, err = run(capsys, "train", "--debug", "--steps", "0")
    assert code == 2
    assert err.startswith("Traceback (most recent call last):\n")
    assert err.splitlines()[-1] == "trainer: error: --steps 0: expected a number of 1 or more"


def test_a_failure_that_is_not_the_users_is_one_line_and_code_1(capsys):
    assert command_line.main(["toy"], verbs=raising(ValueError("many\nlines"))) == 1
    err = capsys.readouterr().err
    assert err == "trainer: failed: ValueError: many lines (--debug shows where)\n"


def test_what_a_new_try_may_cure_has_a_code_of_its_own(capsys):
    error = StorageError("s3://bucket/x: failed 4 times")
    assert command_line.main(["toy"], verbs=raising(error)) == 200
    err = capsys.readouterr().err
    assert err == "trainer: failed: s3://bucket/x: failed 4 times; a new try may cure it\n"


def test_an_interrupt_is_no_traceback(capsys):
    assert command_line.main(["toy"], verbs=raising(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == "trainer: interrupted\n"


@pytest.mark.parametrize("code", [None, 0, 3])
def test_the_exit_code_is_the_verbs(code):
    assert command_line.main(["toy"], verbs={"toy": Toy(run=lambda _: code)}) == (code or 0)


def test_a_verb_gets_its_command_line():
    given = []
    command_line.main(["toy", "--debug"], verbs={"toy": Toy(run=lambda args: given.append(args))})
    assert (given[0].argv, given[0].debug) == (["toy", "--debug"], True)


def test_data_create_prints_the_files_it_wrote(capsys, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for split in ("train", "test"):
        np.save(source / f"{split}_images.npy", np.zeros((10, 28, 28), np.uint8))
        np.save(source / f"{split}_labels.npy", np.arange(10))
    out = tmp_path / "out"
    argv = ["data", "create", "--source", str(source), "--out", str(out), "--shards", "2"]
    code, printed, _ = run(capsys, *argv)
    assert code == 0
    names = [f"{{}}-0000{i}-of-00002.tfrecord" for i in (0, 1)]
    assert printed.splitlines() == [
        *(str(out / split / name.format(split)) for split in ("train", "test") for name in names),
        str(out / "manifest.json"),
    ]


def help_of(capsys, *argv: str) -> str:
    with pytest.raises(SystemExit) as end:
        command_line.main([*argv, "--help"])
    assert end.value.code == 0
    return capsys.readouterr().out


def examples_in(text: str) -> list[str]:
    """Return the commands at the end of a help, each on one line."""
    _, _, end = text.partition("\nexamples:\n")
    lines = end.partition("\n\n")[0].replace("\\\n", "").splitlines()
    return [line.strip() for line in lines if not line.lstrip().startswith("#")]


def test_help_lists_every_verb_with_what_it_does(capsys):
    for words, verb in VERBS.items():
        group, _, name = words.rpartition(" ")
        listed = help_of(capsys, *group.split())
        assert re.search(rf"^    {name}\s+{re.escape(verb.HELP)}$", listed, re.MULTILINE)


@pytest.mark.parametrize("argv", HELPS, ids=" ".join)
def test_the_examples_of_a_help_are_commands_that_there_are(capsys, argv):
    examples = examples_in(help_of(capsys, *argv))
    assert examples
    for example in examples:
        words = shlex.split(example)
        assert words[: len(argv) + 1] == ["trainer", *argv]
        command_line.make_parser(argv=words[1:]).parse_args(words[1:])


@pytest.mark.parametrize("argv", HELPS, ids=" ".join)
def test_help_names_no_file_of_the_project_that_is_not_there(capsys, argv):
    text = help_of(capsys, *argv)
    for name in re.findall(r"\b(?:docs|examples|reference|requirements|src|tests)/[\w./-]+", text):
        assert (ROOT / name).exists()
    assert "\n  File " not in text


@pytest.mark.parametrize("argv", HELPS, ids=" ".join)
def test_help_fits_a_terminal(capsys, monkeypatch, argv):
    monkeypatch.setenv("COLUMNS", "80")
    _, _, end = help_of(capsys, *argv).partition("\nexamples:\n")
    assert [line for line in end.splitlines() if len(line) > 80] == []


def test_the_module_of_ai_platforms_convention_has_the_arguments_of_train(capsys):
    ran = subprocess.run(
        [sys.executable, "-m", "trainer.task", "--help"],
        capture_output=True, text=True, timeout=60, check=True,
        env={**os.environ, "COLUMNS": "80"},
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "80")
        assert ran.stdout == help_of(capsys, "train")


@pytest.mark.parametrize("words", VERBS)
def test_every_verb_has_debug(words):
    named = {"report": ["runs/a"], "data inspect": ["data"], "migrate": ["train.py"]}
    named["data split"] = ["data", "--out", "x"]
    named["data sync"] = ["data", "s3://bucket/data"]
    named |= {"predict": ["mnist", "x.npy"], "deploy": ["model"], "undeploy": ["mnist"]}
    named |= {f"jobs {verb}": ["name"] for verb in ("logs", "stop", "fetch")}
    required = named.get(words, ["--out", "x"] if words.startswith("data") else [])
    assert command_line.make_parser().parse_args([*words.split(), *required, "--debug"]).debug


def test_serving_with_debug_says_what_is_wrong_as_it_does_without(capsys, tmp_path):
    code, _, err = run(capsys, "serve", "--model-dir", str(tmp_path))
    assert code == 2
    debug = run(capsys, "serve", "--debug", "--model-dir", str(tmp_path))
    assert (debug[0], debug[2].splitlines()[-1]) == (2, err.rstrip("\n"))


@pytest.mark.parametrize("argv", [[*argv, "--help"] for argv in HELPS], ids=" ".join)
def test_help_imports_neither_tensorflow_nor_numpy(argv):
    code = (
        "import sys\nfrom trainer import cli\n"
        f"try: cli.main({argv!r})\nexcept SystemExit: pass\n"
        "print(sorted({'tensorflow', 'keras', 'numpy'} & set(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stdout.splitlines()[-1] == "[]"


def test_a_mistake_in_the_data_is_found_before_tensorflow_is_imported(tmp_path):
    code = (
        "import sys\nfrom trainer import cli\n"
        "code = cli.main(['train', '--train', 'nowhere', '--test', 'nowhere'])\n"
        "print(code, 'tensorflow' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=tmp_path,
        check=True,
    )  # fmt: skip
    assert ran.stdout.split() == ["2", "False"]


def test_a_reader_that_goes_away_is_no_traceback(tmp_path):
    out, inn = os.pipe()
    os.close(out)
    ran = subprocess.run(
        [sys.executable, "-m", "trainer", "data", "create", "--out", str(tmp_path)],
        stdout=inn, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
    )  # fmt: skip
    os.close(inn)
    assert "Traceback" not in ran.stderr
    assert ran.returncode == 1


@pytest.mark.tensorflow
def test_what_a_module_exits_with_is_masked_as_an_error_is(tmp_path, monkeypatch, capsys):
    (tmp_path / "leaving.py").write_text("raise SystemExit('bad hunter2-is-secret')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("DB_PASSWORD", "hunter2-is-secret")
    flags = ["--module", "leaving", "--steps", "1", "--model-dir", str(tmp_path / "model")]
    assert command_line.main(["train", *flags]) == 2
    assert "it ends the program by sys.exit(bad ***)" in capsys.readouterr().err


def test_an_error_of_tensorflow_begins_with_what_happened(capsys):
    where = "Detected at node PyFunc defined at (most recent call last):"
    error = RuntimeError(
        f"Graph execution error:\n\n{where}\n<stack traces unavailable>\nValueError: row 2"
    )
    assert command_line.main(["toy"], verbs=raising(error)) == 1
    assert "trainer: failed: RuntimeError: ValueError: row 2 (" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("package", "extra"), [("tensorflow", "[cpu]' (or [gpu]"), ("boto3", "[submit]'")]
)
def test_a_missing_package_is_named_with_the_extra_that_brings_it(capsys, package, extra):
    error = ModuleNotFoundError(f"No module named '{package}'", name=f"{package}.sub")
    assert command_line.main(["toy"], verbs=raising(error)) == 2
    err = capsys.readouterr().err
    expected = f"trainer: error: the package {package} is missing; pip install 'trainer-anywhere"
    assert err.startswith(expected + extra)
