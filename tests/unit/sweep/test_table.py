"""The table of a sweep: every trial with what is known of it."""

from trainer.sweep import SweepRecord, TrialRecord, read_space
from trainer.sweep.table import aligned, table_of

SPACE = read_space({"learning_rate": "0.001..0.1:log", "model": "cnn,fast"})


def trial(number: int, state: str, **more) -> TrialRecord:
    values = {"learning_rate": 0.00123456789 * (number + 1), "model": "cnn"}
    return TrialRecord(trial=number, state=state, values=values, **more)


def test_the_best_is_first_and_a_pruned_trial_has_its_last_accuracy():
    record = SweepRecord(
        space=SPACE,
        trials=[
            trial(0, "failed", error="no", curve=[0.5]),
            trial(1, "pruned", curve=[0.2, 0.99], seconds=2.0),
            trial(2, "complete", value=0.8, curve=[0.8], seconds=10.25),
            trial(3, "complete", value=0.9, curve=[0.9], seconds=3.0),
        ],
    )
    assert aligned(*table_of(record)) == [
        "trial  state     test accuracy  model  learning_rate  seconds  error",
        "    3  complete         0.9000  cnn         0.004938      3.0",
        "    2  complete         0.8000  cnn         0.003704     10.2",
        "    1  pruned           0.9900  cnn         0.002469      2.0",
        "    0  failed                –  cnn         0.001235        –  no",
    ]


def test_without_a_failure_no_column_is_empty():
    heads, rows = table_of(SweepRecord(space=SPACE, trials=[trial(0, "complete")]))
    assert heads[-1] == "seconds" and len(rows[0]) == len(heads)
