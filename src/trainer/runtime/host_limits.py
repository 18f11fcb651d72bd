"""Limits of a container: threads, processes, a folder for temporary files."""

from __future__ import annotations

import contextlib
import errno
import resource
import tempfile
import threading
from pathlib import Path

from trainer.config import UserError

_PIDS = ("/sys/fs/cgroup", "/sys/fs/cgroup/pids")


def denied_by_limit(error: BaseException) -> str | None:
    """Return a line that names the limit behind an error, or None if no limit caused it."""
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return no_more_threads("cannot start a thread")
    if isinstance(error, BlockingIOError) and error.errno == errno.EAGAIN and not error.filename:
        return no_more_threads("cannot start a process")
    if isinstance(error, FileNotFoundError) and "No usable temporary directory" in str(error):
        return (
            "TMPDIR: neither it nor /tmp, /var/tmp or this folder can be written, and TensorFlow "
            "needs one of them; name one, or give the container one (docker run --tmpfs /tmp)"
        )
    return None


def check_temporary() -> None:
    """Raise a UserError unless there is a folder for temporary files."""
    try:
        tempfile.gettempdir()
    except FileNotFoundError as error:
        raise UserError.from_text(denied_by_limit(error) or str(error)) from None


def check_threads(cores: int) -> None:
    """Raise a UserError unless TensorFlow will get the threads without which it aborts.

    Args:
        cores: How many threads one of TensorFlow's pools has.
    """
    # TensorFlow has two pools, between operations and inside them, and a few threads besides.
    count, started = 2 * cores + 6, []
    go = threading.Event()
    try:
        for _ in range(count):
            thread = threading.Thread(target=go.wait, daemon=True)
            thread.start()
            started.append(thread)
    except RuntimeError:
        problem = f"cannot start the {count} threads that TensorFlow needs on {cores} cores"
        raise UserError.from_text(no_more_threads(problem)) from None
    finally:
        go.set()
        for thread in started:
            thread.join()


def no_more_threads(problem: str) -> str:
    """Return a line that says why threads or processes are denied, and what to do.

    Args:
        problem: What cannot be done.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    here = "a limit of the container or user" if soft < 0 else f"ulimit -u {soft}"
    for folder in _PIDS:
        with contextlib.suppress(OSError):
            limit = Path(folder, "pids.max").read_text().strip()
            here = f"--pids-limit {limit}" if limit.isdigit() else here
    return (
        f"{problem}: {here} is too small; allow more processes and threads (docker run "
        "--pids-limit -1, ulimit -u), or use fewer (--threads)"
    )
