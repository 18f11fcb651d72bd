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

from trainer.config import MetricGoal
from trainer.sweep.metric import last_value, values_in

# Seconds from SIGTERM, at which a run saves its model, to SIGKILL.
GRACE = 20.0
# The problem of a trial that ended well, but was not evaluated.
NOT_EVALUATED = "it ended without {}: name data with --test or --validation"
# That of one whose task has other figures.
OTHER_METRICS = "its evaluation has no {}, by which trials are compared; --metric takes {}"


class TrialProcess:
    """A running trial; its output goes to `log.txt` of its folder.

    Args:
        folder: The folder of the trial.
        flags: The arguments of `trainer train`.
        env: The environment of the process.
        goal: The figure that trials are compared by.

    Attributes:
        metric: What it is compared by as its lines name it, as far as its log has come.
    """

    def __init__(
        self,
        folder: Path,
        flags: Sequence[str],
        env: Mapping[str, str],
        goal: MetricGoal | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._log = folder / "log.txt"
        self._read = 0
        self._goal = goal or MetricGoal()
        self.metric = f"test_{self._goal.name}"
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

    def new_values(self) -> list[tuple[int, float]]:
        """Return step and figure of each evaluation since the last call."""
        with self._log.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        text = whole.decode(errors="replace")
        length = re.search(r"^model=.* steps=(\d+) ", text, flags=re.MULTILINE)
        self._steps = int(length[1]) if length else self._steps
        if f" validation_{self._goal.name}=" in text:
            # The test data is asked at the end only, and is not what trials are compared by.
            self.metric = f"validation_{self._goal.name}"
        return values_in(text, self.metric)

    def is_last(self, step: int) -> bool:
        """Return whether its log says that it has no more steps to take."""
        return step == self._steps

    def value(self) -> float | None:
        """Return the figure that its metrics.json says, or None if it did not complete."""
        metrics = self._metrics()
        return None if metrics.get("stopped") else last_value(metrics, self._goal)

    def _metrics(self) -> dict[str, Any]:
        try:
            metrics = json.loads((self._folder / "metrics.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return metrics if isinstance(metrics, dict) else {}

    def problem(self) -> str:
        """Return why it has no figure: mostly the last line of its log."""
        metrics = self._metrics()
        if metrics and not self._process.returncode:
            found = metrics.get("validation_metrics") or metrics.get("test_metrics") or {}
            if self._goal.name in found:
                return f"its {self._goal.name} is no number"
            if found:
                return OTHER_METRICS.format(self._goal.name, ", ".join(found))
            return NOT_EVALUATED.format(self._goal.name)
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
