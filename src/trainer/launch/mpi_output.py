"""Read mpirun's output: the lines of each rank, and the rank that failed first.

With `--tag-output` Open MPI puts `[1,RANK]<stderr>:` before each piece that a process writes, so
a tag may also stand within a line, where two processes write at once or one writes in pieces.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_TAG = re.compile(r"\[\d+,(\d+)\]<(?:stdout|stderr|stddiag)>:")
_SIGNALLED = re.compile(
    r"process rank (?P<rank>\d+) with PID \d+ on node \S+ exited on signal (?P<signal>\d+)"
)
# In the order in which they are trusted. A rank that a signal ended is preferred to ranks that
# failed for lack of it; signals 9 and 15 do not count, as mpirun ends the other ranks by them.
_BLAMED = (
    re.compile(r"MPI_ABORT was invoked on rank (\d+) "),
    re.compile(r"Process name: \[\[\d+,\d+\],(\d+)\]"),
    re.compile(r"process rank (\d+) with PID \d+ on node \S+ exited on signal"),
)
_TRACEBACK = "Traceback (most recent call last)"
_FRAME = '  File "'
_MPI = re.compile(r"\bmpirun\b|\bmpiexec\b|\bORTE\b|\bMPI_|Open MPI|\bslots\b")
# Printed when mpirun has lost a host, or its daemon there.
_LOST = re.compile(r"ORTE (?:has lost communication|daemon has unexpectedly failed|was unable to)")
# Help texts stand between lines of dashes; these say that a process failed, but not why.
_RULE = re.compile(r"-{20,}$")
_OF_A_PROCESS = re.compile(
    r"Primary job +terminated|mpirun (?:detected that|noticed that)|MPI_ABORT was invoked"
)
# Advice for the reader of the log, which is left out of the reason.
_ADVICE = re.compile(
    r"Either |Please |You (?:can|may|should) |This (?:is|usually|may|can|error) |It is |Type "
    r"|A \"slot\"|NOTE|If you |while attempting"
)
_SENTENCE = 300


def untangle(lines: Sequence[str]) -> dict[int | None, list[str]]:
    """Return the lines of each rank; those of mpirun itself are under None."""
    text: dict[int | None, list[str]] = {}
    for line in lines:
        # mpirun itself prints whole lines, without a tag.
        begin, *pieces = _TAG.split(line)
        if begin or not pieces:
            text.setdefault(None, []).append(f"{begin}\n")
        ranks = [int(rank) for rank in pieces[::2]]
        for rank, piece in zip(ranks, pieces[1::2], strict=True):
            text.setdefault(rank, []).append(piece)
        # A line end belongs to the last rank in the line.
        if ranks:
            text[ranks[-1]].append("\n")
    return {
        rank: [line for line in "".join(parts).split("\n") if line.strip("- ")]
        for rank, parts in text.items()
    }


def blame(lines: Sequence[str]) -> tuple[int | None, tuple[str, ...]]:
    """Find the rank that failed first, and what it wrote.

    Args:
        lines: The last lines of mpirun's standard error.

    Returns:
        The rank and its lines; if it cannot be determined, None and mpirun's own lines, or all.
    """
    found = untangle(lines)
    own = "\n".join(found.pop(None, []))
    signalled = _SIGNALLED.search(own)
    rank = next((int(m[1]) for m in (pattern.search(own) for pattern in _BLAMED) if m), None)
    if signalled and int(signalled["signal"]) not in (9, 15):
        rank = int(signalled["rank"])
    if rank is None:
        rank = _first_raised(lines)
    if rank is not None:
        return rank, tuple(found.get(rank, []))
    summary = untangle(without_help(lines)).get(None, [])
    return None, tuple(summary or [line for each in found.values() for line in each])


def is_tagged(lines: Sequence[str]) -> bool:
    """Return whether any line names the rank that wrote it."""
    return any(_TAG.match(line) for line in lines)


def signal_of(lines: Sequence[str]) -> int | None:
    """Return the signal that ended the rank which failed first; None if none did."""
    rank, _ = blame(lines)
    found = _SIGNALLED.search("\n".join(lines))
    return int(found["signal"]) if found and int(found["rank"]) == rank else None


def lost(lines: Sequence[str]) -> bool:
    """Return whether mpirun only reports that it has lost another host."""
    return any(_LOST.search(line) for line in lines)


def _first_raised(lines: Sequence[str]) -> int | None:
    """Return the rank whose traceback began first."""
    for line in lines:
        _, *pieces = _TAG.split(line)
        for rank, piece in zip(pieces[::2], pieces[1::2], strict=True):
            if _TRACEBACK in piece:
                return int(rank)
    return None


def without_help(lines: Sequence[str]) -> list[str]:
    """Return lines with each of mpirun's help texts as one sentence, without its advice.

    Texts that only say which process failed are left out.
    """
    if not any(_MPI.search(line) for line in lines):
        return list(lines)
    blocks: list[list[str]] = [[]]
    for line in lines:
        if _RULE.match(line.strip()):
            blocks.append([])
        else:
            blocks[-1].append(line)
    # A text stands between two lines of dashes; the first and last block are outside.
    return [
        line
        for i, block in enumerate(blocks)
        for line in (block if i in (0, len(blocks) - 1) else _sentence(block))
    ]


def _sentence(block: Sequence[str]) -> Sequence[str]:
    if any(_TAG.match(line) or _FRAME in line for line in block):
        return block
    text = "\n".join(line.strip() for line in block).strip()
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n{2,}", text)]
    if not paragraphs[0] or _OF_A_PROCESS.match(paragraphs[0]):
        return []
    kept = [paragraphs[0], *(part for part in paragraphs[1:] if not _ADVICE.match(part))]
    return [" ".join(kept)[:_SENTENCE]]
