"""Try whether a model computes each row by itself, and mark its SavedModel if it does.

Only then may a server put the rows of several requests into one call, or cut a request in pieces.
The mark is a file in the SavedModel's folder, which other servers ignore. It holds the digest of
the graph that was tried, so that it does not count for another graph that is put in its place.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from pathlib import Path

import numpy as np

from trainer.packaging.locate import GRAPH_FILE

# TensorFlow Serving reads one file in assets.extra, which has another name.
MARK = Path("assets.extra/row_independence.json")
# Tolerated difference relative to an output's largest value: kernels for another number of rows
# round differently.
SAME = 1e-4

Arrays = Mapping[str, np.ndarray]


class RowBehavior(Enum):
    """Result of trying rows alone and together."""

    INDEPENDENT = "each row is computed by itself"
    DEPENDENT = "the answer for a row changes with the rows beside it"
    UNKNOWN = "all rows have the same answer"


def compare_rows(call: Callable[[Arrays], Arrays], rows: Arrays) -> RowBehavior:
    """Compare the results for rows alone with those for the same rows together.

    Args:
        call: The model.
        rows: Rows for each input, for all as many; they should differ from each other.
    """
    count = len(next(iter(rows.values())))
    alone = [call({name: value[i : i + 1] for name, value in rows.items()}) for i in range(count)]
    # Also in reverse and each twice, which shows models that rank rows or count equal ones.
    orders = [list(range(count)), [*range(count), *reversed(range(count))]]
    for order in orders:
        together = call({name: value[order] for name, value in rows.items()})
        for name, value in together.items():
            single = [answer[name] for answer in alone]
            if not value.ndim or len(value) != len(order) or {len(s) for s in single} != {1}:
                return RowBehavior.DEPENDENT
            if not _same(value, np.concatenate([single[i] for i in order])):
                return RowBehavior.DEPENDENT
    first = alone[0]
    varies = any(not np.array_equal(first[n], a[n]) for a in alone for n in first)
    return RowBehavior.INDEPENDENT if varies else RowBehavior.UNKNOWN


def write_mark(folder: Path, signatures: Iterable[str]) -> None:
    """Mark signatures of a SavedModel as row-independent; none leave no mark."""
    names = sorted(signatures)
    if not names:
        return
    path = folder / MARK
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"row_independent": names, "graph": _graph(folder)}) + "\n")


def read_mark(folder: Path) -> frozenset[str]:
    """Return the signatures that are marked; none where the mark is damaged or another graph's."""
    try:
        mark = json.loads((folder / MARK).read_bytes())
        return (
            frozenset(mark["row_independent"]) if mark["graph"] == _graph(folder) else frozenset()
        )
    except (OSError, ValueError, TypeError, KeyError):
        return frozenset()


def _graph(folder: Path) -> str:
    with (folder / GRAPH_FILE).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    if a.shape != b.shape:
        return False
    if a.dtype.kind not in "fc":
        return bool(np.array_equal(a, b))
    if not np.array_equal(np.isfinite(a), np.isfinite(b)):
        return False
    finite = np.isfinite(b)
    off = np.abs(a[finite] - b[finite])
    return not off.size or bool(off.max() <= SAME * np.abs(b[finite]).max())
