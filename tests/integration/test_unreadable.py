"""Files and folders that the user may not read: one line that names them, and exit code 2."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from column_files import png
from processes import TRAINER, environment

# linux/prctl.h and linux/capability.h: root may read everything but for these.
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2

VERBS = {
    "train": lambda path, out: ["train", "--train", path, "--model", "fast", "--model-dir", out],
    "data inspect": lambda path, out: ["data", "inspect", path],
    "data create": lambda path, out: ["data", "create", "--source", path, "--out", out],
    "data split": lambda path, out: ["data", "split", path, "--test", "0.3", "--out", out],
}


def as_others() -> None:
    """Give up root's right to read everything, for the program that is run next."""
    if os.geteuid():
        return
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")


def run(verb: str, path: Path, out: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*TRAINER, *VERBS[verb](str(path), str(out))], env=environment({}), preexec_fn=as_others,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def arrays(folder: Path) -> Path:
    folder.mkdir()
    np.save(folder / "images.npy", np.zeros((40, 28, 28), np.uint8))
    np.save(folder / "labels.npy", np.arange(40) % 10)
    return folder


def pictures(folder: Path) -> Path:
    for name in "ab":
        (folder / name).mkdir(parents=True)
        for number in range(3):
            image = np.full((28, 28), number, np.uint8)
            (folder / name / f"{number}.png").write_bytes(png(image))
    return folder


# The data, what of it is closed, and with which mode.
CLOSED: dict[str, tuple[Callable[[Path], Path], str, int]] = {
    "a file of images": (arrays, "images.npy", 0),
    "a file of labels": (arrays, "labels.npy", 0),
    "a folder that lists no names": (arrays, ".", 0o311),
    "a folder that opens no files": (arrays, ".", 0o644),
    "a picture": (pictures, "a/1.png", 0),
    "a folder of a class": (pictures, "b", 0),
    "a folder of a class that opens no files": (pictures, "b", 0o644),
}


@pytest.fixture
def closed(tmp_path: Path):
    """Makes data of which something is closed, and opens it again for pytest to remove."""
    changed: list[Path] = []

    def make(case: str) -> Path:
        how, name, mode = CLOSED[case]
        path = how(tmp_path / "data") / name
        path.chmod(mode)
        changed.append(path)
        return path

    yield make
    for path in changed:
        path.chmod(0o755)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("case", ["a file of images", "a folder of a class that opens no files"])
def test_what_may_not_be_read_is_one_line_of_every_verb(closed, tmp_path: Path, case, verb):
    path = closed(case)
    assert_one_line(run(verb, tmp_path / "data", tmp_path / "out"), path)


@pytest.mark.parametrize("case", CLOSED)
def test_whatever_may_not_be_read_is_named(closed, tmp_path: Path, case):
    path = closed(case)
    ran = run("data inspect", tmp_path / "data", tmp_path / "out")
    assert_one_line(ran, path)


def assert_one_line(ran: subprocess.CompletedProcess[str], path: Path) -> None:
    assert ran.returncode == 2, ran.stderr
    line = ran.stderr.strip().splitlines()[-1]
    assert line.startswith("trainer: error: ") and line.endswith(
        "cannot be read: Permission denied"
    )
    assert str(path) in line
    assert "Traceback" not in ran.stderr
