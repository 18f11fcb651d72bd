"""What SageMaker describes a job by, as a state with a detail."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import botocore.session
import pytest

from trainer.backends.sagemaker.status import training_status, tuning_status

MODEL = botocore.session.get_session().get_service_model("sagemaker")


def training(status: str, second: str, *changes: str, message: str = "", **more: Any) -> Any:
    listed = [{"Status": each} for each in changes or (second,)]
    listed[-1]["StatusMessage"] = message
    return training_status({
        "TrainingJobStatus": status, "SecondaryStatus": second,
        "SecondaryStatusTransitions": listed, **more,
    })  # fmt: skip


@pytest.mark.parametrize(
    ("status", "second", "state"),
    [
        ("InProgress", "Pending", "waiting"), ("InProgress", "Starting", "waiting"),
        ("InProgress", "Downloading", "waiting"), ("InProgress", "Interrupted", "waiting"),
        ("InProgress", "Training", "running"), ("InProgress", "Uploading", "running"),
        ("Stopping", "Stopping", "stopping"), ("Stopped", "Stopped", "stopped"),
        ("Completed", "Completed", "completed"), ("Failed", "Failed", "failed"),
    ],
)  # fmt: skip
def test_every_status_is_a_state(status, second, state):
    assert training(status, second).state == state


def test_the_service_has_no_other_status():
    for word in MODEL.shape_for("TrainingJobStatus").enum:
        assert training(word, word).state != "waiting" or word == "InProgress"
    for word in MODEL.shape_for("HyperParameterTuningJobStatus").enum:
        found = tuning_status({"HyperParameterTuningJobStatus": word})
        assert found.is_over is (word in ("Completed", "Failed", "Stopped", "DeleteFailed"))


def test_the_detail_is_the_services_own_word_with_its_explanation():
    found = training("InProgress", "Downloading", message="Downloading input data")
    assert found.detail == "Downloading (Downloading input data)"


def test_interruptions_of_spot_instances_are_counted():
    found = training("InProgress", "Training", "Training", "Interrupted", "Starting", "Training")
    assert found.detail == "Training, interrupted once"
    found = training("InProgress", "Interrupted", "Interrupted", "Starting", "Interrupted")
    assert found.detail == "Interrupted, interrupted 2 times"


def test_the_end_says_the_metrics_and_what_was_paid():
    found = training(
        "Completed", "Completed", EnableManagedSpotTraining=True, TrainingTimeInSeconds=100,
        BillableTimeInSeconds=31,
        FinalMetricDataList=[{"MetricName": "test_accuracy", "Value": 0.98765432}],
    )  # fmt: skip
    assert found.detail == "Completed, test_accuracy=0.987654, 31 of 100 s billed"


@pytest.mark.parametrize(
    ("second", "text"),
    [("MaxRuntimeExceeded", "--max-time"), ("MaxWaitTimeExceeded", "--max-wait"), ("Stopped", "")],
)
def test_a_job_that_took_too_long_names_the_flag(second, text):
    found = training("Stopped", second)
    assert found.state == "stopped"
    assert text in found.failure
    assert bool(found.failure) is bool(text)


def test_the_reason_of_a_failure_is_kept_as_it_is():
    reason = "AlgorithmError: --steps 0: expected 1 or more, exit code: 2"
    found = training("Failed", "Failed", FailureReason=reason)
    assert found.failure == reason


def test_times_are_seconds():
    when = datetime(2026, 1, 1, tzinfo=UTC)
    found = training("Completed", "Completed", TrainingStartTime=when, TrainingEndTime=when)
    assert found.started == found.ended == when.timestamp()


def test_a_tuning_job_counts_its_trials_and_names_the_best():
    found = tuning_status({
        "HyperParameterTuningJobStatus": "InProgress",
        "TrainingJobStatusCounters": {"Completed": 3, "InProgress": 2, "Stopped": 0},
        "BestTrainingJob": {
            "TrainingJobName": "search-003-abc",
            "FinalHyperParameterTuningJobObjectiveMetric": {
                "MetricName": "test_accuracy", "Value": 0.98,
            },
        },
    })  # fmt: skip
    assert found.state == "running"
    assert found.detail == (
        "InProgress, 3 completed, 2 inprogress, best test_accuracy=0.98 by search-003-abc"
    )


def test_lines_of_a_job_that_has_just_ended_are_waited_for():
    now = datetime.now(UTC)
    assert training("Failed", "Failed", TrainingEndTime=now).late_lines > 0
    long_ago = now - timedelta(hours=1)
    assert training("Failed", "Failed", TrainingEndTime=long_ago).late_lines == 0
    assert training("InProgress", "Training").late_lines == 0
