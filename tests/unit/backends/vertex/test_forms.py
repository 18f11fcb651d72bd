import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import google_discovery
import pytest
import yaml
from drawn_submissions import submissions
from hypothesis import HealthCheck, given, settings

from trainer.backends import Tuning
from trainer.backends.vertex.forms import as_command, as_json, as_yaml
from trainer.backends.vertex.python_form import as_python
from trainer.backends.vertex.tuning import tuning_job
from trainer.config import Hparams, Job, Parser, UserError, add_flags
from trainer.platforms import Environment, Submission, VertexOptions, custom_job, resolve_job
from trainer.platforms.google.container import vertex_container
from trainer.sweep import read_space

OPTIONS = VertexOptions(project="p", accelerator_type="NVIDIA_L4")
JOB = Submission(
    job=Job(steps=40), given=frozenset({"steps"}), name="run-1", image="image:cpu",
    output="gs://b/data",
)  # fmt: skip
SEARCH = {
    "learning_rate": "0.001..0.1:log",
    "batch_size": "32,64",
    "warmup": "0..0.4:0.1",
    "seed": "1..9",
    "hp": (("width", "8..64"),),
}
every = settings(max_examples=50, suppress_health_check=list(HealthCheck), deadline=None)


def tuning(submission: Submission = JOB, search=SEARCH, trials=8, parallel=2):
    return tuning_job(
        submission, OPTIONS, Tuning(space=read_space(search), trials=trials, parallel=parallel)
    )


@given(submission=submissions("gs://b/data"))
@every
def test_each_form_holds_the_same_job(submission):
    request = custom_job(submission, OPTIONS)
    assert json.loads(as_json(request)) == request.body
    assert yaml.safe_load(as_yaml(request)) == request.spec
    pools = executed(as_python(request))["worker_pool_specs"]
    containers = [pool["containerSpec"] for pool in request.spec["workerPoolSpecs"] if pool]
    assert [pool["container_spec"].get("args") for pool in pools if pool] == [
        container.get("args") for container in containers
    ]


def executed(code: str) -> dict:
    """Return what the printed code calls `CustomJob` with; its imports are left out."""
    calls = {}
    job = SimpleNamespace(submit=calls.update, resource_name="", job_spec=SimpleNamespace())

    def custom_job(**arguments):
        calls.update(arguments)
        return job

    job.submit = lambda **arguments: calls.update(arguments)
    aiplatform = SimpleNamespace(init=lambda **_: None, CustomJob=custom_job)
    lines = [line for line in code.splitlines() if not line.startswith("from ")]
    exec("\n".join(lines), {"aiplatform": aiplatform, "print": lambda *_: None})
    return calls


@pytest.mark.parametrize("value", ["1e-3", "007", "1_000", "1:30", "yes", "~", "2026-01-01", ".5"])
def test_text_that_some_yaml_takes_for_something_else_is_in_quotes(value):
    job = dataclasses.replace(JOB.job, mlflow_experiment=value)
    submission = dataclasses.replace(JOB, job=job, given=frozenset({"mlflow_experiment"}))
    assert f'- "{value}"' in as_yaml(custom_job(submission, OPTIONS))


def test_a_tuning_job_is_as_googles_description_has_it():
    job = dataclasses.replace(JOB, tags={"team": "vision"})
    body = tuning(job).body
    assert google_discovery.mistakes(body, "GoogleCloudAiplatformV1HyperparameterTuningJob") == []
    assert body["trialJobSpec"] == custom_job(job, OPTIONS).spec
    assert body["labels"] == {"team": "vision"}


def test_gclouds_file_of_a_tuning_job_has_the_study_and_the_job_and_flags_have_the_counts():
    request = tuning()
    assert [*yaml.safe_load(as_yaml(request))] == ["studySpec", "trialJobSpec"]
    command = as_command(request)
    assert "gcloud ai hp-tuning-jobs create" in command
    assert "--max-trial-count=8" in command
    assert "--parallel-trial-count=2" in command


def test_a_trial_trains_with_the_values_that_the_service_chose():
    """The service passes them as flags, whole numbers with a point."""
    search = {"learning_rate": "0.001..0.1:log", "batch_size": "32,64", "seed": "1..9"}
    request = tuning(search=search)
    trial = {"learning_rate": 0.0123, "batch_size": "64", "seed": "7.0"}
    start = vertex_container(request, 0, 0, trial=trial)
    parser = Parser(prog="trainer train", allow_abbrev=False)
    add_flags(parser, Hparams, Job)
    # Without the mounts of buckets, so that urls stay as they are.
    environment = Environment(env=start.env, argv=start.argv, root=Path("/nowhere"))
    job = resolve_job(environment, vars(parser.parse_args([*start.argv]))).job
    assert (job.hparams.learning_rate, job.hparams.batch_size, job.hparams.seed) == (0.0123, 64, 7)
    assert (job.steps, job.model_dir) == (40, "gs://b/data/run-1/1/model")
    assert job.checkpoint_dir == "gs://b/data/run-1/1/checkpoints"
    assert job.trial is not None
    assert (job.trial.number, job.trial.tag) == (
        "1", request.body["studySpec"]["metrics"][0]["metricId"],
    )  # fmt: skip


def test_a_trial_counts_by_the_evaluation_of_the_model_that_it_exports():
    assert tuning().body["studySpec"]["measurementSelectionType"] == "LAST_MEASUREMENT"
    job = dataclasses.replace(JOB, job=dataclasses.replace(JOB.job, early_stop="3"))
    assert tuning(job).body["studySpec"]["measurementSelectionType"] == "BEST_MEASUREMENT"


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"trials": 1001}, "--trials 1001: Vertex AI takes up to 1000"),
        ({"trials": 500, "parallel": 101}, "--parallel 101: Vertex AI takes up to 100"),
    ],
)
def test_searches_that_are_too_large(counts, message):
    with pytest.raises(UserError, match=message):
        tuning(**counts)
