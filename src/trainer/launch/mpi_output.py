"""What mpirun prints: which lines are whose, and which process is to blame.

With `--tag-output` Open MPI puts `[1,RANK]<stderr>:` before each piece that a process writes, so
that a tag also stands within a line where two of them write at once, or one writes bit by bit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_TAG = re.compile(r"\[\d+,(\d+)\]<(?:stdout|stderr|stddiag)>:")
_SIGNALLED = re.compile(
    r"process rank (?P<rank>\d+) with PID \d+ on node \S+ exited on signal (?P<signal>\d+)"
)
# In this order: what mpirun says of the first that failed is better than a guess. What a signal
# ended comes before those that gave up for lack of it; mpirun ends the others by 9 and 15.
_BLAMED = (
    re.compile(r"MPI_ABORT was invoked on rank (\d+) "),
    re.compile(r"Process name: \[\[\d+,\d+\],(\d+)\]"),
    re.compile(r"process rank (\d+) with PID \d+ on node \S+ exited on signal"),
)
_TRACEBACK = "Traceback (most recent call last)"
_FRAME = '  File "'
_MPI = re.compile(r"\bmpirun\b|\bmpiexec\b|\bORTE\b|\bMPI_|Open MPI|\bslots\b")
# What mpirun says when a host, or what it started there, is gone.
_LOST = re.compile(r"ORTE (?:has lost communication|daemon has unexpectedly failed|was unable to)")
# Its texts of help stand between lines of dashes; these tell that a process failed, not why.
_RULE = re.compile(r"-{20,}$")
_OF_A_PROCESS = re.compile(
    r"Primary job +terminated|mpirun (?:detected that|noticed that)|MPI_ABORT was invoked"
)
# What follows is advice, for whoever reads the log.
_ADVICE = re.compile(
    r"Either |Please |You (?:can|may|should) |This (?:is|usually|may|can|error) |It is |Type "
    r"|A \"slot\"|NOTE|If you |while attempting"
)
_SENTENCE = 300


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
        The rank and its lines; where nobody can tell, None and mpirun's own, or else all.
    """
    found = untangle(lines)
    said = "\n".join(found.pop(None, []))
    signalled = _SIGNALLED.search(said)
    rank = next((int(m[1]) for m in (pattern.search(said) for pattern in _BLAMED) if m), None)
    if signalled and int(signalled["signal"]) not in (9, 15):
        rank = int(signalled["rank"])
    if rank is None:
        rank = _first_raised(lines)
    if rank is not None:
        return rank, tuple(found.get(rank, []))
    helped = untangle(without_help(lines)).get(None, [])
    return None, tuple(helped or [line for each in found.values() for line in each])


def is_tagged(lines: Sequence[str]) -> bool:
    """Return whether any line names the rank that wrote it."""
    return any(_TAG.match(line) for line in lines)


def signal_of(lines: Sequence[str]) -> int | None:
    """Return the signal that ended the rank which is to blame, as mpirun says; None for none."""
    rank, _ = blame(lines)
    found = _SIGNALLED.search("\n".join(lines))
    return int(found["signal"]) if found and int(found["rank"]) == rank else None


def lost(lines: Sequence[str]) -> bool:
    """Whether mpirun only noticed that something on another host is gone."""
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
    """Return lines with each of mpirun's texts of help as one sentence, without its advice.

    Texts that only tell which process failed are left out.
    """
    if not any(_MPI.search(line) for line in lines):
        return list(lines)
    blocks: list[list[str]] = [[]]
    for line in lines:
        if _RULE.match(line.strip()):
            blocks.append([])
        else:
            blocks[-1].append(line)
    # A text stands between two rules, and between two texts there is nothing.
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
    told = [paragraphs[0], *(part for part in paragraphs[1:] if not _ADVICE.match(part))]
    return [" ".join(told)[:_SENTENCE]]
