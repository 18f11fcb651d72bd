"""Optuna's study of a sweep, made of the record of its trials."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from trainer.sweep.record import TrialRecord
from trainer.sweep.space import Dimension, Space

if TYPE_CHECKING:
    import optuna

PRUNERS = {"median": "MedianPruner", "asha": "SuccessiveHalvingPruner", "none": "NopPruner"}
# Differences between fewer say nothing of a parameter.
FEWEST_TRIALS = 3


def make_study(
    space: Space, trials: Sequence[TrialRecord], *, seed: int, pruner: str
) -> optuna.Study:
    """Return a study that has tried what the trials tried; those that were stopped come first."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    # A sampler that began with the same seed would propose the same values again.
    study = optuna.create_study(
        direction="maximize" if space.goal.maximize else "minimize",
        sampler=optuna.samplers.TPESampler(seed=seed + len(trials)),
        pruner=getattr(optuna.pruners, PRUNERS[pruner])(),
    )
    for each in trials:
        _repeat(study, each, space)
    for place, each in enumerate(trials):
        again = any(later.values == each.values for later in trials[place + 1 :])
        if each.state in ("running", "stopped") and not again:
            study.enqueue_trial(each.values)
    return study


def _repeat(study: optuna.Study, record: TrialRecord, space: Space) -> None:
    """Have a study go through a trial again, as pruners keep marks of their own with each value."""
    import optuna

    def again(trial: optuna.Trial) -> float:
        for each in space.dimensions:
            suggest(trial, each)
        for step, value in enumerate(record.curve, start=1):
            trial.report(value, step)
            trial.should_prune()
        if record.state == "pruned":
            raise optuna.TrialPruned
        if record.state != "complete" or record.value is None:
            raise _FailedAgainError
        return record.value

    study.enqueue_trial(record.values)
    study.optimize(again, n_trials=1, catch=(_FailedAgainError,))


class _FailedAgainError(Exception):
    """The trial failed, or was stopped."""


def importances(study: optuna.Study) -> dict[str, float]:
    """Return the share of each parameter in the metric's differences; empty if too few ended."""
    import optuna

    if sum(each.state.name == "COMPLETE" for each in study.trials) < FEWEST_TRIALS:
        return {}
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    try:
        with warnings.catch_warnings():
            # Of trials that are all equal, whose shares are equal, too.
            warnings.filterwarnings("ignore", message="Target and region quantiles select")
            return optuna.importance.get_param_importances(study, evaluator=evaluator)
    except (ValueError, RuntimeError):
        return {}


def suggest(trial: optuna.Trial, dimension: Dimension) -> Any:
    """Return the value of a dimension that a trial is to try."""
    name, low, high = dimension.name, dimension.low, dimension.high
    if dimension.choices:
        return trial.suggest_categorical(name, dimension.choices)
    if dimension.whole:
        step = int(dimension.step or 1)
        return trial.suggest_int(name, int(low), int(high), step=step, log=dimension.log)
    return trial.suggest_float(name, low, high, step=dimension.step, log=dimension.log)
