"""The metric file of Google's hyperparameter tuning (AI Platform and Vertex AI).

Its format is that of the cloudml-hypertune package: one JSON object a line with sorted keys, all
values strings but the time stamp, the last 100 reports. Unlike there, the file is replaced in one
step, so that the service never reads half of it.
"""

from __future__ import annotations

import json
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from trainer import atomic

DEFAULT_FILE = "/tmp/hypertune/output.metrics"
DEFAULT_TAG = "training/hptuning/metric"
KEPT = 100


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One trial of a tuning job.

    Attributes:
        number: Its name, `1` and so on.
        tag: What the tuned metric is called.
        file: Where the service looks for it.
    """

    number: str
    tag: str = DEFAULT_TAG
    file: str = DEFAULT_FILE


class MetricFile:
    """Reports the test accuracy of one trial."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._lines: deque[str] = deque(maxlen=KEPT)

    def report(self, step: int, value: float) -> None:
        """Add one value, and write the file anew."""
        entry = {
            "checkpoint_path": "",
            "global_step": str(int(step)),
            "timestamp": time.time(),
            self._trial.tag: str(float(value)),
            "trial": self._trial.number,
        }
        self._lines.append(json.dumps(entry, sort_keys=True))
        path = Path(self._trial.file)
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_text(path, "\n".join(self._lines) + "\n")
