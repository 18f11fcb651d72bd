"""What a container may be denied; with its real limits in tests/container."""

import errno
import subprocess
import sys

import pytest

from trainer.runtime import host_limits

DENIED = """
import os, resource, sys
from trainer.runtime import host_limits
from trainer.config.errors import UserError
resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
if os.getuid() == 0:
    # Who may do everything has no such limit.
    os.setuid(54321)
try:
    host_limits.check_threads(2)
except UserError as error:
    print(error)
"""


def test_too_few_threads_are_reported_with_the_limit():
    ran = subprocess.run(
        [sys.executable, "-c", DENIED], capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stdout == (
        "cannot start the 10 threads that TensorFlow needs on 2 cores: ulimit -u 1 is too small; "
        "allow more processes and threads (docker run --pids-limit -1, ulimit -u), or use fewer "
        "(--threads)\n"
    )


def test_enough_threads_are_no_error():
    host_limits.check_threads(2)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("can't start new thread"), "cannot start a thread: "),
        (BlockingIOError(errno.EAGAIN, "unavailable"), "cannot start a process: "),
        (FileNotFoundError(2, "No usable temporary directory found in ['/tmp']"), "TMPDIR: "),
    ],
)
def test_errors_of_limits_say_what_to_do(error, said):
    assert host_limits.denied_by_limit(error).startswith(said)


@pytest.mark.parametrize(
    "error", [RuntimeError("other"), FileNotFoundError(2, "No such file", "x"), ValueError()]
)
def test_other_errors_are_none_of_limits(error):
    assert host_limits.denied_by_limit(error) is None
