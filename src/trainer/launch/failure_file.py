"""The reason why a run failed, as text, and the file a platform reads it from.

SageMaker shows the first 1024 characters of `/opt/ml/output/failure` as the job's FailureReason
("How Amazon SageMaker Signals Algorithm Success and Failure" in AWS's documentation), so the root
cause comes first and the rest is short.
"""

from __future__ import annotations

import logging
import re
import signal
from collections.abc import Sequence
from pathlib import Path

from trainer.launch import failure_text, mpi_output
from trainer.launch.supervise.api import Outcome
from trainer.runtime import output
from trainer.storage import local

logger = logging.getLogger(__name__)

LIMIT = 1024
# The longest cause, in characters: what follows it always has room.
_CAUSE = 600
# The last lines, in which the cause is looked for. What was printed long before is unrelated.
_TAIL = 60
_PLACE = 160

_DISK_FULL = re.compile(r"No space left on device|Errno 28\b|Disk quota exceeded", re.IGNORECASE)
_HINTS = {126: "the program cannot be executed", 127: "a program was not found"}
_SIGNALS: dict[int, str] = {
    signal.SIGILL: "illegal instruction: built for another processor",
    signal.SIGABRT: "aborted, see the last lines of the log",
    signal.SIGBUS: "bus error: most likely /dev/shm or the disk is full",
    signal.SIGFPE: "division by zero, in native code",
    signal.SIGKILL: "killed, most likely out of memory: take a larger instance or smaller batches",
    signal.SIGSEGV: "segmentation fault, in native code",
}
# Signals at which a process prints no reason of its own. One that aborts prints it before.
_UNFORESEEN = frozenset(_SIGNALS) - {signal.SIGABRT}


def clear(path: Path) -> None:
    """Remove what an earlier run left, so that `write` can distinguish it from this run's.

    A file that the platform has mounted cannot be removed, but emptied.
    """
    try:
        if path.is_file() and path.stat().st_size == 0:
            return
        try:
            path.unlink(missing_ok=True)
        except OSError:
            path.write_bytes(b"")
    except OSError as error:
        logger.warning("cannot remove %s: %s", path, error.strerror)


def write(path: Path, *, reason: str, host: str, process: str | None) -> None:
    """Write the failure file, unless the user's script has written its own.

    A file that cannot be written is reported, not raised: the failure itself matters more.

    Args:
        path: The file; `clear` removes an old one when a run begins.
        reason: What happened, the root cause first; secrets in it are masked.
        host: The host on which it happened.
        process: The process, as `rank 3`; None if there is only one.
    """
    where = f"host {host}" if process is None else f"host {host}, {process}"
    text = _valid(compose(_clean(reason), where=where))
    try:
        if path.is_file() and path.stat().st_size > 0:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            local.write_text(path, text)
        except OSError:
            if not path.is_file():
                raise
            # Kubernetes mounts its file, which cannot be replaced by another.
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        why = error.strerror or error
        shown = " ".join(text.split())
        logger.error("cannot write %s: %s; it would say: %s", path, why, shown)


def compose(reason: str, *, where: str) -> str:
    """Return `reason` and `where` in at most 1024 characters; the end of `reason` is cut off."""
    end = f"\n{_cut(where, 200)}"
    return _cut(reason.strip() or "unknown", LIMIT - len(end)) + end


def reason_from(outcome: Outcome) -> str:
    """Return why a run failed: the last exception, its place, how the process ended, and a hint.

    Args:
        outcome: How it ended; secrets in what it printed are masked.
    """
    tail: Sequence[str] = outcome.tail
    if mpi_output.is_tagged(tail):
        # The script runs mpirun itself.
        _, tail = mpi_output.blame(tail)
    found = failure_text.read(mpi_output.without_help(tail)[-_TAIL:])
    lines = [_cut(_clean(found.cause), _CAUSE), _cut(_clean(found.place), _PLACE)]
    if outcome.signal == signal.SIGKILL:
        # SIGKILL leaves no time to print a reason, so the last lines are unrelated.
        lines = [ending(outcome)]
    elif outcome.signal in _UNFORESEEN:
        lines = [ending(outcome), *(lines if found.is_failure else [])]
    else:
        lines = [*lines, ending(outcome)]
    return "\n".join(line for line in lines if line)


def line_from(outcome: Outcome) -> str | None:
    """Return the line for the log that says why a run failed; None where the log says it already.

    Args:
        outcome: How it ended.
    """
    if not outcome.code or failure_text.says_why(outcome.tail):
        return None
    if outcome.stop_signal is not None and not outcome.killed:
        return None
    return "; ".join(reason_from(outcome).splitlines())


def ending(outcome: Outcome) -> str:
    """Return how a process ended, and what that may mean."""
    name = outcome.failed or "the run"
    hint = _HINTS.get(outcome.code, "")
    if outcome.timed_out:
        status, hint = f"{name} did not end in time", ""
    elif outcome.killed:
        status, hint = f"{name} did not end when told to, and was killed", ""
    elif outcome.stop_signal is not None:
        status = f"{name} was told to end by signal {outcome.stop_signal}; exit code {outcome.code}"
    elif outcome.signal is not None:
        status = f"{name} ended by signal {outcome.signal}, exit code {outcome.code}"
        hint = _SIGNALS.get(outcome.signal, "")
    else:
        status = f"{name} ended with exit code {outcome.code}"
        # A shell ends with 128 + n if signal n ended its program; hardly any other program does.
        number = outcome.code - 128
        if number in _SIGNALS:
            hint = f"as of a program that was ended by signal {number}: {_SIGNALS[number]}"
    if any(_DISK_FULL.search(line) for line in outcome.tail):
        hint = "the disk is full: ask for a larger volume"
    return f"{status} ({hint})" if hint else status


def _clean(text: str) -> str:
    # Line by line, so that a mask that hides too much hides only one line.
    return "\n".join(map(output.clean, text[: 8 * LIMIT].splitlines()))


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _valid(text: str) -> str:
    """Replace what UTF-8 cannot encode."""
    return text.encode("utf-8", "replace").decode("utf-8")
