"""TFRecord files: recognised, opened and counted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from trainer.config import DataError
from trainer.data.formats.file_reader import read_sample
from trainer.data.formats.format import Estimate, Format
from trainer.data.formats.framing import FOOTER, HEADER, header_length, is_tfrecord
from trainer.data.formats.infer_records import form_of
from trainer.data.formats.parallel import in_threads
from trainer.data.formats.record_file import RecordFile
from trainer.data.formats.record_labels import class_names
from trainer.data.formats.record_table import TFRecordTable
from trainer.data.formats.table import Table

if TYPE_CHECKING:
    from trainer.data.formats.read_options import ReadOptions
    from trainer.data.graph.records import GraphRecords, TableConstants

# The most files that are looked into for an estimate.
SAMPLED_FILES = 16


class TFRecordFormat(Format):
    """TFRecord files of `tf.train.Example` messages, plain or packed."""

    name = "tfrecord"
    title = "TFRecord"
    reads_gzip = True

    def matches(self, head: bytes) -> bool:
        return is_tfrecord(head)

    def matches_name(self, name: str) -> bool:
        return ".tfrec" in name

    def open(self, path: Path, labels: Path | None, options: ReadOptions) -> Table:
        return self.open_all([(path, labels)], options)[0]

    def open_all(
        self, files: Sequence[tuple[Path, Path | None]], options: ReadOptions
    ) -> list[Table]:
        skip = options.skip_corrupt
        opened = _opened([path for path, _ in files], skip_corrupt=skip)
        form = form_of(opened, options) if any(map(len, opened)) else None
        tables = [TFRecordTable(file, skip_corrupt=skip, form=form) for file in opened]
        if form and form.labels.kind == "bytes":
            # All files give a name the same number; that of training data goes for all splits.
            names = options.class_names or class_names(
                text for table in tables for text in table.label_texts()
            )
            for table in tables:
                table.name_classes(names)
        return [*tables]

    def estimate(self, files: Sequence[Path], *, sample_bytes: int) -> Estimate:
        records = covered = 0.0
        for file in files[:: -(-len(files) // SAMPLED_FILES)]:
            sample, share = read_sample(file, sample_bytes)
            count, spanned = _count_records(sample)
            if not count and sample:
                raise DataError(
                    subject=file,
                    problem="the first record's length is damaged",
                    remedy="fetch the file again",
                )
            records, covered = records + count, covered + spanned * share
        total = sum(file.stat().st_size for file in files)
        return Estimate(round(total * records / covered) if covered else 0, exact=False)

    def graph_records(self, tables: Sequence[Table], constants: TableConstants) -> GraphRecords:
        from trainer.data.graph import tfrecord

        form = cast("TFRecordTable", tables[0]).form
        if form and form.no_graph:
            raise DataError(
                subject=tables[0].name,
                problem="these records cannot be read by the workers of a parameter server, as "
                f"TensorFlow has no operation for it: {form.no_graph}",
                remedy="write them anew: trainer data create",
            )
        return tfrecord.records(tables, constants)


def _opened(paths: Sequence[Path], *, skip_corrupt: bool) -> list[RecordFile]:
    """Open files, several at a time: packed ones are unpacked, and damaged ones read as a whole."""
    found: dict[int, RecordFile] = {}

    def open_one(number: int) -> None:
        found[number] = RecordFile(paths[number], skip_corrupt=skip_corrupt)

    in_threads(open_one, len(paths), calls_per_thread=1)
    return [found[number] for number in range(len(paths))]


def _count_records(raw: bytes) -> tuple[int, int]:
    """Return how many records begin in `raw`, and how many bytes they take, the last one whole."""
    count = at = 0
    while (length := header_length(raw[at : at + HEADER])) is not None:
        at += HEADER + length + FOOTER
        count += 1
    return count, at


FORMAT = TFRecordFormat()
