"""The choice of a container by its arguments and environment."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from trainer.cli.container import Choice, choose, main

ROOT = Path(__file__).parents[3]
PREDICTING = {"AIP_MODE": "PREDICTION"}


def train(*argv: str) -> Choice:
    return Choice(program="train", argv=argv)


def trainer(*argv: str) -> Choice:
    return Choice(program="trainer", argv=argv)


def command(*argv: str) -> Choice:
    return Choice(program="command", argv=argv)


@pytest.mark.parametrize(
    ("argv", "env", "chosen"),
    [
        ([], {}, train()),
        (["train"], {}, train()),
        (["train", "--steps", "3"], {}, train("--steps", "3")),
        (["--job-dir", "gs://b/j"], {}, train("--job-dir", "gs://b/j")),
        (["--job_dir=gs://b/j", "--steps=3"], {}, train("--job_dir=gs://b/j", "--steps=3")),
        (["trainer", "train", "--steps", "3"], {}, train("--steps", "3")),
        (["train", "--steps", "3", "--dry-run"], {}, trainer("train", "--steps", "3", "--dry-run")),
        (["--dry-run"], {}, trainer("train", "--dry-run")),
        (["--help"], {}, trainer("train", "--help")),
        (["trainer", "train", "-h"], {}, trainer("train", "-h")),
        (["trainer"], {}, trainer()),
        (["trainer", "--version"], {}, trainer("--version")),
        (["trainer", "doctor", "--json"], {}, trainer("doctor", "--json")),
        (["trainer", "serve", "--port", "1"], {}, trainer("serve", "--port", "1")),
        (["serve"], {}, trainer("serve")),
        (["serve", "--port", "9000"], {}, trainer("serve", "--port", "9000")),
        (["train"], PREDICTING, trainer("serve")),
        ([], PREDICTING, trainer("serve")),
        (["serve"], PREDICTING, trainer("serve")),
        (["--port", "9000"], PREDICTING, trainer("serve", "--port", "9000")),
        (["train"], {"AIP_MODE": "TRAINING"}, train()),
        (["bash", "-c", "exit 3"], {}, command("bash", "-c", "exit 3")),
        (["python", "x.py", "--help"], {}, command("python", "x.py", "--help")),
        (["bash"], PREDICTING, command("bash")),
        (["/bin/ls", "train"], {}, command("/bin/ls", "train")),
    ],
)
def test_arguments_and_environment_choose(argv, env, chosen):
    assert choose(argv, env) == chosen


def test_a_command_that_is_not_there_is_reported_in_one_line(capfd):
    assert main(["container", "tarin", "--steps", "3"]) == 127
    streams = capfd.readouterr()
    assert streams.out == ""
    assert streams.err.count("\n") == 1
    assert streams.err.startswith("trainer: error: tarin: no such command; expected train, serve")


def test_a_command_that_is_no_program_is_reported_in_one_line(tmp_path, capfd):
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELFbroken")
    broken.chmod(0o755)
    assert main(["container", str(broken)]) == 126
    assert capfd.readouterr().err == f"trainer: error: {broken}: Exec format error\n"


def container(*argv: str, name: str = "container", folder: Path, **options):
    """The entry point in a process of its own, by the name that it has in the image."""
    link = folder / name
    if not link.is_symlink():
        link.symlink_to(ROOT / "entrypoints/container")
    return subprocess.Popen(
        [sys.executable, str(link), *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={k: v for k, v in os.environ.items() if not k.startswith(("SM_", "AIP_"))},
        **options,
    )


def test_a_command_takes_the_place_of_the_entry_point(tmp_path):
    """So that the signals which the platform sends are its own."""
    run = container(
        "bash", "-c", "trap 'exit 7' TERM; echo $$; while :; do :; done", folder=tmp_path
    )
    assert run.stdout is not None
    assert int(run.stdout.readline()) == run.pid
    run.send_signal(signal.SIGTERM)
    assert run.wait(timeout=30) == 7


def test_a_command_that_takes_its_place_hears_of_a_broken_pipe(tmp_path):
    """Python ignores SIGPIPE, and programs that find it ignored do not end of it."""
    run = container("bash", "-c", "yes | head -1; echo ${PIPESTATUS[0]}", folder=tmp_path)
    out, err = run.communicate(timeout=30)
    assert (out, err) == ("y\n141\n", "")


UNSHARE = ["unshare", "--pid", "--fork", "--kill-child"]


def test_a_stop_that_comes_early_is_heard(tmp_path):
    """As process 1, which signals without a handler do not reach, while it imports the trainer."""
    if not shutil.which("unshare") or subprocess.run([*UNSHARE, "true"], check=False).returncode:
        pytest.skip("needs unshare --pid, which needs root")
    package = tmp_path / "trainer"
    (package / "cli").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "cli/__init__.py").touch()
    (package / "cli/container.py").write_text(
        "import signal\nprint('importing', flush=True)\nsignal.pause()\n"
    )
    run = subprocess.Popen(
        [*UNSHARE, sys.executable, str(ROOT / "entrypoints/container"), "train"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert run.stdout is not None
        assert run.stdout.readline() == "importing\n"
        (first,) = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
        os.kill(int(first), signal.SIGTERM)
        assert run.wait(timeout=30) == 143
    finally:
        run.kill()
        run.wait()


def test_the_command_line_runs_in_this_process(tmp_path, capsys):
    """So that `serve`, too, has handlers for signals from its beginning on."""
    assert main(["container", "serve", "--model-dir", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err.startswith(f"trainer: error: --model-dir {tmp_path}/none: ")


@pytest.mark.parametrize("argv", [("train", "--dry-run"), ("--dry-run",)])
def test_a_dry_run_trains_nothing(tmp_path, argv):
    out, err = container(*argv, folder=tmp_path, cwd=tmp_path).communicate(timeout=60)
    assert "platform" in out, err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["container"]


def test_called_as_train_it_trains(tmp_path):
    out, err = container("--steps", "x", name="train", folder=tmp_path).communicate(timeout=60)
    assert out == ""
    assert err.startswith("trainer: error: argument --steps: expected a whole number, found 'x'")
