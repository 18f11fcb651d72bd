import google_discovery
import pytest

from trainer.backends.vertex.states import STATES, seconds, status_of, with_hint


def test_every_state_of_the_api_is_known():
    job = google_discovery.document("aiplatform.v1")["schemas"]["GoogleCloudAiplatformV1CustomJob"]
    assert {*STATES} == {*job["properties"]["state"]["enum"]} - {"JOB_STATE_UNSPECIFIED"}


def test_a_running_job_says_since_when():
    status = status_of({"state": "JOB_STATE_RUNNING", "startTime": "1970-01-01T00:01:00Z"})
    assert (status.state, status.detail, status.started) == ("running", "running", 60)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("The replica workerpool0-0 exited with a non-zero status of 2. To find out more …", 2),
        ("Replica workerpool1-0 exited with a non-zero status of 139. Termination reason: E", 139),
        ("Replicas low on memory: workerpool0.", None),
    ],
)
def test_the_exit_code_of_a_replica_is_found_in_the_text(text, code):
    status = status_of({"state": "JOB_STATE_FAILED", "error": {"code": 3, "message": text}})
    assert (status.state, status.exit_code) == ("failed", code)
    assert status.failure.startswith(text[:30])


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("The following quota metrics exceed quota limits: …/custom_model_training_nvidia_l4_gpus",
         "ask for more of this quota"),
        ("Resources are insufficient in region: us-central1. Please try a different region.",
         "--strategy flex-start"),
        ("Failed to pull image x/y:1: denied: Permission \"artifactregistry.repositories."
         "downloadArtifacts\" denied", "roles/artifactregistry.reader"),
        ("You do not have permission to act as service_account: me@p", "serviceAccountUser"),
        ("Permission denied: gs://b/x", "roles/storage.objectUser"),
        ("Replicas low on memory: workerpool0.", "--machine-type with more memory"),
        ("The replica was preempted", "goes on from its newest checkpoint"),
    ],
)  # fmt: skip
def test_a_failure_says_what_to_do(text, advice):
    assert with_hint(text).startswith(text.rstrip("."))
    assert advice in with_hint(text)


def test_a_failure_that_nobody_knows_stays_as_it_is():
    assert with_hint("Internal error occurred.") == "Internal error occurred."


def test_times_with_nanoseconds_are_read():
    assert seconds("1970-01-01T00:00:01.123456789Z") == pytest.approx(1.123456)
    assert seconds(None) is None


def test_a_tuning_job_says_how_far_it_is_and_which_trial_is_best():
    def trial(number: int, value: float | None, state: str = "SUCCEEDED") -> dict:
        metrics = [] if value is None else [{"metricId": "m", "value": value}]
        return {
            "id": str(number), "state": state, "finalMeasurement": {"metrics": metrics},
            "parameters": [{"parameterId": "learning_rate", "value": number / 10}],
        }  # fmt: skip

    job = {"state": "JOB_STATE_RUNNING", "maxTrialCount": 8}
    assert status_of(job).detail == "running, 0 of 8 trials"
    job["trials"] = [trial(1, 0.5), trial(2, 0.9), trial(3, None, "INFEASIBLE"),
                     trial(4, None, "ACTIVE")]  # fmt: skip
    assert status_of(job).detail == "running, 3 of 8 trials, best 2: 0.9 with learning_rate=0.2"
    job["studySpec"] = {"metrics": [{"metricId": "m", "goal": "MINIMIZE"}]}
    assert status_of(job).detail == "running, 3 of 8 trials, best 1: 0.5 with learning_rate=0.1"
