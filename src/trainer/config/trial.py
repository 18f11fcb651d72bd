"""The trial of a tuning job that a run is."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_FILE = "/tmp/hypertune/output.metrics"
DEFAULT_TAG = "training/hptuning/metric"


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
