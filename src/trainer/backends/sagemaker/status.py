"""The state of a training or tuning job, from what SageMaker describes it by."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from trainer.backends.backend import JobStatus, State

STATES: Mapping[str, State] = {
    "Completed": "completed",
    "Failed": "failed",
    "DeleteFailed": "failed",
    "Stopping": "stopping",
    "Deleting": "stopping",
    "Stopped": "stopped",
}
# While a job is "InProgress", these tell that its containers run.
_RUNNING = ("Training", "Uploading", "Updating")
_STOPPED_BY = {
    "MaxRuntimeExceeded": "the job took longer than --max-time; its model is kept",
    "MaxWaitTimeExceeded": "the job and its waiting took longer than --max-wait",
}
# Seconds by which lines come late, and in which a job counts as one that has just ended.
LATE, RECENT = 5.0, 60.0
# Metrics that a line has room for.
MOST_METRICS = 6


def training_status(found: Mapping[str, Any]) -> JobStatus:
    """Return the state of a training job.

    Args:
        found: The answer of `DescribeTrainingJob`, or an entry of `Search`.
    """
    word, second = found["TrainingJobStatus"], found.get("SecondaryStatus", "")
    state = STATES.get(word, "running" if second in _RUNNING else "waiting")
    stopped_by = _STOPPED_BY.get(second, "") if state == "stopped" else ""
    return JobStatus(
        state=state,
        detail=", ".join(filter(None, [_detail(found, second or word), *_end(found, state)])),
        failure=found.get("FailureReason") or stopped_by,
        started=_seconds(found.get("TrainingStartTime")),
        ended=_seconds(found.get("TrainingEndTime")),
        late_lines=_late(_seconds(found.get("TrainingEndTime"))),
    )


def tuning_status(found: Mapping[str, Any]) -> JobStatus:
    """Return the state of a tuning job, from the answer of `DescribeHyperParameterTuningJob`."""
    word = found["HyperParameterTuningJobStatus"]
    counts = found.get("TrainingJobStatusCounters") or {}
    best = found.get("BestTrainingJob") or {}
    metric = best.get("FinalHyperParameterTuningJobObjectiveMetric") or {}
    trials = [f"{number} {name.lower()}" for name, number in counts.items() if number]
    value = f"best {metric['MetricName']}={metric['Value']:g}" if metric else ""
    by = f"by {best['TrainingJobName']}" if metric and best.get("TrainingJobName") else ""
    return JobStatus(
        state=STATES.get(word, "running"),
        detail=", ".join(filter(None, [word, *trials, f"{value} {by}".strip()])),
        failure=found.get("FailureReason") or "",
        started=_seconds(found.get("CreationTime")),
        ended=_seconds(found.get("HyperParameterTuningEndTime")),
    )


def _detail(found: Mapping[str, Any], word: str) -> str:
    """Return SageMaker's word for what the job does, with its own explanation."""
    changes = found.get("SecondaryStatusTransitions") or []
    message = (changes[-1].get("StatusMessage") or "") if changes else ""
    taken = sum(each["Status"] == "Interrupted" for each in changes)
    text = f"{word} ({message})" if message and message.rstrip(".") != word else word
    times = "once" if taken == 1 else f"{taken} times"
    return f"{text}, interrupted {times}" if taken else text


def _end(found: Mapping[str, Any], state: State) -> list[str]:
    """Return what a job has come to: its last metrics, and what spot instances have saved."""
    if state not in ("completed", "stopped"):
        return []
    metrics = found.get("FinalMetricDataList") or []
    text = [f"{each['MetricName']}={each['Value']:g}" for each in metrics[:MOST_METRICS]]
    took, billed = found.get("TrainingTimeInSeconds"), found.get("BillableTimeInSeconds")
    if found.get("EnableManagedSpotTraining") and took and billed is not None:
        text.append(f"{billed} of {took} s billed")
    return text


def _late(ended: float | None) -> float:
    """Return for how long lines may still come: CloudWatch shows them some seconds late."""
    return LATE if ended is not None and abs(time.time() - ended) < RECENT else 0.0


def _seconds(when: datetime | float | None) -> float | None:
    return when.timestamp() if isinstance(when, datetime) else when
