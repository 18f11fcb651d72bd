"""A search as SageMaker's `CreateHyperParameterTuningJob` takes it."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any, ClassVar

from trainer.backends.backend import Tuning
from trainer.config import Job, MetricGoal, UserError, flag_of
from trainer.platforms import SageMakerOptions, Submission, TrainingRequest, coerce_value, sagemaker
from trainer.sweep import sagemaker_definition

# The form of the names that `submission` makes, which may be too long here.
_MADE_NAME = re.compile(r"(trainer-.+)-(\d{8}-\d{6})-([0-9a-f]{4})")


@dataclass(frozen=True, kw_only=True)
class TuningRequest:
    """A tuning job: what all trials share, and what is searched for.

    Attributes:
        training: The request of one trial, whose name is that of the tuning job.
        search: The ranges, the figure and the limits, as the service takes them.
    """

    training: TrainingRequest
    search: dict[str, Any]
    command: ClassVar[str] = "create-hyper-parameter-tuning-job"

    @property
    def name(self) -> str:
        """The name of the tuning job."""
        return self.training.name

    @property
    def options(self) -> SageMakerOptions:
        """The flags of the place."""
        return self.training.options

    def body(self) -> dict[str, Any]:
        """Return the argument of boto3's `create_hyper_parameter_tuning_job`."""
        training = self.training.body()
        definition = self.training.definition()
        definition["StaticHyperParameters"] = dict(self.training.hyperparameters)
        return {
            "HyperParameterTuningJobName": self.name,
            "HyperParameterTuningJobConfig": self.search,
            "TrainingJobDefinition": definition,
            "Tags": training["Tags"],
        }


def tuning_request(
    submission: Submission, options: SageMakerOptions, tuning: Tuning
) -> TuningRequest:
    """Return what SageMaker is asked for a search.

    Args:
        submission: What all trials share.
        options: The flags of the place.
        tuning: What is searched for.

    Raises:
        UserError: SageMaker takes no such search.
    """
    limits = sagemaker.limits
    name = limits.check_name(_short(submission.name), longest=limits.TUNING_NAME)
    searched = {each.name for each in tuning.space.dimensions}
    _check(submission.job, tuning)
    submission = dataclasses.replace(submission, name=name, given=submission.given - searched)
    found = sagemaker_definition(tuning.space, trials=tuning.trials, jobs=tuning.parallel)
    search: dict[str, Any] = found["HyperParameterTuningJobConfig"]
    metric, maximize = _objective(submission.job)
    search["HyperParameterTuningJobObjective"] = {
        "Type": "Maximize" if maximize else "Minimize", "MetricName": metric,
    }  # fmt: skip
    return TuningRequest(
        training=sagemaker.request.training_request(submission, options), search=search
    )


def _short(name: str) -> str:
    """Return a name that was made for a job of one kind short enough for the other."""
    made = _MADE_NAME.fullmatch(name)
    most = sagemaker.limits.TUNING_NAME
    if made is None or len(name) <= most:
        return name
    rest = f"-{made[2]}-{made[3]}"
    return made[1][: most - len(rest)].rstrip("-") + rest


def _objective(job: Job) -> tuple[str, bool]:
    """Return the figure that trials are compared by, and whether more of it is better."""
    goal = MetricGoal.of(job.metric) if job.metric else MetricGoal()
    split = "validation" if job.validation or job.validation_split is not None else "test"
    return f"{split}_{goal.name}", goal.maximize


def _check(job: Job, tuning: Tuning) -> None:
    """Raise a UserError for what would not reach a trial under its own name, or as itself."""
    for each in tuning.space.dimensions:
        if each.own and not re.fullmatch(r"\w+", each.name):
            raise UserError(
                subject=f"--tune {each.name}",
                problem="SageMaker passes a hyperparameter of a module on by its name, in which "
                "hyphens become underscores",
                remedy="give it a name of letters, digits and underscores",
            )
        if each.own and job.module == Job.module:
            raise UserError(
                subject=f"--tune {each.name}", problem="is no flag of trainer train, and only a "
                "module of your own (--module) has hyperparameters besides",
            )  # fmt: skip
        for choice in () if each.own else each.choices:
            coerce_value(each.name, choice, where=f"--tune {flag_of(each.name)[2:]}")
    if tuning.parallel > tuning.trials:
        raise UserError(
            subject=f"--parallel {tuning.parallel}",
            problem=f"expected --trials, {tuning.trials}, or fewer",
        )
