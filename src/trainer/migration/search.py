"""A `HyperparameterTuner` as the flags of a search: --tune, --trials, --parallel, --metric."""

from __future__ import annotations

import re
from typing import Any

from trainer.config import MetricGoal, UserError
from trainer.migration.draft import Draft, is_option
from trainer.migration.values import Made, Text, Unknown, joined
from trainer.platforms import field_of

# Arguments that the flags have, or that nothing is lost without.
_READ = (
    "estimator", "objective_metric_name", "objective_type", "hyperparameter_ranges", "max_jobs",
    "max_parallel_jobs", "tags", "base_tuning_job_name", "metric_definitions", "custom_job",
    "display_name", "metric_spec", "parameter_spec", "max_trial_count", "parallel_trial_count",
)  # fmt: skip
_SAME = {"strategy": "Bayesian", "early_stopping_type": "Auto"}
_LISTED = ("CategoricalParameter", "CategoricalParameterSpec", "DiscreteParameterSpec")
_RANGED = (
    "ContinuousParameter", "IntegerParameter", "DoubleParameterSpec", "IntegerParameterSpec",
)  # fmt: skip
_SPLIT = re.compile(r"^(?:test|validation|val|eval|valid)[_:-]")
_FIGURES = {"acc": "accuracy", "accuracy": "accuracy", "loss": "loss"}


def add_search(draft: Draft, tuner: Made) -> None:
    """Add the search of a tuner to the command of its estimator."""
    ranges = tuner.given.get("hyperparameter_ranges") or tuner.given.get("parameter_spec")
    found: list[Any] = []
    for name, value in ranges.value.items() if ranges and isinstance(ranges.value, dict) else ():
        text = _range(value)
        if text is None:
            draft.note(ranges or tuner.line, f"range {name}", "give it by --tune "
                       f"{_flag(str(name))}=LOW..HIGH or A,B,C")  # fmt: skip
        else:
            found.append(joined(f"{_flag(str(name))}=", text))
            draft.fields.pop(field_of(str(name)), None)
            draft.own.pop(str(name).replace("-", "_"), None)
    if found:
        draft.set("tune", *found)
    for names, option in (
        (("max_jobs", "max_trial_count"), "trials"),
        (("max_parallel_jobs", "parallel_trial_count"), "parallel"),
    ):
        # The SDK's own default is one of each.
        draft.set(option, tuner.value(*names) or 1)
    _add_objective(draft, tuner)
    for name, each in tuner.given.items():
        if name not in _READ and each.value not in (None, _SAME.get(name)):
            draft.note(each, name, "a search has --tune, --trials and --parallel alone")


def _flag(name: str) -> str:
    field = field_of(name)
    return field.replace("_", "-") if is_option(field) else name.replace("-", "_")


def _range(value: Any) -> Any:
    """Return a range as `--tune` takes it, or None."""
    if not isinstance(value, Made):
        return None
    if value.kind in _LISTED:
        choices = value.value("values")
        choices = choices if isinstance(choices, list) else [choices]
        texts = [str(each).lower() if isinstance(each, bool) else each for each in choices]
        usable = all(isinstance(each, (str, int, float)) and "," not in str(each) for each in texts)
        return ",".join(map(str, texts)) if usable and len(texts) > 1 else None
    low, high = value.value("min_value", "min"), value.value("max_value", "max")
    if value.kind not in _RANGED or None in (low, high):
        return None
    for each in (low, high):
        if not isinstance(each, (int, float, Unknown, Text)):
            return None
    log = ":log" if value.value("scaling_type", "scale") in ("Logarithmic", "log") else ""
    return joined(_number(low), "..", _number(high), log)


def _number(value: Any) -> Any:
    return repr(value) if isinstance(value, float) else value


def _add_objective(draft: Draft, tuner: Made) -> None:
    """Choose the figure that trials are compared by."""
    given = tuner.given.get("objective_metric_name") or tuner.given.get("metric_spec")
    named, kind = given.value if given else None, str(tuner.value("objective_type") or "Maximize")
    if isinstance(named, dict) and len(named) == 1:
        # `metric_spec={"accuracy": "maximize"}`, of Vertex AI.
        ((named, kind),) = named.items()
    if given is None or not isinstance(named, str):
        return
    name = _SPLIT.sub("", named)
    name = _FIGURES.get(name, name)
    goal = f"{name}:{'min' if str(kind).lower() == 'minimize' else 'max'}"
    if goal in ("accuracy:max", draft.fields.get("metric")):
        return
    try:
        MetricGoal.of(goal)
    except UserError:
        draft.note(given, "objective_metric_name", "name a figure of an evaluation by --metric "
                   "NAME:max or NAME:min behind --")  # fmt: skip
        return
    if name not in _FIGURES.values():
        draft.note(given, "objective_metric_name", f"metrics() of the module has to have {name}")
    draft.fields["metric"] = goal
