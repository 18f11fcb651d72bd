"""Threads that do the steps of transfers."""

from __future__ import annotations

import threading

import pytest

from trainer.storage.sync.crew import run_steps
from trainer.storage.sync.entries import SyncFileError


def test_the_steps_of_a_transfer_are_done_before_the_next_begins():
    done: list[str] = []

    def begin(name: str):
        def run():
            done.append(name)
            return [lambda i=i: done.append(f"{name}{i}") or () for i in range(2)]

        return run

    run_steps([begin("a"), begin("b")], workers=1, stop=threading.Event())
    assert done == ["a", "a0", "a1", "b", "b0", "b1"]


def test_all_workers_work_at_once():
    together = threading.Barrier(3, timeout=20)

    def meet():
        together.wait()
        return ()

    assert run_steps([meet] * 3, workers=3, stop=threading.Event()) == []


def test_a_problem_with_one_file_does_not_end_the_others():
    done: list[int] = []

    def step(number: int):
        def run():
            if number == 1:
                raise SyncFileError(subject="one", problem="bad")
            done.append(number)
            return ()

        return run

    problems = run_steps([step(n) for n in range(4)], workers=1, stop=threading.Event())
    assert [str(problem) for problem in problems] == ["one: bad"]
    assert done == [0, 2, 3]


def test_any_other_error_ends_all():
    stop, done = threading.Event(), []

    def fail():
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError, match="gone"):
        run_steps([fail, lambda: done.append(1) or ()], workers=1, stop=stop)
    assert stop.is_set()
    assert done == []


def test_an_interrupt_ends_all():
    stop, begun = threading.Event(), threading.Event()

    def wait():
        begun.set()
        stop.wait(20)
        return ()

    def watch():
        if begun.wait(20):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_steps([wait], workers=1, stop=stop, watch=watch, every=0.01)
    assert stop.is_set()


def test_no_steps_are_no_work():
    assert run_steps([], workers=2, stop=threading.Event()) == []
