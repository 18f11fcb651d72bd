"""Optuna's study of a sweep, made of the record of its trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from trainer.sweep.record import TrialRecord
from trainer.sweep.space import Dimension, Space

if TYPE_CHECKING:
    import optuna

PRUNERS = {"median": "MedianPruner", "asha": "SuccessiveHalvingPruner", "none": "NopPruner"}
# Differences between fewer say nothing of a parameter.
FEWEST_TRIALS = 3
_STATES = {"complete": "COMPLETE", "pruned": "PRUNED"}


def make_study(
    space: Space, trials: Sequence[TrialRecord], *, seed: int, pruner: str
) -> optuna.Study:
    """Return a study that has tried what the trials tried; those that were stopped come first."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    # A sampler that began with the same seed would propose the same values again.
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=seed + len(trials)),
        pruner=getattr(optuna.pruners, PRUNERS[pruner])(),
    )
    distributions = {each.name: _distribution(each) for each in space.dimensions}
    for each in trials:
        study.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState[_STATES.get(each.state, "FAIL")],
                value=each.test_accuracy,
                params=each.values,
                distributions=distributions,
                intermediate_values=dict(enumerate(each.curve, start=1)),
            )
        )
    for place, each in enumerate(trials):
        again = any(later.values == each.values for later in trials[place + 1 :])
        if each.state in ("running", "stopped") and not again:
            study.enqueue_trial(each.values)
    return study


def importances(study: optuna.Study) -> dict[str, float]:
    """Return the share of each parameter in the differences of accuracy; empty if too few ended."""
    import optuna

    if sum(each.state.name == "COMPLETE" for each in study.trials) < FEWEST_TRIALS:
        return {}
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    try:
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


def _distribution(dimension: Dimension) -> Any:
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    low, high, log = dimension.low, dimension.high, dimension.log
    if dimension.choices:
        return CategoricalDistribution(dimension.choices)
    if dimension.whole:
        return IntDistribution(int(low), int(high), log=log, step=int(dimension.step or 1))
    return FloatDistribution(low, high, log=log, step=dimension.step)
