"""Records per CPU-second, from images in memory to a TFRecord file."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks.common import Table, alternate
from trainer.data import BLOCK_RECORDS, Table as ImageTable, open_tables, write_shard


class _InMemory(ImageTable):
    """The same images again and again, so that reading them costs nothing."""

    kind, name = "memory", "memory"

    def __init__(self, data: Path) -> None:
        (table,) = open_tables([str(data)], split="train")
        self.damage: list[str] = []
        self.images, self.labels = table.read(0, len(table) // BLOCK_RECORDS * BLOCK_RECORDS)

    def __len__(self) -> int:
        return self.labels.size

    def read(self, start: int, stop: int):
        return self.images[start:stop], self.labels[start:stop]


def measure(*, data: Path, rounds: int) -> Table:
    """Compare our writer with `tf.train.Example` and `TFRecordWriter`, by turns."""
    from benchmarks.rivals.naive_write import write

    table = _InMemory(data)
    with tempfile.TemporaryDirectory() as folder:

        def ours() -> float:
            start = time.process_time()
            write_shard([table], (0, len(table)), Path(folder) / "ours.tfrecords", name="ours")
            return len(table) / (time.process_time() - start)

        def naive() -> float:
            start = time.process_time()
            write(table.images[..., 0], table.labels, Path(folder) / "naive.tfrecords")
            return len(table) / (time.process_time() - start)

        name = "naive: `tf.train.Example(…).SerializeToString()`, `TFRecordWriter`"
        medians, ratios = alternate({name: naive, "`trainer data create`": ours}, rounds=rounds)
    rows = [(name, f"{medians[name]:,.0f}", f"{ratios[name]:.1f}") for name in medians]
    return Table(
        "Writing: records per CPU-second, one core", ("writer", "records/cs", "× naive"), rows
    )
