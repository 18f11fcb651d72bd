import subprocess

import pytest

from trainer.backends.engine import copying
from trainer.backends.idle import killed_when_idle
from trainer.config import RetryableError


def test_a_program_that_sends_nothing_is_killed_and_said_to_be_idle():
    process = subprocess.Popen(["sleep", "1000"])
    with killed_when_idle(process, lambda: 0, seconds=0.05, tick=0.01) as was_idle:
        assert process.wait(30) == -9
        assert was_idle()


def test_one_that_goes_on_sending_is_let_alone():
    counts = iter(range(10_000))
    process = subprocess.Popen(["sleep", "0.3"])
    with killed_when_idle(process, lambda: next(counts), seconds=0.05, tick=0.01) as was_idle:
        assert process.wait(30) == 0
        assert not was_idle()


def test_no_process_is_left_where_its_reader_fails():
    process = subprocess.Popen(["sleep", "1000"])
    with pytest.raises(ValueError, match="reader"), killed_when_idle(process, lambda: 0):
        raise ValueError("reader")
    assert process.returncode == -9


def test_an_engine_that_hangs_in_a_copy_is_a_line_that_says_so(tmp_path):
    with pytest.raises(RetryableError, match="job:/x: the engine sent nothing for 0 s"):
        copying._copy_to(tmp_path / "packed", ["sleep", "1000"], subject="job:/x", seconds=0.05)
