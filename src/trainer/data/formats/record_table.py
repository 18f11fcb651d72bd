"""Tables of the examples in TFRecord files, without TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from trainer.config import DataError
from trainer.data.formats import record_layout
from trainer.data.formats.example_features import BadExampleError
from trainer.data.formats.infer_records import form_of
from trainer.data.formats.parallel import in_threads
from trainer.data.formats.picture import Picture, decode_pictures
from trainer.data.formats.picture_header import PictureError
from trainer.data.formats.pictures import decode
from trainer.data.formats.read_options import ReadOptions
from trainer.data.formats.record_file import RecordFile
from trainer.data.formats.record_form import RecordForm
from trainer.data.formats.table import RUN_RECORDS, Table, check_labels

Parsed = TypeVar("Parsed")


class TFRecordTable(Table):
    """The labelled images of one TFRecord file.

    Args:
        path: The file; one that is packed with gzip or zlib is unpacked on opening.
        skip_corrupt: Leave damaged records out instead of raising, those included whose picture is
            damaged. The whole file is then checked on opening.
        form: The form of the records; None to infer it from the file.

    Attributes:
        file: The messages.
        form: The form of the records; None if there are none.

    Raises:
        DataError: Framing or checksum is wrong, or the records hold no labelled image: file, record
            and offset are named.
    """

    kind = "tfrecord"

    def __init__(
        self,
        path: Path | RecordFile,
        *,
        skip_corrupt: bool = False,
        form: RecordForm | None = None,
    ) -> None:
        self.file = (
            path if isinstance(path, RecordFile) else RecordFile(path, skip_corrupt=skip_corrupt)
        )
        self.name, self.damage = self.file.name, self.file.damage
        self._layouts: list[record_layout.RecordLayout] = []
        if form is None and len(self.file):
            form = form_of([self.file], ReadOptions(skip_corrupt=skip_corrupt))
        self._take(form)
        if skip_corrupt and form and form.storage == "picture":
            self._leave_out_damaged_pictures()

    def __len__(self) -> int:
        return len(self.file)

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """See `Table.read`."""
        form, numbers = self._known_form, self.file.numbers(start, stop)
        if form.storage == "picture":
            pictures, labels = self.pictures(start, stop)
            decoded = np.empty((len(pictures), *self.spec.shape), np.uint8)
            decode_pictures(pictures, decoded)
            return decoded, labels
        values, ids = self._values(start, stop)
        labels = check_labels(ids, where=self.name, numbers=numbers)
        if form.is_plain:
            return values.reshape(-1, *form.spec.shape), labels
        assert form.pixels
        if stop - start == numbers[-1] - numbers[0] + 1:
            return form.pixels.images(values, where=self.name, first=int(numbers[0])), labels
        # Some are left out between these: each has a number of its own in errors.
        images = [
            form.pixels.images(row[None], where=self.name, first=number)
            for row, number in zip(values, numbers.tolist(), strict=True)
        ]
        return np.concatenate(images), labels

    def pictures(self, start: int, stop: int) -> tuple[list[Picture], np.ndarray]:
        """See `Table.pictures`."""
        found, ids = self._parsed(start, stop, self._known_form.parse)
        numbers = self.file.numbers(start, stop)
        labels = check_labels(ids, where=self.name, numbers=numbers)

        def name(place: int) -> str:
            return f"{self.name}: record {numbers[place]}"

        resize = self._known_form.resize
        return [Picture(found.__getitem__, name, i, resize) for i in range(len(found))], labels

    def all_labels(self) -> np.ndarray:
        """See `Table.all_labels`; no picture is decoded."""
        found = [np.zeros(0, np.int32)]
        for start, stop in self._runs():
            if self._known_form.is_sliced:
                ids = self._values(start, stop)[1]
            else:
                ids = self._parsed(start, stop, self._label)[1]
            numbers = self.file.numbers(start, stop)
            found.append(check_labels(ids, where=self.name, numbers=numbers))
        return np.concatenate(found)

    def label_texts(self) -> set[bytes]:
        """Return the labels where they are texts.

        Raises:
            DataError: As from `read`.
        """
        return {
            text
            for start, stop in self._runs()
            for text in self._each(start, stop, self._known_form.label)
            if isinstance(text, bytes)
        }

    def name_classes(self, names: tuple[str, ...]) -> None:
        """Give labels that are texts their numbers: the places of their names."""
        self._take(self._known_form.with_names(names))

    def _take(self, form: RecordForm | None) -> None:
        self.form = form
        if form:
            self.spec, self.note = form.spec, form.note
            self.class_names = form.labels.names or form.class_names
            is_picture = form.storage == "picture" and len(self.file)
            self.picture_bytes = self.file.size / len(self.file) if is_picture else None

    def _label(self, raw: bytes) -> tuple[None, int | float | bytes]:
        return None, self._known_form.label(raw)

    def _values(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Return stored values [n, …] and labels int64 [n] of records that hold no pictures."""
        if self._known_form.is_sliced:
            return self._sliced(start, stop)
        values, ids = self._parsed(start, stop, self._known_form.parse)
        return np.stack(values), ids

    def _parsed(
        self, start: int, stop: int, parse: Callable[[bytes], tuple[Any, int | float | bytes]]
    ) -> tuple[list[Any], np.ndarray]:
        """Return images as they are stored and labels int64 [n] of records, one by one."""
        images, labels = zip(*self._each(start, stop, parse), strict=True)
        try:
            return list(images), self._known_form.labels.ids(np.array(labels))
        except BadExampleError as error:
            raise self._wrong(start + error.row, error) from None

    def _each(self, start: int, stop: int, parse: Callable[[bytes], Parsed]) -> Iterator[Parsed]:
        """Yield what is parsed of each of some records.

        Raises:
            DataError: One is damaged or of another form.
        """
        for place, raw in enumerate(self.file.messages(start, stop)):
            try:
                yield parse(raw)
            except BadExampleError as error:
                raise self._wrong(start + place, error) from None

    def _sliced(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Return stored values [n, …] and labels int64 [n] of records that are sliced."""
        form = self._known_form
        blocks = self.file.blocks(start, stop)
        parts, wrong = [], []
        for places, rows in blocks:
            try:
                parts.append(record_layout.decode(rows, form, layouts=self._layouts))
            except BadExampleError as error:
                wrong.append((start + int(places[error.row]), error))
        if wrong:
            raise self._wrong(*min(wrong, key=lambda each: each[0]))
        if len(parts) == 1:
            return parts[0]
        images = np.empty((stop - start, parts[0][0].shape[1]), form.dtype)
        labels = np.empty(stop - start, np.int64)
        for (places, _), (values, ids) in zip(blocks, parts, strict=True):
            images[places], labels[places] = values, ids
        return images, labels

    def _leave_out_damaged_pictures(self) -> None:
        form = self._known_form
        kept = np.ones(len(self), bool)
        for start, stop in self._runs():
            messages = self.file.messages(start, stop)
            problems = [""] * len(messages)

            def check(
                place: int, messages: list[bytes] = messages, problems: list[str] = problems
            ) -> None:
                try:
                    picture, _ = form.parse(messages[place])
                    assert isinstance(picture, bytes)
                    decode(picture, channels=form.spec.shape[2])
                except PictureError as error:
                    problems[place] = str(error)
                except BadExampleError as error:
                    problems[place] = error.problem

            in_threads(check, len(messages))
            for place, problem in enumerate(problems):
                if problem:
                    kept[start + place] = False
                    self.file.leave_out(start + place, problem)
        if not kept.all():
            self.file.keep(kept)

    @property
    def _known_form(self) -> RecordForm:
        assert self.form, "a table without a record is not read"
        return self.form

    def _runs(self) -> list[tuple[int, int]]:
        run = self.spec.records(RUN_RECORDS)
        return [(at, min(at + run, len(self))) for at in range(0, len(self), run)]

    def _number(self, record: int) -> int:
        return int(self.file.numbers(record, record + 1)[0])

    def _wrong(self, record: int, error: BadExampleError) -> DataError:
        return DataError(
            subject=self.name,
            problem=f"record {self._number(record)}: {error.problem}",
            remedy=error.remedy or None,
        )
