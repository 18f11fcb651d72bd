"""The outer loop, with an inner loop and callbacks that note what they are asked for."""

import numpy as np

from trainer.training import Callback, Progress, RunState
from trainer.training.controller import Controller
from trainer.training.run_state import CallResult


def result(
    cross_entropies, accuracies=None, *, seconds: float, cpu_seconds=0.25, stop_requested=False
) -> CallResult:
    """Return what a call of so many steps gives, an eighth of a second of it spent on input."""
    rows = np.asarray(cross_entropies)
    return CallResult(
        losses=rows,
        scores=np.ones_like(rows) if accuracies is None else np.asarray(accuracies),
        seconds=seconds,
        input_seconds=0.125,
        cpu_seconds=cpu_seconds,
        stop_requested=stop_requested,
    )


class Steps:
    """An inner loop that takes all the steps it may, `longest` at most."""

    def __init__(self, longest: int = 100, stop_at: int | None = None) -> None:
        self.calls: list[int] = []
        self._longest, self._stop_at = longest, stop_at

    def train(self, most: int, state: RunState) -> CallResult:
        count = min(most, self._longest)
        self.calls.append(count)
        stop = self._stop_at is not None and state.step + count >= self._stop_at
        return result(np.ones(count), seconds=0.5, stop_requested=stop)


class Note(Callback):
    """Notes the steps at which it runs."""

    def __init__(
        self, notes: list[str], name: str, every: int = 0, *, chief_only: bool = True
    ) -> None:
        self._notes, self._name = notes, name
        self.every, self.chief_only = every, chief_only

    def run(self, state: RunState) -> None:
        self._notes.append(f"{self._name} {state.step}")

    def end(self, state: RunState) -> None:
        self._notes.append(f"{self._name} end")


def state(steps: int = 10, step: int = 0) -> RunState:
    progress = Progress(step=step, examples=step * 8)
    return RunState(steps=steps, batch_size=8, log_every=4, progress=progress)


def test_the_inner_loop_stops_wherever_a_callback_may_be_due():
    notes: list[str] = []
    inner = Steps()
    Controller(inner, state(), [Note(notes, "a", 4), Note(notes, "b", 6)]).run()
    assert inner.calls == [4, 2, 2, 2]
    assert notes == ["a 4", "b 6", "a 8", "a end", "b end"]


def test_callbacks_run_in_their_order_and_a_later_one_sees_what_an_earlier_one_found():
    class Find(Callback):
        every = 5

        def run(self, state: RunState) -> None:
            state.saved_step = state.step

    class Follow(Note):
        def is_due(self, state: RunState) -> bool:
            return state.saved_step == state.step

    notes: list[str] = []
    Controller(Steps(), state(), [Note(notes, "a", 5), Find(), Follow(notes, "b")]).run()
    assert notes == ["a 5", "b 5", "a 10", "b 10", "a end", "b end"]


def test_other_processes_leave_out_the_chiefs_callbacks_and_stop_at_the_same_steps():
    notes: list[str] = []
    callbacks = [Note(notes, "line", 3), Note(notes, "evaluate", 5, chief_only=False)]
    inner = Steps()
    Controller(inner, state(), callbacks, is_chief=False).run()
    assert inner.calls == [3, 2, 1, 3, 1]
    assert notes == ["evaluate 5", "evaluate 10", "evaluate end"]


def test_a_request_to_stop_ends_the_run_after_the_callbacks_of_that_call():
    notes: list[str] = []
    run = state()
    Controller(Steps(longest=2, stop_at=4), run, [Note(notes, "a", 4)]).run()
    assert notes == ["a 4", "a end"]
    assert (run.step, run.is_complete, run.is_over) == (4, False, True)


def test_a_callback_can_end_the_run():
    class Reach(Callback):
        every = 3

        def run(self, state: RunState) -> None:
            state.target_reached = True

    run = state()
    Controller(Steps(), run, [Reach()]).run()
    assert (run.step, run.is_complete) == (3, True)


def test_the_state_counts_steps_examples_and_time_and_averages_between_two_lines():
    run = state(step=2)
    run.advance(result([3.0, 1.0], accuracies=[0.5, 1.0], seconds=1.0, cpu_seconds=0.5))
    assert (run.train_loss, run.train_accuracy, run.images_per_second) == (2.0, 0.75, 16.0)
    # Step 4 was a progress line's.
    run.advance(result([0.5], accuracies=[0.25], seconds=0.5, cpu_seconds=0.5))
    assert (run.train_loss, run.train_accuracy, run.images_per_second) == (0.5, 0.25, 16.0)
    assert run.progress == Progress(step=5, examples=40, train_seconds=1.5, train_cpu_seconds=1.0)
    assert run.time.as_json()["input"] == 0.25
