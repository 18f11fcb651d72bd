"""Images from columns: one column a pixel, lists of pixels, encoded pictures or their files."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trainer.config import DataError
from trainer.data.formats.column_values import holds_pixels, missing, stored_values
from trainer.data.formats.columns import ColumnLayout
from trainer.data.formats.picture_header import PictureError, PictureHeader, read_header
from trainer.data.formats.pictures import decode_all
from trainer.data.formats.pixels import PixelForm, pixel_form
from trainer.data.formats.read_options import ReadOptions
from trainer.data.formats.table import ImageSpec

# Characters of the name of a file in an error.
LONGEST_NAME = 200
# Rows of bytes: of one length, uint8 [n, width], or of several.
Rows = np.ndarray | list[bytes]
# Columns of some records, as pyarrow's arrays, in the order of `ColumnLayout.images`.
Arrays = Sequence[Any]


class ImageColumns:
    """The images of a file by its columns: the base of both kinds.

    Between reading and decoding, images are kept as rows of bytes.

    Attributes:
        spec: The form of the images.
        width: The bytes of a row; 0 if they differ.
        note: What was inferred about shape, type and range, for the log.
    """

    spec: ImageSpec
    width: int
    note: str = ""

    def rows(self, arrays: Arrays, first: int) -> Rows:
        """Return columns as rows of bytes.

        Args:
            arrays: The columns.
            first: The number of the first record, for errors.

        Raises:
            DataError: A value is missing, or not as in other records.
        """
        raise NotImplementedError

    def images(self, rows: Rows, first: int) -> np.ndarray:
        """Return rows as images: `spec.dtype` [n, *spec.shape].

        Raises:
            DataError: A picture is damaged, not there, or of another size.
        """
        raise NotImplementedError


class NoImages(ImageColumns):
    """The images of a file without a record, which says nothing of their form."""

    spec = ImageSpec()
    width = spec.size


class PixelColumns(ImageColumns):
    """Images of which the file has each pixel as a number.

    Args:
        layout: The columns.
        sample: Some records of them.
        where: The file, for errors.
        options: How to read them.

    Attributes:
        extremes: The lowest and the highest value of the sample.
    """

    def __init__(
        self, layout: ColumnLayout, sample: Arrays, *, where: str, options: ReadOptions
    ) -> None:
        self._layout, self._where = layout, where
        self._options = options
        values = self._values(sample, 0)
        self._stored = values.shape[1:]
        extremes = [values.min(), values.max()] if values.size else []
        self.extremes = np.array(extremes, values.dtype)
        self.infer_form(self.extremes)

    def infer_form(self, sample: np.ndarray) -> None:
        """Set the form of the images by pixels of this file, and perhaps of others."""
        self._form: PixelForm = pixel_form(
            self._stored, sample.dtype, sample, where=self._where, options=self._options
        )
        self.spec, self.note = self._form.spec, self._form.note
        self.width = self.spec.size

    def rows(self, arrays: Arrays, first: int) -> np.ndarray:
        """See `ImageColumns.rows`."""
        values = self._values(arrays, first)
        if values.shape[1:] != self._stored:
            raise DataError(
                subject=self._where,
                problem=f"record {first}: an image has {_shown(values.shape[1:])} values, expected "
                f"{_shown(self._stored)} as in the first record",
            )
        images = self._form.images(values, where=self._where, first=first)
        return images.reshape(len(images), -1).view(np.uint8)

    def images(self, rows: Rows, first: int) -> np.ndarray:
        """See `ImageColumns.images`."""
        assert isinstance(rows, np.ndarray)
        return rows.view(self.spec.dtype).reshape(-1, *self.spec.shape)

    def _values(self, arrays: Arrays, first: int) -> np.ndarray:
        """Return the numbers as they are stored: [n, *stored]."""
        names = [column.name for column in self._layout.images]
        return stored_values(arrays, self._layout.form, names, where=self._where, first=first)


class PictureColumn(ImageColumns):
    """Images that a file holds as encoded pictures, or whose files it names.

    Args:
        layout: The column.
        sample: Some records of it.
        path: The file; the names of others are relative to its folder.
        options: How to read them.
    """

    width = 0

    def __init__(
        self, layout: ColumnLayout, sample: Arrays, *, path: Path, options: ReadOptions
    ) -> None:
        self._layout, self._path = layout, path
        self._resize = options.image_size is not None
        headers = [self._header(row, n) for n, row in enumerate(self.rows(sample, 0))]
        channels = max((header.channels for header in headers), default=1)
        size = options.image_size
        for number, header in enumerate(headers):
            size = size or (header.height, header.width)
            if not self._resize and (header.height, header.width) != size:
                raise DataError(
                    subject=self._name(number),
                    problem=f"is {header.size}, the first is {size[0]}×{size[1]}",
                    remedy="resize them all: --image-size H,W",
                )
        self.spec = ImageSpec((*(size or (1, 1)), channels))

    def rows(self, arrays: Arrays, first: int) -> list[bytes]:
        """See `ImageColumns.rows`; the names of files are kept behind a zero byte."""
        import pyarrow as pa

        array = arrays[0]
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        if array.null_count:
            raise missing(array, self._layout.images[0].name, str(self._path), first)
        if self._layout.form == "paths":
            return [b"\0" + name.encode() for name in array.to_pylist()]
        if not pa.types.is_struct(array.type):
            return array.to_pylist()
        found = array.field("bytes").to_pylist()
        if None in found:
            has_paths = array.type.get_field_index("path") >= 0
            names = array.field("path").to_pylist() if has_paths else [None] * len(found)
            for i, (data, name) in enumerate(zip(found, names, strict=True)):
                if data is None and not name:
                    raise missing(None, self._layout.images[0].name, str(self._path), first + i)
                found[i] = b"\0" + str(name).encode() if data is None else data
        return found

    def images(self, rows: Rows, first: int) -> np.ndarray:
        """See `ImageColumns.images`."""
        assert isinstance(rows, list)
        return decode_all(
            lambda n: self._fetch(rows[n], first + n),
            self.spec.shape,
            len(rows),
            resize=self._resize,
            name=lambda n: self._name(first + n, rows[n]),
        )

    def _fetch(self, row: bytes, number: int) -> bytes:
        """Return an encoded picture."""
        if not row.startswith(b"\0"):
            return row
        path = self._path.parent / row[1:].decode()
        try:
            return path.read_bytes()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise DataError(
                subject=self._path,
                problem=f"record {number}: picture {_brief(str(path))} cannot be read: {reason}",
                remedy="names of pictures are relative to the folder of their table",
            ) from None

    def _header(self, row: bytes, number: int) -> PictureHeader:
        try:
            return read_header(self._fetch(row, number))
        except PictureError as error:
            raise DataError(subject=self._name(number, row), problem=str(error)) from None

    def _name(self, number: int, row: bytes = b"") -> str:
        file = f" ({_brief(row[1:].decode())})" if row.startswith(b"\0") else ""
        return f"{self._path}: record {number}{file}"


def image_columns(
    layout: ColumnLayout, sample: Arrays, *, path: Path, options: ReadOptions
) -> ImageColumns:
    """Return the images of a file.

    Args:
        layout: Its columns.
        sample: Some records of the columns of images; none if the file has none.
        path: The file.
        options: How to read them.

    Raises:
        DataError: They are no images.
    """
    if not sample or not len(sample[0]):
        return NoImages()
    if layout.form == "paths" and holds_pixels(sample[0]):
        layout = dataclasses.replace(layout, form="texts")
    if layout.form in ("pixels", "lists", "vectors", "texts"):
        return PixelColumns(layout, sample, where=str(path), options=options)
    return PictureColumn(layout, sample, path=path, options=options)


def _brief(name: str) -> str:
    """Return the name of a file for a line of an error: a table may hold any text in its place."""
    name = " ".join(name.split())
    return name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…"


def _shown(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))
