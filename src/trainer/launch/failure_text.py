"""Find the reason of a failure in the last lines that a process wrote to standard error."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_FRAME = re.compile(r'\s*File "(?P<file>.+)", line (?P<line>\d+)(?:, in (?P<function>.+))?$')
# Put before a line of a traceback: mpirun's rank, the border of an exception group, and the host
# and process that Open MPI and UCX print before their lines about a signal.
_WRAPPING = re.compile(
    r"^(?:\[\d+,\d+\]<stderr>:? ?)?"
    r"(?:\[[\w.-]+:[\d :]+\] (?=\*\*\* |Signal|Failing|Caught|\[ ?\d+\]))?"
    r"(?:\s*\| ?)?"
)
_FAILURE = re.compile(
    r"error|exception|fatal|terminate called|no space left|trainer: failed|\bSignal: |Caught signal"
    r"|\*\*\* SIG[A-Z]|double free|corrupted|invalid pointer|stack smashing|Check failed",
    re.IGNORECASE,
)
# Headings of tracebacks after which the interpreter, or logging, goes on.
_HARMLESS = re.compile(r"Exception ignored (?:in|on|while)|--- Logging error ---")
_WITHIN = re.compile(r"\s|$|Traceback |Call stack:|Message: ")
# Lines of loggers, of any level: glog's and TensorFlow's, Python's logging, NCCL's and Open
# MPI's, warnings.
_LOGGED = re.compile(
    r"[IWEF]\d{4,8} \d\d:\d\d:\d\d|\d{4}-\d\d-\d\d[ T]\d\d:\d\d|\d\d:\d\d:\d\d\b"
    r"|\[?(?:DEBUG|INFO|NOTICE|WARNING|WARN|ERROR|CRITICAL)\]?\s*[:|\[-]"
    r"|\[[\w.:, -]+\]\s*(?:DEBUG|INFO|WARN)|\S+:\d+:\d+ \[\d+\] NCCL "
    r"|\S+:\d+: \w*Warning: |[IWE]0000 "
)
# Lines of loggers whose level is below an error.
_QUIET = re.compile(
    r"[IW]\d{4,8} |\[?(?:DEBUG|INFO|NOTICE|WARNING|WARN)\b|\[[\w.:, -]+\]\s*(?:DEBUG|INFO|WARN)"
    r"|\S+:\d+: \w*Warning: |\d[\d: .,TZ-]{7,40}[\[:]?\s*(?:[IW]|DEBUG|INFO|WARNING|WARN)\b"
)
# Stack traces of native code, which people cannot read.
_ADDRESS = re.compile(
    r"\s*(?:\[ ?\d+\]|@|#\d+)\s.*(?:0x[0-9a-fA-F]+|\(unknown\))|.*\[0x[0-9a-fA-F]+\]\s*$"
)
_FRAMING = re.compile(
    r"\*\*\* (?:Process received signal|End of error message) \*\*\*|Extension modules: "
    r"|(?:Current thread|Thread) 0x[0-9a-f]+ |^=+(?: backtrace .*)?=*$"
)
_OURS = re.compile(r"trainer: (?:error|failed): ")
_LINES = 8


@dataclass(frozen=True, kw_only=True)
class ErrorText:
    """The reason found in the last lines.

    Attributes:
        cause: The last exception, or else the line that says most; empty if there is none.
        place: Where the exception was raised; empty if that is not known.
        is_failure: Whether the cause is about a failure, rather than just the last line.
    """

    cause: str = ""
    place: str = ""
    is_failure: bool = False


def read(tail: Sequence[str]) -> ErrorText:
    """Find the last exception in the last lines of standard error, and where it came from."""
    lines = _without_harmless([_WRAPPING.sub("", line).rstrip() for line in tail])
    lines = [line for line in lines if not (_ADDRESS.match(line) or _FRAMING.search(line))]
    place = ""
    for index in range(len(lines) - 1, -1, -1):
        frame = _FRAME.match(lines[index])
        if frame is None:
            continue
        # A frame is followed by its source, indented, and by the exception.
        rest = lines[index + 1 :]
        while rest and (not rest[0] or rest[0][0].isspace()):
            rest.pop(0)
        rest = [line for line in rest if not _LOGGED.match(line)]
        if rest:
            function = f" in {frame['function']}" if frame["function"] else ""
            place = f"at {frame['file']} line {frame['line']}{function}"
            return ErrorText(cause=_own_words(rest) or _joined(rest), place=place, is_failure=True)
    spoken = [line.strip() for line in lines if line.strip()]
    failures = [index for index, line in enumerate(spoken) if _is_failure(line)]
    if not failures:
        return ErrorText(cause="".join(spoken[-1:]))
    first, *more = spoken[failures[-1] :]
    return ErrorText(
        cause=_joined([first, *(s for s in more if not _LOGGED.match(s))]), is_failure=True
    )


def says_why(tail: Sequence[str]) -> bool:
    """Return whether the last line is one of the trainer's own that says why."""
    spoken = [line.strip() for line in tail if line.strip()]
    return bool(spoken) and bool(_OURS.match(spoken[-1]))


def _is_failure(line: str) -> bool:
    return bool(_FAILURE.search(line)) and not _QUIET.match(line)


def _own_words(lines: Sequence[str]) -> str:
    """Return the trainer's own line below a traceback that `--debug` prints."""
    return next((line.strip() for line in reversed(lines) if _OURS.match(line)), "")


def _without_harmless(lines: Sequence[str]) -> list[str]:
    """Return the lines without tracebacks of errors that the interpreter ignores."""
    kept: list[str] = []
    within, last = False, ""
    for line in lines:
        if _HARMLESS.match(line):
            # All lines of a traceback but the first and the last are indented.
            within, last = True, "Arguments: " if line.startswith("---") else ""
        elif within:
            within = not line.startswith(last) if last else bool(_WITHIN.match(line))
        else:
            kept.append(line)
    return kept


def _joined(lines: Sequence[str]) -> str:
    """Join a message of several lines; lines printed after it may be taken as part of it."""
    spoken = (line.strip() for line in lines[:_LINES])
    return " ".join(line for line in spoken if line and not line.startswith("+-"))
