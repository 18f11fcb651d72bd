import subprocess
import sys
import threading

import pytest

from trainer.runtime.waiting import ALWAYS_PATIENT, Patience, StoppedError, log_waiting


@pytest.fixture
def hung():
    """A call that does not return before the test ends."""
    end = threading.Event()
    yield lambda: end.wait(60)
    end.set()


def test_what_a_call_gives_or_raises_is_given_or_raised():
    assert ALWAYS_PATIENT.call(lambda: 7, "x") == 7
    for error in (ValueError("no"), TimeoutError("late"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            ALWAYS_PATIENT.call(lambda error=error: (_ for _ in ()).throw(error), "x")


def test_a_call_that_does_not_answer_is_given_up_when_a_stop_is_requested(hung):
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    with pytest.raises(StoppedError, match=r"^--train s3://b: no answer when told to stop$"):
        Patience(stopped=stop.is_set).call(hung, "--train s3://b")


def test_an_answer_within_the_time_is_waited_for_though_a_stop_is_requested():
    gone = threading.Event()
    threading.Timer(0.2, gone.set).start()
    patience = Patience(stopped=lambda: True, seconds=30.0, tick=0.05)
    assert patience.call(lambda: gone.wait(30), "x")


def test_results_are_given_up_only_when_nothing_comes_for_a_while(hung):
    patience = Patience(stopped=lambda: True, seconds=0.2, tick=0.05)
    with pytest.raises(StoppedError):
        patience.call(hung, "x")
    assert not patience.is_over(0.0)
    assert not Patience(seconds=0.0).is_over(99.0)


def test_a_long_wait_is_logged(hung, capsys):
    lines = []

    def stopped():
        lines.extend(capsys.readouterr().out.splitlines())
        return len(lines) > 1

    with pytest.raises(StoppedError):
        Patience(stopped=stopped, first=0.1, every=0.1).call(hung, "--train s3://b")
    assert lines == ["--train s3://b: waiting for an answer for 0 s"] * 2


def test_a_block_that_takes_long_is_logged(capsys):
    lines = []
    with log_waiting("a fetch", first=0.05, every=0.05):
        while len(lines) < 2:
            lines.extend(capsys.readouterr().out.splitlines())
    assert lines[:2] == ["a fetch: waiting for an answer for 0 s"] * 2


def test_a_process_ends_though_a_call_still_hangs():
    program = """
import threading
from trainer.runtime.waiting import Patience, StoppedError
try: Patience(stopped=lambda: True).call(threading.Event().wait, "x")
except StoppedError: print("stopped")
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stdout == "stopped\n"
