"""CSV files: read once, row by row, into labels in memory and images on disk."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trainer.config import DataError
from trainer.data.formats.arrow import arrow_errors, import_arrow
from trainer.data.formats.column_images import Rows, image_columns
from trainer.data.formats.column_labels import LabelColumn
from trainer.data.formats.column_table import ColumnTable, filled, share_range
from trainer.data.formats.columns import ColumnLayout, column_layout, is_number
from trainer.data.formats.csv_errors import row_errors, rows_named
from trainer.data.formats.csv_sample import CsvSample, odd_value, open_text, read_sample
from trainer.data.formats.format import Estimate, Format
from trainer.data.formats.spool import Spool

if TYPE_CHECKING:
    from trainer.data.formats.read_options import ReadOptions
    from trainer.data.formats.table import Table

# Bytes of text that are parsed at a time; of rows that are longer, so many rows.
BLOCK_BYTES = 4 << 20
BLOCK_ROWS = 8


class CsvTable(ColumnTable):
    """The labelled images of one CSV file.

    Rows of text cannot be found without reading all before them. `load` reads the file once, and
    each image is kept on disk as the bytes that it has in memory.

    Args:
        path: The file, plain or packed by gzip or zstd.
        options: How to read it.

    Raises:
        DataError: It is damaged, or has no labels or images where they are looked for.
    """

    kind = "csv"

    def __init__(self, path: Path, options: ReadOptions) -> None:
        self._sample = sample = read_sample(path)
        self._layout = layout = _layout(sample, path, options)
        at = {column: number for number, column in enumerate(sample.columns)}
        self._wanted = [at[column] for column in (layout.label, *layout.images)]
        images = self._wanted[1:]
        self._pixels = _pixel_type(sample, images) if layout.form == "pixels" else None
        first = [sample.rows.column(i).combine_chunks() for i in images]
        if self._pixels:
            first = [array.cast(self._pixels, safe=False) for array in first]
        self._first_row = 1 + sample.has_header
        with rows_named(self._first_row):
            super().__init__(path, image_columns(layout, first, path=path, options=options))

    def load(self) -> CsvTable:
        """Read the file, and return the table.

        Raises:
            DataError: As from the class.
        """
        layout, path = self._layout, self.path
        labels = LabelColumn(layout.label, where=str(path))
        self._spool = spool = Spool(self.images.width)
        with arrow_errors(path, kind="CSV"), rows_named(self._first_row):
            for batch in csv_batches(path, self._sample, self._wanted, self._pixels):
                labels.add(batch.column(0))
                rows = self.images.rows(batch.columns[1:], len(spool))
                if not spool.has_room(len(rows) * self.images.width):
                    raise DataError(
                        subject=path,
                        problem=f"no room for its images in {tempfile.gettempdir()}",
                        remedy="set TMPDIR to a folder of a larger disk",
                    )
                spool.append(rows)
        self.labels, self.class_names = labels.finish()
        self.note = self.images.note
        if self._sample.label is layout.label:
            number = len(self._sample.columns)
            found = f"no header, labels are in column {layout.label.name} of {number}"
            self.note = "; ".join(filter(None, (found, self.note)))
        return self

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """See `Table.read`."""
        with rows_named(self._first_row):
            return super().read(start, stop)

    def rows(self, start: int, stop: int) -> Rows:
        """See `ColumnTable.rows`."""
        return self._spool.read(start, stop)


def _layout(sample: CsvSample, path: Path, options: ReadOptions) -> ColumnLayout:
    """Return the columns of labels and images.

    Raises:
        DataError: They are not there, perhaps as one value in a column of numbers is none.
    """
    try:
        return column_layout(sample.columns, where=str(path), options=options, label=sample.label)
    except DataError:
        if odd := odd_value(sample):
            row, column, value = odd
            raise DataError(
                subject=path,
                problem=f"row {row}, column {column}: '{value[:40]}', expected a number",
            ) from None
        raise


def _pixel_type(sample: CsvSample, columns: Sequence[int]) -> Any:
    """Return the type in which pixels are parsed, by the first rows: the narrowest of them all."""
    import pyarrow as pa
    from pyarrow import compute

    kind = pa.uint8()
    for number in columns:
        column = sample.rows.column(number)
        if pa.types.is_floating(column.type):
            return pa.float32()
        least, most = compute.min_max(column).as_py().values()
        if least is not None and (least < 0 or most > 255):
            kind = pa.int32()
    return kind


def csv_batches(
    path: Path, sample: CsvSample, wanted: Sequence[int], pixels: Any = None
) -> Iterator[Any]:
    """Yield the wanted columns of all rows, some rows at a time.

    Args:
        path: The file.
        sample: Its beginning.
        wanted: The numbers of the columns.
        pixels: The type in which all but the first of these are parsed; None for those of the
            sample.

    Raises:
        DataError: A value or a row is not as in the sample.
    """
    reader = import_arrow(path, "pyarrow.csv")
    types = {str(i): pixels or _plain(sample.columns[i].type) for i in wanted}
    types[str(wanted[0])] = _plain(sample.columns[wanted[0]].type)
    names = [column.name for column in sample.columns]
    with row_errors(path, names), open_text(path) as text:
        yield from reader.open_csv(
            text,
            # Numbers for names, as names may be there twice.
            read_options=reader.ReadOptions(
                use_threads=False,
                column_names=[str(i) for i in range(len(names))],
                skip_rows=int(sample.has_header),
                block_size=max(BLOCK_BYTES, BLOCK_ROWS * sample.longest),
            ),
            parse_options=reader.ParseOptions(
                delimiter=sample.separator,
                newlines_in_values=sample.has_quotes,
            ),
            convert_options=reader.ConvertOptions(
                include_columns=[str(i) for i in wanted], column_types=types
            ),
        )


def _plain(kind: Any) -> Any:
    """Return the type in which a column is parsed that has no pixels: of numbers or text."""
    import pyarrow as pa

    return kind if is_number(kind) or pa.types.is_boolean(kind) else pa.string()


class CsvFormat(Format):
    """CSV and TSV files with a column of labels."""

    name = "csv"
    title = "CSV"
    reads_gzip = True
    suffixes = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".csv.zst", ".tsv.zst")
    is_companion = True

    def matches(self, head: bytes) -> bool:
        # Any text may be CSV: it is recognised by its name.
        return False

    def open_all(
        self, files: Sequence[tuple[Path, Path | None]], options: ReadOptions
    ) -> list[Table]:
        tables = [CsvTable(path, options) for path, _ in files]
        share_range(tables)
        return filled([table.load() for table in tables])

    def open(self, path: Path, labels: Path | None, options: ReadOptions) -> Table:
        return CsvTable(path, options).load()

    def estimate(self, files: Sequence[Path], *, sample_bytes: int) -> Estimate | None:
        """See `Format.estimate`: by the length of the first rows."""
        count = 0.0
        for path in files:
            sample = read_sample(path)
            count += path.stat().st_size / sample.bytes_per_row
        return Estimate(round(count), exact=False)


FORMAT = CsvFormat()
