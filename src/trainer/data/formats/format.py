"""A data format: how its files are recognised, opened, counted and read by a graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from trainer.config import DataError, Part

if TYPE_CHECKING:
    from trainer.data.formats.read_options import ReadOptions
    from trainer.data.formats.table import Table
    from trainer.data.graph.records import GraphRecords, TableConstants

# The contents of a file: whole examples, or only the images or the labels of some.
Role = Literal["examples", "images", "labels"]

# Bytes from the beginning of a file by which its format is recognised.
HEAD_BYTES = 128


@dataclass(frozen=True)
class Estimate:
    """A number of examples that was found without reading all of the data.

    Attributes:
        examples: The number.
        exact: True if headers say so, False if it was projected from a sample.
    """

    examples: int
    exact: bool


class Format:
    """One format of data files; the methods that raise nothing by default may be left as they are.

    A new format is one module here, which holds a subclass, and one line in `registry.FORMATS`:

        class RawFormat(Format):
            '''Examples of 785 bytes behind the mark `RAW1`: a label and 28×28 pixels.'''

            name = "raw"
            title = "raw"

            def matches(self, head: bytes) -> bool:
                return head.startswith(b"RAW1")

            def open(self, path: Path, labels: Path | None, options: ReadOptions) -> Table:
                return RawTable(path)      # a `table.Table`: __len__, read, kind, name, damage

        FORMAT = RawFormat()               # the line: "raw": "raw:FORMAT"

    Attributes:
        name: Its name in the registry, and the `kind` of its tables.
        title: What people call it.
        reads_gzip: True if gzipped files are read too; others are refused with a hint to unpack
            them.
        suffixes: Endings of file names, such as `.csv`, that would be passed over in folders as
            texts and the like were they not this format's.
        is_companion: True if files of it may only describe data of another format beside which they
            lie, as a list of labels does; there they are passed over.
        one_a_file: True if each file is one example, recognised by its suffix as it may be one of
            a million; its label comes from folders or from a list beside it.
        holds_parts: True if a file with one of these endings may hold several parts of the data.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    reads_gzip: ClassVar[bool] = False
    suffixes: ClassVar[tuple[str, ...]] = ()
    is_companion: ClassVar[bool] = False
    one_a_file: ClassVar[bool] = False
    holds_parts: ClassVar[bool] = False

    def matches(self, head: bytes) -> bool:
        """Return whether a file is of this format.

        Args:
            head: Its first `HEAD_BYTES` bytes, unpacked if it is gzipped.
        """
        raise NotImplementedError

    def matches_name(self, name: str) -> bool:
        """Return whether a file that no format matches is of this one, so that its damage is named.

        Args:
            name: The file's name in lower case.
        """
        return name.endswith(self.suffixes) if self.suffixes else False

    def role(self, path: Path, head: bytes) -> Role:
        """Return what a file of this format holds.

        Files of images and of labels are put together in pairs, by what their names have in common.

        Raises:
            DataError: Its header is damaged.
        """
        return "examples"

    def parts(self, path: Path) -> set[Part | None]:
        """Return the parts of the data that a file holds, if the names inside it say any.

        Raises:
            DataError: It is damaged.
        """
        return set()

    def refusal(self, head: bytes) -> str | None:
        """Return what is wrong with a file that is nearly of this format, or None."""
        return None

    def open_all(
        self, files: Sequence[tuple[Path, Path | None]], options: ReadOptions
    ) -> list[Table]:
        """Open the files of a split, by default each as a table.

        A format whose files hold one example each makes one table of them all.

        Args:
            files: Each file of examples or images, with the file of labels that goes with it.
            options: How to read them.

        Raises:
            DataError: As from `open`.
        """
        return [self.open(path, labels, options) for path, labels in files]

    def open(self, path: Path, labels: Path | None, options: ReadOptions) -> Table:
        """Open a file.

        Args:
            path: The file of the examples, or of the images.
            labels: The file of their labels, if `role` says that it is another.
            options: How to read it; damaged records can be left out where the format can tell one
                record from the next.

        Raises:
            DataError: The file is damaged, or holds other images or labels than expected. The
                message names the file, and says what to do.
        """
        raise NotImplementedError

    def estimate(self, files: Sequence[Path], *, sample_bytes: int) -> Estimate | None:
        """Return how many examples files hold, by headers or a sample; None if that is not known.

        Args:
            files: Those of the examples, or of the images.
            sample_bytes: The most to read of one file.

        Raises:
            DataError: A file is damaged.
        """
        return None

    def graph_records(self, tables: Sequence[Table], constants: TableConstants) -> GraphRecords:
        """Return how a TensorFlow graph reads tables of this format.

        Workers of a parameter server have no Python: they need it, and nothing else does.

        Args:
            tables: Tables of this format, none empty.
            constants: What the graph knows of them.

        Raises:
            DataError: No graph can.
        """
        raise DataError(
            subject=tables[0].name,
            problem=f"{self.title} data cannot be read by the workers of a parameter server, "
            "as TensorFlow has no operation for it",
            remedy="write it as TFRecord: trainer data create",
        )
