"""The text that tells why a run failed, and the file a platform reads it from.

SageMaker shows the first 1024 characters of `/opt/ml/output/failure` as the job's FailureReason
(reference/sagemaker.md §1.2, §1.6), so that the root cause comes first and the rest is short.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from trainer import atomic, output
from trainer.launch.supervise import Outcome

LIMIT = 1024
# Of these, so that what follows the cause always has room.
_CAUSE = 600
_PLACE = 160

_FRAME = re.compile(r'\s*File "(?P<file>.+)", line (?P<line>\d+)(?:, in (?P<function>.+))?$')
# What wraps a line of a traceback: mpirun's rank, the border of an exception group.
_WRAPPING = re.compile(r"^(?:\[\d+,\d+\]<stderr>:? ?)?(?:\s*\| ?)?")
_TELLING = re.compile(
    r"error|exception|fatal|terminate called|no space left|trainer: failed", re.IGNORECASE
)
_DISK_FULL = re.compile(r"No space left on device|Errno 28\b|Disk quota exceeded", re.IGNORECASE)
_HINTS = {
    126: "the program cannot be executed",
    127: "a program was not found",
    134: "aborted, see the last lines of the log",
    135: "bus error: most likely /dev/shm or the disk is full",
    137: "killed, most likely out of memory: take a larger instance or smaller batches",
    139: "segmentation fault, in native code",
}


def clear(path: Path) -> None:
    """Remove what an earlier run left, so that `write` can tell it from this run's."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        output.err(f"trainer: warning: cannot remove {path}: {error.strerror}")


def write(path: Path, *, reason: str, host: str, process: str | None) -> None:
    """Write the failure file, unless the user's script has written its own.

    A file that cannot be written is reported, not raised: the failure itself matters more.

    Args:
        path: The file; `clear` removes an old one when a run begins.
        reason: What happened, the root cause first; secrets in it are masked.
        host: Where.
        process: In which one, as `rank 3`, or None if there is but one.
    """
    where = f"host {host}" if process is None else f"host {host}, {process}"
    text = _valid(compose(_clean(reason), where=where))
    try:
        if path.is_file() and path.stat().st_size > 0:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_text(path, text)
    except OSError as error:
        why = error.strerror or error
        shown = " ".join(text.split())
        output.err(f"trainer: cannot write {path}: {why}; it would say: {shown}")


def compose(reason: str, *, where: str) -> str:
    """`reason` and where it happened in at most 1024 characters, the end of `reason` cut off."""
    end = f"\n{_cut(where, 200)}"
    return _cut(reason.strip() or "unknown", LIMIT - len(end)) + end


def reason_from(outcome: Outcome) -> str:
    """Why a run failed: the last exception, where it came from, how the process ended, a hint.

    Args:
        outcome: How it ended; secrets in what it printed are masked.
    """
    cause, place = _root_cause(outcome.tail)
    lines = [_cut(_clean(cause), _CAUSE), _cut(_clean(place), _PLACE), _ending(outcome)]
    return "\n".join(line for line in lines if line)


def _ending(outcome: Outcome) -> str:
    name = outcome.failed or "the run"
    hint = _HINTS.get(outcome.code, "")
    if outcome.timed_out:
        status, hint = f"{name} did not end in time", ""
    elif outcome.killed:
        status, hint = f"{name} did not end when told to, and was killed", ""
    elif outcome.told is not None:
        status = f"{name} was told to end by signal {outcome.told}; exit code {outcome.code}"
    elif outcome.code > 128:
        status = f"{name} ended by signal {outcome.code - 128}, exit code {outcome.code}"
    else:
        status = f"{name} ended with exit code {outcome.code}"
    if any(_DISK_FULL.search(line) for line in outcome.tail):
        hint = "the disk is full: ask for a larger volume"
    return f"{status} ({hint})" if hint else status


def _root_cause(tail: Sequence[str]) -> tuple[str, str]:
    """The last exception in the last lines of standard error, and where it came from."""
    lines = [_WRAPPING.sub("", line).rstrip() for line in tail]
    for index in range(len(lines) - 1, -1, -1):
        frame = _FRAME.match(lines[index])
        if frame is None:
            continue
        # After a frame come its source and marks under it, indented, and then the exception.
        rest = lines[index + 1 :]
        while rest and (not rest[0] or rest[0][0].isspace()):
            rest.pop(0)
        if rest:
            place = f"at {frame['file']} line {frame['line']}"
            return _joined(rest), place + (f" in {frame['function']}" if frame["function"] else "")
    spoken = [line.strip() for line in lines if line.strip()]
    telling = [index for index, line in enumerate(spoken) if _TELLING.search(line)]
    return (_joined(spoken[telling[-1] :]) if telling else "".join(spoken[-1:])), ""


def _joined(lines: Sequence[str]) -> str:
    """A message of several lines in one; what is printed after it may be part of it."""
    spoken = (line.strip() for line in lines[:8])
    return " ".join(line for line in spoken if line and not line.startswith("+-"))


def _clean(text: str) -> str:
    # Line by line: what hides too much takes no more than a line. The rest is cut off anyway.
    return "\n".join(map(output.clean, text[: 8 * LIMIT].splitlines()))


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _valid(text: str) -> str:
    """The same text without what UTF-8 cannot hold."""
    return text.encode("utf-8", "replace").decode("utf-8")
