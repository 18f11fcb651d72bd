"""The table of data formats: a new one is a module here and a line below (see `Format`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trainer.config import Registry

if TYPE_CHECKING:
    from trainer.data.formats.format import Format

# In the order in which messages list them.
FORMATS: Registry[Format] = Registry(
    "trainer.data.formats",
    {
        "tfrecord": "tfrecord:FORMAT",
        "idx": "idx:FORMAT",
        "npy": "npy:FORMAT",
        "npz": "npz:FORMAT",
        "csv": "csv_file:FORMAT",
        "parquet": "parquet:FORMAT",
        "images": "image_folder:FORMAT",
    },
)


def accepted() -> str:
    """Return the formats that are read, for messages: `TFRecord, IDX (gzipped or not) or npy`."""
    each = (f"{f.title} (gzipped or not)" if f.reads_gzip else f.title for f in FORMATS.values())
    return join_words(list(each), "or")


def format_titles() -> str:
    """Return what people call the formats that are read: `TFRecord, IDX or npy`."""
    return join_words([each.title for each in FORMATS.values()], "or")


def join_words(names: Sequence[str], word: str) -> str:
    """Return names as a list in a sentence, with a word before the last."""
    *most, last = names
    return f"{', '.join(most)} {word} {last}" if most else last
