"""The options by which files of any format are read."""

from __future__ import annotations

from dataclasses import dataclass

from trainer.config import Split


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """Settings for reading the files of one split, which their content does not tell.

    Attributes:
        split: The split that is wanted of a file that holds several, such as an npz.
        skip_corrupt: True to leave damaged records out, each with a line in `Table.damage`.
        image_size: Height and width that images are resized to; None to keep theirs.
        pixel_range: The pixel values that become 0 and 1; None to tell by type and values.
        features: Names that a file has for what is read, such as `("image", "img_bytes")`.
        classes: The number of classes; None to tell by the labels.
        class_names: The names of the classes in the order of their labels; empty to take those of
            the files.
    """

    split: Split = "train"
    skip_corrupt: bool = False
    image_size: tuple[int, int] | None = None
    pixel_range: tuple[float, float] | None = None
    features: tuple[tuple[str, str], ...] = ()
    classes: int | None = None
    class_names: tuple[str, ...] = ()


DEFAULTS = ReadOptions()
