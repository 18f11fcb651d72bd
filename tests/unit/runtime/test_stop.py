import os
import signal
import subprocess
import sys

import pytest

from trainer.runtime.stop import handling_stop_signals

# A process that is busy outside Python, as training is inside TensorFlow.
BUSY = """
import ctypes, sys
from trainer.runtime import log
from trainer.runtime.stop import handling_stop_signals
log.begin()
with handling_stop_signals() as stopped:
    print("ready", flush=True)
    libc = ctypes.CDLL(None)
    while not stopped():
        libc.usleep(10_000)
    if {linger}:
        while True:
            libc.usleep(10_000_000)
print("saved", flush=True)
"""


def start(*, linger: bool = False) -> subprocess.Popen:
    code = BUSY.format(linger=linger)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_lets_the_run_end_well(number):
    with start() as process:
        process.send_signal(number)
        assert process.stdout
        assert f"{number.name}: finishing this step" in process.stdout.readline()
        assert process.stdout.readline() == "saved\n"
        assert process.wait(timeout=30) == 0


def test_the_second_signal_ends_the_process_at_once_wherever_it_is():
    with start(linger=True) as process:
        process.send_signal(signal.SIGTERM)
        assert process.stdout
        assert "again to stop at once" in process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=5) == 128 + signal.SIGTERM


def test_afterwards_signals_do_what_they_did_before():
    before = signal.getsignal(signal.SIGTERM)
    with handling_stop_signals() as stopped:
        assert not stopped()
        os.kill(os.getpid(), signal.SIGTERM)
        # Delivered before the call returns; the thread that reads it may take a moment.
        assert stopped.wait(timeout=10)
    assert signal.getsignal(signal.SIGTERM) == before
    assert signal.set_wakeup_fd(-1) == -1
