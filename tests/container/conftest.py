"""The engine and the image that the tests run in it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from containers import ROOT, Container, Engine, missing
from sagemaker_local import Local

BUILD_SECONDS = 40 * 60
INSTALL_SECONDS = 20 * 60


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The engine; without one the tests are skipped, but fail in CI."""
    found = subprocess.run(
        [ROOT / "docker/engine", "client"], capture_output=True, text=True, check=False, timeout=60
    )
    client = os.environ.get("DOCKER") or found.stdout.strip()
    if not client:
        missing(found.stderr.strip() or "no docker client")
    engine = Engine(client)
    if engine("info", check=False, timeout=60).returncode:
        missing("no Docker engine answers: run `make engine`")
    return engine


@pytest.fixture(scope="session")
def image(engine: Engine) -> str:
    """The image for CPU: $TRAINER_IMAGE, or built once."""
    given = os.environ.get("TRAINER_IMAGE")
    if given:
        return given
    name = "trainer:cpu"
    built = subprocess.run(
        [ROOT / "docker/build-image", "cpu", name],
        env={**os.environ, "DOCKER": engine.client},
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
    )
    if built.returncode:
        missing(f"the image cannot be built:\n{(built.stdout + built.stderr)[-4000:]}")
    return name


@pytest.fixture
def start(engine: Engine, image: str) -> Iterator[Callable[..., Container]]:
    """Starts containers of the image: `start(*argv, options=…)`; they are removed at the end."""
    with ExitStack() as stack:

        def begin(*argv: str, options: tuple[str, ...] = ("--network", "none")) -> Container:
            return stack.enter_context(Container(engine, image, argv, options))

        yield begin


@pytest.fixture
def local(engine: Engine, tmp_path: Path) -> Local:
    """Trains by SageMaker's SDKs in local mode."""

    def python(version: int) -> Path:
        made = subprocess.run(
            ["make", "-o", "setup", f".venv-sdk{version}/.installed"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
        if made.returncode:
            missing(f"SageMaker's SDK {version} cannot be installed:\n{made.stderr[-2000:]}")
        return ROOT / f".venv-sdk{version}/bin/python"

    root = tmp_path / "root"
    root.mkdir()
    return Local(engine, python, root)
