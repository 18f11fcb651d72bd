import os
import subprocess
import sys

import numpy as np
import pytest

from trainer import __version__
from trainer.cli import command_line
from trainer.storage.errors import StorageError


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


def test_a_failure_that_is_not_the_users_is_one_line_and_code_1(capsys, monkeypatch):
    def fail(args):
        raise ValueError("many\nlines")

    monkeypatch.setattr(command_line, "_create", fail)
    code, _, err = run(capsys, "data", "create", "--out", "x")
    assert (code, err) == (1, "trainer: failed: ValueError: many lines (--debug shows where)\n")


def test_what_a_new_try_may_cure_has_a_code_of_its_own(capsys, monkeypatch):
    def fail(args):
        raise StorageError("s3://bucket/x: failed 4 times")

    monkeypatch.setattr(command_line, "_create", fail)
    code, _, err = run(capsys, "data", "create", "--out", "x")
    assert code == 200
    assert err == "trainer: failed: s3://bucket/x: failed 4 times; a new try may cure it\n"


def test_an_interrupt_is_no_traceback(capsys, monkeypatch):
    def interrupt(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(command_line, "_create", interrupt)
    assert run(capsys, "data", "create", "--out", "x")[0] == 130


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
        str(out / split / name.format(split)) for split in ("train", "test") for name in names
    ]


@pytest.mark.parametrize("argv", [["--help"], ["train", "--help"], ["data", "create", "--help"]])
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


def test_what_a_module_exits_with_is_masked_as_an_error_is(tmp_path, monkeypatch, capsys):
    (tmp_path / "leaving.py").write_text("raise SystemExit('bad hunter2-is-secret')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("DB_PASSWORD", "hunter2-is-secret")
    flags = ["--module", "leaving", "--steps", "1", "--model-dir", str(tmp_path / "model")]
    assert command_line.main(["train", *flags]) == 1
    assert capsys.readouterr().err.endswith("bad ***\n")


def test_an_error_of_tensorflow_begins_with_what_happened(monkeypatch, capsys):
    def fail(*_):
        where = "Detected at node PyFunc defined at (most recent call last):"
        raise RuntimeError(
            f"Graph execution error:\n\n{where}\n<stack traces unavailable>\nValueError: row 2"
        )

    monkeypatch.setattr(command_line, "_doctor", fail)
    assert command_line.main(["doctor"]) == 1
    assert "trainer: failed: RuntimeError: ValueError: row 2 (" in capsys.readouterr().err
