"""IDX and npy files in a graph: images that stand one behind the other, and labels as constants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

import numpy as np
import tensorflow as tf

from trainer.data.formats.file_reader import FileReader
from trainer.data.formats.table import Table
from trainer.data.formats.unpacked_file import UnpackedFile
from trainer.data.graph.records import GraphRecords, TableConstants, numbered


class FixedLengthTable(Protocol):
    """A table whose images have one length in their file.

    Attributes:
        images: The file of images.
        offset: Where the first one begins, in bytes.
        labels: int32 [n].
    """

    images: FileReader | UnpackedFile
    offset: int
    labels: np.ndarray


def records(tables: Sequence[Table], constants: TableConstants) -> GraphRecords:
    """Return how a graph reads such tables: `FixedLengthTable`."""
    fixed = [cast("FixedLengthTable", table) for table in tables]
    files = [table.images for table in fixed]
    paths = tf.constant([str(file.path.absolute()) for file in files])
    packed = tf.constant([file.packing.upper() for file in files])
    headers = tf.constant([table.offset for table in fixed], tf.int64)
    read = numbered(
        lambda i: tf.data.FixedLengthRecordDataset(
            paths[i], constants.spec.size, headers[i], compression_type=packed[i]
        )
    )
    return GraphRecords(read, constants.labelled([table.labels for table in fixed]))
