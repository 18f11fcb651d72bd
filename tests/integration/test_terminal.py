"""Training in the foreground of a terminal: the bar, Ctrl-C, and where there are plain lines."""

import json
import os
import pty
import re
import termios
from pathlib import Path

import pytest
from processes import TRAINER, environment, trainer

CTRL_C = b"\x03"
ERASE = "\r\x1b[J"
# The bar after some steps, behind whose colours the step stands.
BAR = re.compile(rf"{re.escape(ERASE)}[^\n]*?(\d+)/\d+[^\n]* left\r")


def job(data: Path, folder: Path, *extra: str) -> list[str]:
    return [
        *("train", "--model", "cnn", "--train", str(data), "--batch-size", "32"),
        *("--model-dir", str(folder / "model"), "--checkpoint-dir", str(folder / "ckpt"), *extra),
    ]


def on_terminal(
    argv: list[str], *, columns: int = 80, stop: bool = False, **env: str
) -> tuple[int, str]:
    """Run the program in the foreground of a terminal.

    Args:
        argv: Its arguments.
        columns: The width of the terminal.
        stop: Press Ctrl-C once a bar has shown more than one step.
        env: Added to the environment.

    Returns:
        Its exit code, and all that it wrote to the terminal.
    """
    whole = environment({"TERM": "xterm", "PYTHONUTF8": "1"}) | env
    if "NO_COLOR" not in env:
        whole.pop("NO_COLOR", None)
    process, terminal = pty.fork()
    if not process:
        os.execve(TRAINER[0], [*TRAINER, *argv], whole)
    termios.tcsetwinsize(terminal, (24, columns))
    shown = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:
            # What Linux says at the end of a terminal's output.
            break
        if not piece:
            break
        shown += piece
        if stop and any(
            int(found[1]) > 1 for found in BAR.finditer(shown.decode(errors="replace"))
        ):
            os.write(terminal, CTRL_C)
            stop = False
    os.close(terminal)
    assert not stop, shown
    _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status), shown.decode()


def lines_left(shown: str) -> list[str]:
    """The lines that stay on the terminal, without what was erased."""
    return [line.rpartition(ERASE)[2].strip("\r") for line in shown.split("\n")]


@pytest.mark.parametrize("columns", [40, 160])
def test_a_bar_moves_below_the_lines_and_is_gone_at_the_end(columns, tfrecords, tmp_path):
    argv = job(tfrecords, tmp_path, "--steps", "60", "--eval-every", "20")
    code, shown = on_terminal(argv, columns=columns)
    assert code == 0, shown
    assert BAR.search(shown)
    left = lines_left(shown)
    assert not any("left" in line or "\x1b" in line for line in left)
    steps = [line.split()[0] for line in left if line.startswith("step=")]
    # Progress does not scroll, but for its last line; evaluations do.
    assert steps == ["step=20", "step=40", "step=60", "step=60"]
    assert left[-2].startswith("next: trainer serve")
    for frame in BAR.finditer(shown):
        text = re.sub(r"\x1b\[[\d;]*[mJ]|\r", "", frame[0].rpartition(ERASE)[2])
        assert len(text) < columns


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_who_wants_plain_lines_gets_them_on_a_terminal_too(env, tfrecords, tmp_path):
    code, shown = on_terminal(job(tfrecords, tmp_path, "--steps", "5"), **env)
    assert code == 0, shown
    assert "\x1b" not in shown
    assert "step=5 of=5 loss=" in shown


def test_a_pipe_gets_plain_lines(tfrecords, tmp_path):
    ran = trainer(*job(tfrecords, tmp_path, "--steps", "5"), env={"TERM": "xterm"})
    assert ran.returncode == 0, ran.stderr
    assert "\x1b" not in ran.stdout + ran.stderr
    assert "step=5 of=5 loss=" in ran.stdout


@pytest.mark.parametrize("processes", [1, 2])
def test_ctrl_c_saves_and_ends_as_sigterm_does(processes, tfrecords, tmp_path):
    several = ("--distribution", "multi_worker_mirrored", "--processes-per-host", str(processes))
    argv = job(tfrecords, tmp_path, "--steps", "100000", *(several if processes > 1 else ()))
    code, shown = on_terminal(argv, columns=160, stop=True)
    assert code == 143, shown
    left = "\n".join(lines_left(shown))
    stopped = re.search(r"stopped at step=(\d+) of=100000", left)
    assert stopped, shown
    assert "Traceback" not in shown
    assert json.loads((tmp_path / "metrics.json").read_text())["steps"] == int(stopped[1])
    assert list((tmp_path / "ckpt").glob(f"*{stopped[1]}*"))
    assert not re.search(r"left$", left, re.MULTILINE)
