"""Fixtures that run blocks of pages, here and in tests/container."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from blocks import Block
from page_run import PageRun, run_page
from world import HERE, Pythons, make_files, make_home, world

Runner = Callable[..., PageRun]


@pytest.fixture(scope="session")
def pythons(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pythons]:
    """Pythons that have imported already what takes long."""
    found = Pythons(tmp_path_factory.mktemp("pythons"))
    yield found
    found.stop()


@pytest.fixture(scope="session")
def page_files(mnist_dir: Path, pythons: Pythons, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data and a model that buckets and pages share."""
    return make_files(mnist_dir, tmp_path_factory.mktemp("files"), pythons)


@pytest.fixture
def run_blocks(
    mnist_dir: Path, pythons: Pythons, page_files: Path, tmp_path: Path
) -> Iterator[Runner]:
    """Runs blocks of one page in a home of their own; services last until the test ends."""
    with ExitStack() as stack:

        def run(found: Sequence[Block], more: Mapping[str, str] | None = None) -> PageRun:
            home, logs = tmp_path / "home", tmp_path / "logs"
            logs.mkdir()
            services = stack.enter_context(world(page_files, pythons.env()))
            return run_page(
                found, home=make_home(home, mnist_dir), logs=logs, world=services,
                pythons=pythons, files=page_files, programs=HERE / "programs",
                more=more,
            )  # fmt: skip

        yield run
