"""Division of a data set into parts with equal shares of each class: `trainer data split`."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trainer.config import DataError
from trainer.data.formats.table import Table
from trainer.data.subset import SubsetTable


@dataclass(frozen=True, kw_only=True)
class Division:
    """The parts that a data set is divided into.

    Attributes:
        shares: The name of each part, with the share of the examples that it gets; together 1.
        seed: The seed of the choice.
    """

    shares: tuple[tuple[str, float], ...]
    seed: int = 0


def stratified(
    tables: Sequence[Table], shares: Mapping[str, float], *, seed: int
) -> dict[str, list[Table]]:
    """Divide a data set so that each part has about the same share of each class.

    The same data, shares and seed give the same parts, in whatever number of processes.

    Args:
        tables: The data set.
        shares: The parts, with the share of the examples that each gets; together 1.
        seed: The seed of the choice.

    Returns:
        The tables of each part, without those of which it has nothing; examples stay in their
        order.

    Raises:
        DataError: A record is damaged, or there are too few examples for a part.
    """
    labels = np.concatenate([np.zeros(0, np.int32), *(table.all_labels() for table in tables)])
    firsts = [0, *itertools.accumulate(map(len, tables))]
    # Shuffled within each class, then class by class: cut at its share, the part of each class is
    # right but for one example, and so is the part of the whole.
    shuffled = np.random.default_rng(seed).permutation(labels.size)
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    part_of = np.empty(labels.size, np.int64)
    part_of[by_class] = _spread(list(shares.values()), labels.size)
    found: dict[str, list[Table]] = {}
    for number, name in enumerate(shares):
        rows = np.flatnonzero(part_of == number)
        if not rows.size:
            raise DataError(
                subject=tables[0].name,
                problem=f"{labels.size} examples are too few for a {name} part of {shares[name]:g}",
            )
        cuts = np.searchsorted(rows, firsts)
        pieces = zip(tables, firsts, itertools.pairwise(cuts), strict=False)
        found[name] = [
            SubsetTable(table, rows[a:b] - first) for table, first, (a, b) in pieces if b > a
        ]
    return found


def _spread(shares: Sequence[float], count: int) -> np.ndarray:
    """Return a part for each of some places so that every stretch has about the right shares.

    Each place goes to the part that is furthest behind its share.

    Returns:
        int64 [count].
    """
    wanted = np.asarray(shares, np.float64)
    # Where the k-th example of a part belongs: evenly over all places.
    counts = np.floor(wanted * count + 0.5).astype(np.int64)
    counts[int(np.argmax(counts))] += count - counts.sum()
    places = [(np.arange(n) + 0.5) / n for n in counts]
    parts = np.repeat(np.arange(counts.size), counts)
    return parts[np.argsort(np.concatenate(places), kind="stable")]
