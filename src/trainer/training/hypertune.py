"""The metric file of Google's hyperparameter tuning (AI Platform and Vertex AI).

Its format is that of the cloudml-hypertune package: one JSON object a line with sorted keys, all
values strings but the time stamp, the last 100 reports. Unlike there, the file is replaced in one
step, so that the service never reads half of it.
"""

from __future__ import annotations

import json
import time
from collections import deque
from pathlib import Path

from trainer.config import Trial
from trainer.storage import local

KEPT = 100


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
        local.write_text(path, "\n".join(self._lines) + "\n")
