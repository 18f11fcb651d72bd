"""The learning curves, and how they go on after a checkpoint."""

import json

from trainer.training.curves import MOST_POINTS, CurveRecorder, EvaluationPoint, TrainingPoint


def training(step: int) -> TrainingPoint:
    return TrainingPoint(
        step=step, seconds=step / 10, loss=1 / step, accuracy=0.5, learning_rate=0.1,
        images_per_second=100.0,
    )  # fmt: skip


def evaluation(step: int, accuracy: float = 0.5) -> EvaluationPoint:
    return EvaluationPoint(step=step, seconds=step / 10, loss=0.25, accuracy=accuracy)


def recorded(*steps: int) -> CurveRecorder:
    curves = CurveRecorder()
    for step in steps:
        curves.add_training(training(step))
        curves.add_evaluation(evaluation(step))
    return curves


def test_points_are_columns_of_equal_length():
    found = recorded(1, 2, 3).as_json()
    assert found["train"]["step"] == found["test"]["step"] == [1, 2, 3]
    assert {len(column) for curve in ("train", "test") for column in found[curve].values()} == {3}
    assert {len(column) for column in found["validation"].values()} == {0}


def test_a_resumed_run_goes_on_with_the_points_up_to_its_checkpoint():
    written = json.loads(json.dumps(recorded(10, 20, 30).as_json()))
    curves = CurveRecorder()
    curves.resume(written, step=20)
    curves.add_training(training(30))
    assert curves.as_json()["train"] == recorded(10, 20, 30).as_json()["train"]
    assert curves.as_json()["test"]["step"] == [10, 20]


def test_a_checkpoint_of_an_earlier_version_gives_empty_curves():
    for written in (None, {}, {"train": {"step": [1]}}, {"train": 3, "test": []}):
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
