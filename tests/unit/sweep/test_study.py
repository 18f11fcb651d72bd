"""Optuna's study of a sweep, which is made of the record of its trials."""

import pytest

from trainer.sweep import TrialRecord, read_space
from trainer.sweep.space import Dimension
from trainer.sweep.study import PRUNERS, importances, make_study, suggest

optuna = pytest.importorskip("optuna")
pytestmark = pytest.mark.slow

SPACE = read_space(
    {
        "learning_rate": "0.001..0.1:log",
        "batch_size": "32..256:32",
        "model": "cnn,fast",
        "dropout": "0..0.5:0.25",
    }
)
VALUES = {"learning_rate": 0.01, "batch_size": 64, "model": "fast", "dropout": 0.25}


def trial(number: int, accuracy: float | None = None, state: str = "complete", **more):
    values = VALUES | more.pop("values", {})
    return TrialRecord(trial=number, state=state, values=values, value=accuracy, **more)


def study_of(*trials: TrialRecord, seed: int = 0, pruner: str = "none"):
    return make_study(SPACE, trials, seed=seed, pruner=pruner)


def next_values(study) -> dict:
    asked = study.ask()
    return {each.name: suggest(asked, each) for each in SPACE.dimensions}


@pytest.mark.parametrize("seed", range(5))
def test_values_are_within_the_space(seed):
    values = next_values(study_of(seed=seed))
    assert 0.001 <= values["learning_rate"] <= 0.1
    assert values["batch_size"] in range(32, 257, 32)
    assert values["model"] in ("cnn", "fast")
    assert values["dropout"] in (0.0, 0.25, 0.5)


def test_the_same_seed_and_trials_give_the_same_values():
    assert next_values(study_of(seed=3)) == next_values(study_of(seed=3))
    assert next_values(study_of(seed=3)) != next_values(study_of(seed=4))
    # A sweep that goes on tries others.
    assert next_values(study_of(seed=3)) != next_values(study_of(trial(0, 0.5), seed=3))


def test_a_study_knows_what_the_trials_gave():
    study = study_of(
        trial(0, 0.5, curve=[0.25, 0.5]),
        trial(1, state="pruned", curve=[0.125]),
        trial(2, state="failed"),
        trial(3, state="stopped", curve=[0.25]),
    )
    assert [each.state.name for each in study.trials][:4] == ["COMPLETE", "PRUNED", "FAIL", "FAIL"]
    assert study.best_trial.number == 0
    assert study.trials[0].intermediate_values == {1: 0.25, 2: 0.5}
    assert study.trials[0].params == VALUES


@pytest.mark.parametrize("state", ["running", "stopped"])
def test_what_was_not_ended_comes_first_and_once(state):
    other = VALUES | {"batch_size": 96}
    study = study_of(trial(0, state=state), trial(1, state=state, values=other), trial(2, 0.5))
    # The first has been tried again since.
    assert next_values(study) == other
    assert next_values(study) not in (other, VALUES)


@pytest.mark.parametrize("pruner", PRUNERS)
def test_a_trial_behind_all_others_is_ended_unless_none_is_to_be(pruner):
    study = study_of(pruner=pruner)
    ended = []
    for accuracy in [1.0] * 8 + [0.1]:
        one = study.ask()
        for step in range(1, 9):
            one.report(accuracy, step)
            ended.append(one.should_prune())
        study.tell(one, accuracy)
    assert not any(ended[:-8])
    assert any(ended) == (pruner != "none")


@pytest.mark.parametrize("pruner", PRUNERS)
def test_a_study_that_goes_on_ends_the_trials_that_it_would_have_ended_at_once(pruner):
    """Of two studies with the same trials, one was made of their record."""
    curves = [[0.1 * n + 0.01 * step for step in range(1, 6)] for n in (8, 7, 6, 5, 4, 3, 2, 1)]
    whole, records = study_of(pruner=pruner), []
    for number, curve in enumerate(curves):
        records.append(trial(number, **_followed(whole, curve)))
    goes_on = study_of(*records, pruner=pruner)
    for curve in ([0.15] * 5, [0.55] * 5, [0.9] * 5):
        assert _followed(goes_on, curve) == _followed(whole, curve)
    states = [each.state.name for each in goes_on.trials]
    assert ("PRUNED" in states) == (pruner != "none")


def _followed(study, curve: list[float]) -> dict:
    """Follow a trial as a search does, and return what its record says."""
    study.enqueue_trial(VALUES)
    one = study.ask()
    for each in SPACE.dimensions:
        suggest(one, each)
    for step, accuracy in enumerate(curve, start=1):
        one.report(accuracy, step)
        if one.should_prune() and step < len(curve):
            study.tell(one, state=optuna.trial.TrialState.PRUNED)
            return {"state": "pruned", "curve": curve[:step]}
    study.tell(one, curve[-1])
    return {"state": "complete", "accuracy": curve[-1], "curve": curve}


def test_nothing_is_printed_of_trials_that_are_all_equal(recwarn, capsys):
    equal = [trial(n, 0.5, values={"batch_size": 32 + 32 * n}) for n in range(3)]
    assert importances(study_of(*equal))
    assert not recwarn.list
    assert capsys.readouterr() == ("", "")


def test_a_parameter_that_decides_has_the_greatest_share():
    trials = [
        trial(n, 0.9 if n % 2 else 0.1 + n / 1000, values={"model": "fast" if n % 2 else "cnn",
                                                           "batch_size": 32 + 32 * (n % 8)})
        for n in range(16)
    ]  # fmt: skip
    shares = importances(study_of(*trials))
    assert max(shares, key=lambda name: shares[name]) == "model"
    assert sum(shares.values()) == pytest.approx(1)


def test_too_few_trials_or_equal_ones_say_nothing_of_parameters():
    assert importances(study_of(trial(0, 0.5), trial(1, 0.6))) == {}
    one = read_space({"model": "cnn,fast"})
    none = make_study(one, [], seed=0, pruner="none")
    assert importances(none) == {}


def test_a_range_of_whole_numbers_by_magnitude_has_them_alone():
    dimension = Dimension(name="width", own=True, whole=True, low=8, high=512, log=True)
    asked = study_of().ask()
    value = suggest(asked, dimension)
    assert isinstance(value, int)
    assert 8 <= value <= 512
