"""The learning curves, and how they go on after a checkpoint."""

import dataclasses
import json

from trainer.training.curves import MOST_POINTS, CurveRecorder, EvaluationPoint, TrainingPoint


def training(step: int) -> TrainingPoint:
    return TrainingPoint(
        step=step, seconds=step / 10, loss=1 / step, accuracy=0.5, learning_rate=0.1,
        images_per_second=100.0,
    )  # fmt: skip


def evaluation(step: int, accuracy: float = 0.5) -> EvaluationPoint:
    return EvaluationPoint(step=step, seconds=step / 10, loss=0.25, accuracy=accuracy)


def plain(curve: dict) -> list[list[float]]:
    return [column for name, column in curve.items() if name != "metrics"]


def recorded(*steps: int) -> CurveRecorder:
    curves = CurveRecorder()
    for step in steps:
        curves.add_training(training(step))
        curves.add_evaluation(evaluation(step))
    return curves


def test_points_are_columns_of_equal_length():
    found = recorded(1, 2, 3).as_json()
    assert found["train"]["step"] == found["test"]["step"] == [1, 2, 3]
    columns = [column for curve in ("train", "test") for column in plain(found[curve])]
    assert {len(column) for column in columns} == {3}
    assert {len(column) for column in plain(found["validation"])} == {0}
    assert found["test"]["metrics"] == {}


def test_a_resumed_run_goes_on_with_the_points_up_to_its_checkpoint():
    written = json.loads(json.dumps(recorded(10, 20, 30).as_json()))
    curves = CurveRecorder()
    curves.resume(written, step=20)
    curves.add_training(training(30))
    assert curves.as_json()["train"] == recorded(10, 20, 30).as_json()["train"]
    assert curves.as_json()["test"]["step"] == [10, 20]


def test_further_figures_have_a_column_each_and_go_on_with_the_others():
    curves = CurveRecorder()
    # A checkpoint of an earlier version has none.
    old = {
        name: column for name, column in recorded(1).as_json()["test"].items() if name != "metrics"
    }
    curves.resume({"test": old}, step=1)
    curves.add_evaluation(dataclasses.replace(evaluation(2), metrics={"r2": 0.5}))
    curves.add_training(dataclasses.replace(training(2), metrics={"error": 0.25}))
    found = curves.as_json()
    assert found["test"]["metrics"] == {"r2": [None, 0.5]}
    assert found["train"]["metrics"] == {"error": [0.25]}
    again = CurveRecorder()
    again.resume(json.loads(json.dumps(found)), step=2)
    assert again.as_json() == found


def test_a_checkpoint_of_an_earlier_version_gives_empty_curves():
    broken = recorded(1).as_json()["test"] | {"metrics": {"r2": [1, 2]}}
    for written in (None, {}, {"train": {"step": [1]}}, {"train": 3, "test": []}, {"test": broken}):
        curves = CurveRecorder()
        curves.resume(written, step=9)
        assert curves.as_json() == CurveRecorder().as_json()


def test_a_second_evaluation_of_one_step_replaces_the_first():
    curves = recorded(5)
    curves.add_evaluation(evaluation(5, accuracy=0.75))
    assert curves.as_json()["test"]["accuracy"] == [0.75]


def test_a_long_curve_keeps_a_bounded_number_of_points_from_the_first_to_the_last():
    curves = CurveRecorder()
    for step in range(1, 5 * MOST_POINTS):
        curves.add_training(training(step))
    steps = curves.as_json()["train"]["step"]
    assert MOST_POINTS / 2 <= len(steps) <= MOST_POINTS
    assert (steps[0] < MOST_POINTS / 10, steps[-1]) == (True, 5 * MOST_POINTS - 1)
    assert steps == sorted(set(steps))
