"""One trial of a hyperparameter tuning job."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_FILE = "/tmp/hypertune/output.metrics"
DEFAULT_TAG = "training/hptuning/metric"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """The trial that a run is, and where the tuning service expects its metric.

    Attributes:
        number: The name of the trial, `1` and so on.
        tag: The name of the tuned metric.
        file: The file in which the service looks for the metric.
    """

    number: str
    tag: str = DEFAULT_TAG
    file: str = DEFAULT_FILE
