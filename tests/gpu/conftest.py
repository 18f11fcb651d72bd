"""The device, and the file of results."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from trainer import __version__
from trainer.storage import local

ROOT = Path(__file__).parent.parent.parent
RESULTS = Path(os.environ.get("GPU_RESULTS") or ROOT / "runs/gpu.json")


@pytest.fixture(scope="session")
def device() -> str:
    """`gpu`; `TEST_DEVICE=cpu` tries the tests themselves on a machine that has none."""
    return os.environ.get("TEST_DEVICE", "gpu")


@pytest.fixture(scope="session")
def results(device: str) -> Iterator[dict[str, Any]]:
    """All that was found: written after each test, as the machine may be lent for minutes only."""
    found: dict[str, Any] = {"trainer": __version__, "device": device, "tests": {}}
    yield found
    print(f"\nresults: {RESULTS}\n{json.dumps(found, indent=2)}")


@pytest.fixture
def record(results: dict[str, Any], request: pytest.FixtureRequest) -> Iterator[Callable]:
    """Notes what a test found: `record(seconds=1.2)`; whether it passed is noted anyway."""
    mine: dict[str, Any] = results["tests"].setdefault(request.node.name, {"outcome": "error"})
    yield lambda **facts: mine.update(facts)
    call = getattr(request.node, "called", None)
    if call:
        mine |= {"outcome": call.outcome, "seconds": round(call.duration, 1)}
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    local.write_text(RESULTS, json.dumps(results, indent=2) + "\n")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Keep how the test itself went, for `record`."""
    outcome = yield
    report = outcome.get_result()
    if report.when == "call":
        item.called = report
