"""The wheel, installed by pip, pipx and uvx into environments that have nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trainer import __version__

DEADLINE = 300
UV = Path(sys.executable).with_name("uv")


def ran(*command: str | Path, env: dict[str, str] | None = None, code: int = 0) -> str:
    done = subprocess.run(
        [*map(str, command)], env=env, capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def wheel(released: Path) -> Path:
    """The wheel of a release."""
    return released / f"trainer_anywhere-{__version__}-py3-none-any.whl"


@pytest.fixture
def alone(tmp_path: Path) -> dict[str, str]:
    """An environment in which no tool finds this checkout, or what it installed before."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return env | {
        "HOME": str(tmp_path), "PIPX_HOME": str(tmp_path / "pipx"),
        "PIPX_BIN_DIR": str(tmp_path / "bin"), "UV_TOOL_DIR": str(tmp_path / "tools"),
        "UV_TOOL_BIN_DIR": str(tmp_path / "bin"), "UV_CACHE_DIR": str(tmp_path / "cache"),
    }  # fmt: skip


def test_the_wheel_has_its_type_hints_its_page_and_none_of_the_tests(wheel: Path):
    names = ran(sys.executable, "-m", "zipfile", "-l", wheel)
    for name in ("trainer/py.typed", "trainer/serving/page.html", "trainer/backends/__init__.pyi"):
        assert name in names
    assert "tests/" not in names
    assert wheel.name == f"trainer_anywhere-{__version__}-py3-none-any.whl"


def test_pip_installs_it_and_a_training_says_which_extra_it_needs(
    wheel: Path, tmp_path: Path, alone: dict[str, str]
):
    ran(sys.executable, "-m", "venv", tmp_path / "env", env=alone)
    program = tmp_path / "env/bin/trainer"
    ran(tmp_path / "env/bin/pip", "install", "-q", wheel, env=alone)
    assert ran(program, "--version", env=alone) == f"trainer {__version__}\n"
    assert "--learning-rate" in ran(program, "train", "--help", env=alone)
    said = ran(program, "train", "--steps", "1", "--model-dir", tmp_path / "m", env=alone, code=2)
    assert "pip install 'trainer-anywhere[cpu]'" in said
    assert "Traceback" not in said


def test_pipx_installs_the_program(wheel: Path, tmp_path: Path, alone: dict[str, str]):
    ran(sys.executable, "-m", "venv", tmp_path / "own", env=alone)
    ran(tmp_path / "own/bin/pip", "install", "-q", "pipx", env=alone)
    ran(tmp_path / "own/bin/pipx", "install", "-q", wheel, env=alone)
    assert ran(tmp_path / "bin/trainer", "--version", env=alone) == f"trainer {__version__}\n"


def test_uvx_runs_it(wheel: Path, alone: dict[str, str]):
    said = ran(UV, "tool", "run", "-q", "--from", wheel, "trainer", "--version", env=alone)
    assert said == f"trainer {__version__}\n"
