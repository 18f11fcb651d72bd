"""The way every benchmark measures: one core, one thread, processor seconds, medians."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent

# No measurement takes longer than PyTorch's example on a slow machine.
LONGEST = 3600.0


@dataclass(frozen=True)
class Table:
    """One table of results.

    Attributes:
        title: What was measured, in which unit.
        head: Column titles.
        rows: Cells, as text.
    """

    title: str
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    def markdown(self) -> str:
        """Return the table in Markdown."""
        lines = [self.head, ("---",) * len(self.head), *self.rows]
        return f"### {self.title}\n\n" + "\n".join("| " + " | ".join(row) + " |" for row in lines)


def one_core(argv: Sequence[str], *, core: int = 0) -> str:
    """Run a program on one core, and return what it printed.

    Raises:
        subprocess.CalledProcessError: It failed; its error output has been passed on.
    """
    return subprocess.run(
        argv,
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=LONGEST,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    ).stdout


def last_json(argv: Sequence[str]) -> dict:
    """Run a program on one core; its last line is a JSON object."""
    return json.loads(one_core(argv).splitlines()[-1])


def python(*argv: str) -> list[str]:
    """Return a command of this environment's Python."""
    return [sys.executable, *argv]


def alternate(
    candidates: dict[str, Callable[[], float]], *, rounds: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Measure several things in turn, so that a busy machine is busy for all of them.

    Args:
        candidates: Each gives one figure a call; the first is what the others are compared with.
        rounds: How often each is called.

    Returns:
        The median of each one's figures, and the median of its ratio, round by round, to the
        first.
    """
    figures: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, measure in candidates.items():
            figures[name].append(measure())
    first = next(iter(figures.values()))
    ratios = {
        name: statistics.median(a / b for a, b in zip(values, first, strict=True))
        for name, values in figures.items()
    }
    return {name: statistics.median(values) for name, values in figures.items()}, ratios
