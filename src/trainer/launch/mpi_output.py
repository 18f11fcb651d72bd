"""What mpirun prints: which lines are whose, and which process is to blame.

With `--tag-output` Open MPI puts `[1,RANK]<stderr>:` before each piece that a process writes, so
that a tag also stands within a line where two of them write at once, or one writes bit by bit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_TAG = re.compile(r"\[\d+,(\d+)\]<(?:stdout|stderr|stddiag)>:")
# In this order: what mpirun says of the first that failed is better than a guess.
_BLAMED = (
    re.compile(r"MPI_ABORT was invoked on rank (\d+) "),
    re.compile(r"Process name: \[\[\d+,\d+\],(\d+)\]"),
    re.compile(r"process rank (\d+) with PID \d+ on node \S+ exited on signal"),
)
_TRACEBACK = "Traceback (most recent call last)"
# What mpirun says when a host, or what it started there, is gone.
_LOST = re.compile(r"ORTE (?:has lost communication|daemon has unexpectedly failed|was unable to)")


def untangle(lines: Sequence[str]) -> dict[int | None, list[str]]:
    """Sort lines by the rank that wrote them; those of mpirun itself are under None."""
    text: dict[int | None, list[str]] = {}
    for line in lines:
        # What mpirun itself prints begins a line of its own.
        begin, *pieces = _TAG.split(line)
        if begin or not pieces:
            text.setdefault(None, []).append(f"{begin}\n")
        ranks = [int(rank) for rank in pieces[::2]]
        for rank, piece in zip(ranks, pieces[1::2], strict=True):
            text.setdefault(rank, []).append(piece)
        # Only the last of a line may have ended it.
        if ranks:
            text[ranks[-1]].append("\n")
    return {
        rank: [line for line in "".join(parts).split("\n") if line.strip("- ")]
        for rank, parts in text.items()
    }


def blame(lines: Sequence[str]) -> tuple[int | None, tuple[str, ...]]:
    """The rank that failed first, and what it wrote.

    Args:
        lines: The last lines of mpirun's standard error.

    Returns:
        The rank, None if nobody can tell, and its lines; mpirun's own where it wrote none.
    """
    found = untangle(lines)
    own = found.pop(None, [])
    said = "\n".join(own)
    rank = next((int(m[1]) for m in (pattern.search(said) for pattern in _BLAMED) if m), None)
    if rank is None:
        raised = [r for r, written in found.items() if any(_TRACEBACK in w for w in written)]
        rank = raised[0] if raised else None
    written = found.get(rank, [])
    return rank, tuple(written or own or [line for each in found.values() for line in each])


def lost(lines: Sequence[str]) -> bool:
    """Whether mpirun only noticed that something on another host is gone."""
    return any(_LOST.search(line) for line in lines)
