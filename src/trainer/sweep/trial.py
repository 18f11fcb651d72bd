"""One trial of a sweep: a process of `trainer train` in a folder of its own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from trainer.sweep.cloud import TEST_METRIC, VALIDATION_METRIC, accuracies

# Seconds from SIGTERM, at which a run saves its model, to SIGKILL.
GRACE = 20.0
# The problem of a trial that ended well, but has no accuracy to compare.
NO_ACCURACY = "it ended without an accuracy: name data with --test or --validation"
# That of one whose task has other figures.
NO_CLASSES = "its task has no accuracy, by which a sweep compares its trials"


class TrialProcess:
    """A running trial; its output goes to `log.txt` of its folder.

    Args:
        folder: The folder of the trial.
        flags: The arguments of `trainer train`.
        env: The environment of the process.

    Attributes:
        metric: What it is compared by, as far as its log has come.
    """

    def __init__(self, folder: Path, flags: Sequence[str], env: Mapping[str, str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._log = folder / "log.txt"
        self._read = 0
        self.metric = TEST_METRIC
        self._steps: int | None = None
        self._began = time.monotonic()
        child = [sys.executable, "-u", "-m", "trainer.sweep.child", str(os.getpid())]
        command = [*child, "train", *flags]
        with self._log.open("wb") as file:
            # In a group of its own: Ctrl-C reaches the sweep alone, which ends its trials.
            self._process = subprocess.Popen(
                [*command, "--model-dir", str(folder / "model"), "--log-format", "text"],
                stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=dict(env),
                start_new_session=True,
            )  # fmt: skip

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Kill what is left of its group."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def wait(self, seconds: float) -> int | None:
        """Return the exit code, None if it still runs after some seconds."""
        try:
            return self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return None

    @property
    def seconds(self) -> float:
        """Seconds since its start."""
        return time.monotonic() - self._began

    def new_accuracies(self) -> list[tuple[int, float]]:
        """Return step and accuracy of each evaluation since the last call."""
        with self._log.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        text = whole.decode(errors="replace")
        length = re.search(r"^model=.* steps=(\d+) ", text, flags=re.MULTILINE)
        self._steps = int(length[1]) if length else self._steps
        if f" {VALIDATION_METRIC}=" in text:
            # The test data is asked at the end only, and is not what trials are compared by.
            self.metric = VALIDATION_METRIC
        return accuracies(text, self.metric)

    def is_last(self, step: int) -> bool:
        """Return whether its log says that it has no more steps to take."""
        return step == self._steps

    def accuracy(self) -> float | None:
        """Return the accuracy that its metrics.json says, or None if it did not complete."""
        metrics = self._metrics()
        # Of the validation data, if there is any.
        value = metrics.get(VALIDATION_METRIC)
        value = metrics.get(TEST_METRIC) if value is None else value
        return float(value) if value is not None and not metrics.get("stopped") else None

    def _metrics(self) -> dict[str, Any]:
        try:
            metrics = json.loads((self._folder / "metrics.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return metrics if isinstance(metrics, dict) else {}

    def problem(self) -> str:
        """Return why it has no accuracy: mostly the last line of its log."""
        metrics = self._metrics()
        if metrics and not self._process.returncode:
            was_measured = any(metrics.get(name) for name in ("test_metrics", "validation_metrics"))
            return NO_CLASSES if was_measured else NO_ACCURACY
        return self.last_line()

    def last_line(self) -> str:
        """Return the last line of its log."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "it printed nothing")

    def end(self, *, at_once: Callable[[], bool]) -> None:
        """Ask it to end, and wait until it has; kill it when it takes long or `at_once` says so."""
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + GRACE
        while self.wait(0.1) is None and time.monotonic() < deadline and not at_once():
            pass

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)
