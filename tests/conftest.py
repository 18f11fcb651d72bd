"""What all tests share: the real MNIST, and one quiet TensorFlow."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import hypothesis
import pytest

from trainer.runtime import log, output

# In CI the same examples each time: what fails there is the change. Elsewhere new ones are tried.
# For make check, where a minute counts.
hypothesis.settings.register_profile("quick", max_examples=10, deadline=None)
hypothesis.settings.register_profile("ci", derandomize=True, database=None, deadline=None)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")

# Read when TensorFlow is first imported, by whichever test that is.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

ROOT = Path(__file__).parent.parent
ENVIRONMENT = dict(os.environ)
# A shell ignores them for what it runs in the background, and so would all that tests start.
for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)

# What the program sets for itself or for a program that takes its place.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave files out whose tests all need TensorFlow where they are not asked for.

    Importing it to deselect them takes longer than all that `make check` does besides.
    """
    if "not tensorflow" not in config.option.markexpr or collection_path.suffix != ".py":
        return None
    return (
        True if "\npytestmark = pytest.mark.tensorflow\n" in collection_path.read_text() else None
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by what they use: the fixture of TensorFlow or of hosts, or a container."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if "tf" in fixtures:
            item.add_marker("tensorflow")
        if "hosts" in fixtures or "jobs" in fixtures:
            item.add_marker("hosts")
        if ROOT / "tests/container" in item.path.parents:
            item.add_marker("container")


def pytest_collection_finish() -> None:
    """Take back what libraries have set as tests imported them, such as SageMaker's toolkit."""
    _restore(ENVIRONMENT)


@pytest.fixture(autouse=True)
def same_environment() -> Iterator[None]:
    """What a test sets, or a library that it imports, is not there for the next one."""
    before = dict(os.environ)
    hooks = sys.excepthook, threading.excepthook, logging.lastResort
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    log.begin()
    yield
    log.end()
    _restore(before)
    output.begin({})
    sys.excepthook, threading.excepthook, logging.lastResort = hooks
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _restore(before: Mapping[str, str]) -> None:
    # That one is pytest's own.
    for name in {*os.environ} - {*before, "PYTEST_CURRENT_TEST"}:
        del os.environ[name]
    os.environ.update({k: v for k, v in before.items() if k != "PYTEST_CURRENT_TEST"})


@pytest.fixture(scope="session")
def mnist_dir() -> Path:
    """The folder of the four original files: $MNIST_DIR, or shared/ beside the checkout."""
    folder = Path(os.environ.get("MNIST_DIR") or ROOT.parent / "shared/data/mnist").absolute()
    if not (folder / "train-images-idx3-ubyte.gz").exists():
        problem = f"no MNIST in {folder}: set MNIST_DIR to the folder of the four original files"
        if os.environ.get("CI"):
            pytest.fail(problem)
        pytest.skip(problem)
    return folder


@pytest.fixture(scope="session")
def tfrecords(mnist_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real MNIST as TFRecords: a folder with `train` and `test`, two files each."""
    from trainer.data.create import create_dataset

    out = tmp_path_factory.mktemp("tfrecords")
    create_dataset(source=str(mnist_dir), out=out, shards=2)
    return out
