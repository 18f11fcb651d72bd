"""A search as a tuning job of SageMaker."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator
from hypothesis import HealthCheck, given, settings, strategies as st
from sagemaker_jobs import any_flags, started

from trainer.backends.backend import Tuning
from trainer.backends.sagemaker.backend import BACKEND
from trainer.backends.sagemaker.tuning import TuningRequest, tuning_request
from trainer.config.errors import UserError
from trainer.config.flags import job_from_flags
from trainer.platforms.resolve import resolve_job
from trainer.platforms.sagemaker.container import container_starts
from trainer.platforms.sagemaker.options import SageMakerOptions
from trainer.platforms.submission import Submission
from trainer.sweep.space import read_space

ROLE = "arn:aws:iam::123456789012:role/Trains"
SEARCHED = {"learning_rate": "0.001..0.1:log", "batch_size": "32,64"}
OWN = {"module": "mine", "hp": (("units", "8..64"),)}


def tuned(
    searched: dict[str, Any], *, name: str = "search-1", trials: int = 6, parallel: int = 2,
    spot: bool = False, **flags: Any,
) -> TuningRequest:  # fmt: skip
    submission = Submission(
        job=job_from_flags(flags), given=frozenset(flags), name=name, image="image",
        output="s3://bucket/out", spot=spot,
    )  # fmt: skip
    tuning = Tuning(space=read_space(searched), trials=trials, parallel=parallel)
    return tuning_request(submission, SageMakerOptions(role=ROLE), tuning)


def mistake(*args: Any, **more: Any) -> str:
    with pytest.raises(UserError) as error:
        tuned(*args, **more)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    "flags",
    [
        {}, {"train": ("s3://b/x",), "validation": ("s3://b/y",), "metric": "loss:min"},
        {"steps": 10, "log_dir": "logs", "checkpoint_dir": "c"},
    ],
)  # fmt: skip
def test_the_service_model_accepts_it(flags):
    model = botocore.session.get_session().get_service_model("sagemaker")
    shape = model.operation_model("CreateHyperParameterTuningJob").input_shape
    body = tuned(SEARCHED, spot=True, **flags).body()
    assert ParamValidator().validate(body, shape).generate_report() == ""
    names = {
        each["Name"]
        for each in body["TrainingJobDefinition"]["AlgorithmSpecification"]["MetricDefinitions"]
    }
    objective = body["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
    assert objective["MetricName"] in names


@pytest.mark.parametrize(
    ("flags", "metric", "kind"),
    [
        ({}, "test_accuracy", "Maximize"),
        ({"validation_split": 0.1}, "validation_accuracy", "Maximize"),
        ({"metric": "loss:min"}, "test_loss", "Minimize"),
        ({"metric": "validation_top_5:max"}, "test_top_5", "Maximize"),
    ],
)
def test_trials_are_compared_by_the_figure_that_the_trainer_goes_by(flags, metric, kind):
    objective = tuned(SEARCHED, **flags).search["HyperParameterTuningJobObjective"]
    assert objective == {"Type": kind, "MetricName": metric}


def test_what_is_searched_is_not_set_besides():
    body = tuned(SEARCHED, learning_rate=0.5, steps=10).body()
    assert body["TrainingJobDefinition"]["StaticHyperParameters"] == {"steps": "10"}


def test_a_made_name_is_made_short_enough_and_a_given_one_refused():
    request = tuned(SEARCHED, name="trainer-sagemaker-cnn-20260101-120000-1a2b")
    assert request.name == "trainer-sag-20260101-120000-1a2b"
    assert "--name " + "a" * 33 in mistake(SEARCHED, name="a" * 33)


@pytest.mark.parametrize(
    ("searched", "more", "text"),
    [
        (SEARCHED, {"parallel": 7}, "--parallel 7: expected --trials, 6, or fewer"),
        ({**OWN, "hp": (("my-units", "8..64"),)}, {"module": "mine"}, "--tune my-units: SageMaker"),
        (OWN, {}, "--tune units: is no flag of trainer train, and only a module of your own"),
    ],
)
def test_what_cannot_be_searched_is_one_line(searched, more, text):
    assert text in mistake(searched, **more)


def test_a_search_is_printed_as_request_and_command():
    request = tuned(SEARCHED)
    assert json.loads(BACKEND.forms["request"](request)) == request.body()
    assert BACKEND.forms["cli"](request).startswith(
        "aws sagemaker create-hyper-parameter-tuning-job \\\n    --hyper-parameter-tuning-job-name "
    )
    with pytest.raises(UserError, match=r"leaves out keys, .*; print request, cli or"):
        BACKEND.forms["python-v3"](request)
    assert BACKEND.containers is not None
    with pytest.raises(UserError, match="search here with trainer sweep"):
        BACKEND.containers(request)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    rate=st.floats(0.001, 0.1), size=st.sampled_from(["32", "64"]), units=st.integers(8, 64),
    flags=any_flags(),
)  # fmt: skip
def test_each_trial_is_the_job_with_the_values_that_are_tried(rate, size, units, flags):
    searched = {"learning_rate": "0.001..0.1:log", "batch_size": "32,64", **OWN}
    others = {name: value for name, value in flags.items() if name not in {*searched, "hp"}}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        training = tuned(searched, **{**others, "module": "mine"}).training
        tried = {"learning_rate": str(rate), "batch_size": size, "units": str(units)}
        sent = {**training.hyperparameters, **tried, "_tuning_objective_metric": "test_accuracy"}
        trial = dataclasses.replace(training, name="search-1-001-ab", hyperparameters=sent)
        found = resolve_job(started(container_starts(trial)[0], root), {}).job
    assert (found.hparams.learning_rate, found.hparams.batch_size) == (rate, int(size))
    assert dict(found.hparams.hp) == {"units": str(units)}
    for name in ("steps", "metric", "mlflow_uri", "distribution", "report", "feature"):
        if name in others:
            assert getattr(found, name) == others[name]
