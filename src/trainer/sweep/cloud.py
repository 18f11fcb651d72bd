"""The same search as the definition of a tuning job, for SageMaker and for Vertex AI."""

from __future__ import annotations

from typing import Any

from trainer.config import DEFAULT_TAG, UserError
from trainer.sweep.metric import metric_of, regex_of
from trainer.sweep.space import Dimension, Space

# SageMaker takes no more values for one choice.
MOST_CHOICES = 30


def sagemaker_definition(space: Space, *, trials: int, jobs: int) -> dict[str, Any]:
    """Return what `create_hyper_parameter_tuning_job` needs to search this space.

    Raises:
        UserError: A range has more steps than SageMaker takes values for a choice.
    """
    ranges: dict[str, list[dict[str, Any]]] = {
        "IntegerParameterRanges": [], "ContinuousParameterRanges": [],
        "CategoricalParameterRanges": [],
    }  # fmt: skip
    for each in space.dimensions:
        values = each.choices or steps_of(each)
        if values:
            if len(values) > MOST_CHOICES:
                raise UserError(
                    subject=each.name, problem=f"SageMaker takes up to {MOST_CHOICES} values"
                )
            ranges["CategoricalParameterRanges"].append({"Name": each.name, "Values": [*values]})
            continue
        kind = "IntegerParameterRanges" if each.whole else "ContinuousParameterRanges"
        ranges[kind].append({
            "Name": each.name, "MinValue": str(each.low), "MaxValue": str(each.high),
            "ScalingType": "Logarithmic" if each.log else "Linear",
        })  # fmt: skip
    metric = metric_of(space)
    return {
        "HyperParameterTuningJobConfig": {
            "Strategy": "Bayesian",
            "HyperParameterTuningJobObjective": {
                "Type": "Maximize" if space.goal.maximize else "Minimize", "MetricName": metric,
            },
            "ResourceLimits": {
                "MaxNumberOfTrainingJobs": trials, "MaxParallelTrainingJobs": jobs,
            },
            "ParameterRanges": ranges,
            "TrainingJobEarlyStoppingType": "Auto",
        },
        "TrainingJobDefinition": {
            "AlgorithmSpecification": {
                "MetricDefinitions": [{"Name": metric, "Regex": regex_of(metric)}]
            },
            "StaticHyperParameters": _static(space),
        },
    }  # fmt: skip


def _static(space: Space) -> dict[str, str]:
    """Return the values that all trials share; files are left out, as channels bring them."""
    words = space.fixed
    flags = [w[2:].partition("=") for w in words if w.startswith("--") and "=" in w]
    own = [words[i + 1].partition("=") for i, w in enumerate(words) if w == "--hp"]
    return {name.replace("-", "_"): value for name, _, value in flags} | {
        name: value for name, _, value in own
    }


def vertex_definition(space: Space, *, trials: int, jobs: int) -> dict[str, Any]:
    """Return the part of a `HyperparameterTuningJob` that describes this search."""
    parameters: list[dict[str, Any]] = []
    for each in space.dimensions:
        spec: dict[str, Any] = {"parameterId": each.name}
        if each.choices:
            spec["categoricalValueSpec"] = {"values": [*each.choices]}
        elif each.step is not None:
            spec["discreteValueSpec"] = {"values": [float(v) for v in steps_of(each)]}
        else:
            kind = "integerValueSpec" if each.whole else "doubleValueSpec"
            spec[kind] = {"minValue": each.low, "maxValue": each.high}
            if each.whole:
                # JSON has 64-bit integers as text there.
                spec[kind] = {name: str(value) for name, value in spec[kind].items()}
            spec["scaleType"] = "UNIT_LOG_SCALE" if each.log else "UNIT_LINEAR_SCALE"
        parameters.append(spec)
    return {
        "studySpec": {
            "metrics": [
                {"metricId": DEFAULT_TAG, "goal": "MAXIMIZE" if space.goal.maximize else "MINIMIZE"}
            ],
            "parameters": parameters,
        },
        "maxTrialCount": trials,
        "parallelTrialCount": jobs,
        "trialJobSpec": {"workerPoolSpecs": [{"containerSpec": {"args": [*space.fixed]}}]},
    }


def steps_of(dimension: Dimension) -> tuple[str, ...]:
    """Return the values of a range with steps; none for any other."""
    if dimension.step is None:
        return ()
    count = int((dimension.high - dimension.low) / dimension.step + 1e-9) + 1
    values = (dimension.low + n * dimension.step for n in range(count))
    return tuple(str(v) if dimension.whole else f"{v:.12g}" for v in values)
