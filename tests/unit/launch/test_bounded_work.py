import signal
import subprocess
import sys
import threading

import pytest

from trainer.config.errors import UserError
from trainer.launch.bounded_work import run_bounded

HANGS = """
import threading
from trainer.launch.bounded_work import run_bounded
from trainer.launch.supervise.signals import exiting_on_sigterm
def hang():
    print("hangs", flush=True)
    threading.Event().wait()
with exiting_on_sigterm():
    run_bounded(hang, text="a disk", slow=600, within=600)
"""


def test_it_is_the_works_result_or_error():
    assert run_bounded(lambda: 7, text="a number", slow=60, within=60) == 7
    with pytest.raises(ZeroDivisionError):
        run_bounded(lambda: 1 / 0, text="a number", slow=60, within=60)


def test_work_that_hangs_is_spoken_of_and_given_up(capfd):
    hangs = threading.Event()
    with pytest.raises(UserError, match="a disk: no answer within "):
        run_bounded(hangs.wait, text="a disk", slow=0.1, within=0.3)
    hangs.set()
    assert capfd.readouterr().err.startswith("trainer: still waiting for a disk: 0 s\n")


def test_a_signal_ends_the_process_while_the_work_hangs():
    with subprocess.Popen([sys.executable, "-c", HANGS], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"hangs\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 143
