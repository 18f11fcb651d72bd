"""An engine of folders and processes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from trainer.backends.engine.client import Engine

FAKE = Path(__file__).with_name("fake_docker.py")


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    folder = tmp_path / "engine"
    folder.mkdir()
    script = folder / "engine.py"
    script.write_text(FAKE.read_text())
    client = folder / "docker"
    client.write_text(f'#!/bin/sh\nexec {sys.executable} {script} "$@"\n')
    client.chmod(0o755)
    return Engine(str(client))


@pytest.fixture
def left(engine: Engine) -> Callable[[], list[str]]:
    """Returns what the engine has."""
    folder = Path(engine.client).parent
    kinds = ("container", "network", "volume")
    return lambda: sorted(path.name for kind in kinds for path in (folder / kind).glob("*"))
