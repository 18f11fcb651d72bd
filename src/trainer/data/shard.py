"""The part of the data that one of several processes reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trainer.data.formats.table import Table


@dataclass(frozen=True)
class Shard:
    """The part of the data that one of several processes reads.

    Attributes:
        index: The process's number, 0 to count - 1.
        count: The number of processes.
        by: `file`: every count-th file is read, by this process alone, if there are enough files.
            `record`: of each global batch every process takes its own slice. `auto`: by file where
            each process gets as many examples as any other, so that all end an epoch at once; else
            by record. Where hosts hold different data (`--shard-by host`), these are the processes
            of one host.
    """

    index: int = 0
    count: int = 1
    by: str = "auto"


# The shard of a process that reads everything.
WHOLE = Shard()


def by_file(tables: Sequence[Table], shard: Shard) -> bool:
    """Return whether each process reads files of its own."""
    if shard.by == "auto":
        sizes = {sum(map(len, tables[i :: shard.count])) for i in range(shard.count)}
        return len(sizes) == 1
    return shard.by == "file" and len(tables) >= shard.count
