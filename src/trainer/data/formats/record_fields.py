"""The features of a record that hold its image and its label: by name, or as the only ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trainer.data.formats.example_features import (
    BadExampleError,
    Feature,
    shown_features,
    value_spans,
)
from trainer.data.formats.picture_header import sniff
from trainer.data.formats.protobuf import WireError

# Names in use, those first that are looked for first: the trainer's own and the migration
# example's, TFDS', slim's, and those of tutorials.
IMAGES = (
    "image_raw", "image", "image/encoded", "image/raw", "image_bytes", "image_data", "images",
    "img", "img_raw", "img_bytes", "encoded", "encoded_image", "jpeg", "jpg", "png", "picture",
    "pixels", "features", "x",
)  # fmt: skip
LABELS = (
    "label", "image/class/label", "image/label", "labels", "class", "class_label", "class_id",
    "label_id", "target", "category", "digit", "y", "fine_label",
)  # fmt: skip
# Boxes of a detection data set: a label each.
BOXES = ("image/object/class/label", "objects/label")
# Names of sizes by axis.
HEIGHTS = ("height", "rows", "image/height", "image_height", "img_height", "h")
WIDTHS = ("width", "cols", "columns", "image/width", "image_width", "img_width", "w")
DEPTHS = ("depth", "channels", "image/channels", "image/depth", "num_channels", "c")
SHAPES = ("shape", "image/shape", "image_shape")
_SIZES = (*HEIGHTS, *WIDTHS, *DEPTHS, *SHAPES)

# Lists of fewer numbers are measurements, not pixels.
FEWEST_PIXELS = 64
FLAG = "--feature image=NAME,label=NAME"


@dataclass(frozen=True)
class RecordFields:
    """Names of the features that are read of a record.

    Attributes:
        image: The feature of the image.
        label: The feature of the label.
        sizes: Those of height, width and channels; None where there is none.
        shape: That of all three in one; None if there is none.
    """

    image: str
    label: str
    sizes: tuple[str | None, str | None, str | None] = (None, None, None)
    shape: str | None = None

    @property
    def size_names(self) -> list[str]:
        """The features that tell the size of the image."""
        return [name for name in (*self.sizes, self.shape) if name]


def choose_fields(
    raw: bytes,
    features: dict[str, Feature],
    *,
    named: Iterable[tuple[str, str]] = (),
    preferred: tuple[str | None, str | None] = (None, None),
) -> RecordFields:
    """Find the features of image and label in the first record of a file.

    Args:
        raw: The record.
        features: Its features.
        named: The names that `--feature` gives: `image`, `label`, `height`, `width`, `depth` or
            `shape`, each with the feature.
        preferred: The names of image and label that a description beside the file gives.

    Raises:
        BadExampleError: They cannot be found, or a name is not among the features.
    """
    given = dict(named)
    for name in given.values():
        if name not in features:
            raise _unknown(raw, features, f"has no feature {name!r}, which --feature names")
    sizes = [
        given.get(axis) or _first(features, names)
        for axis, names in (("height", HEIGHTS), ("width", WIDTHS), ("depth", DEPTHS))
    ]
    fields = RecordFields(
        image=given.get("image") or _image(raw, features, preferred[0], given.get("label")),
        label="",
        sizes=(sizes[0], sizes[1], sizes[2]),
        shape=given.get("shape") or _first(features, SHAPES),
    )
    label = given.get("label") or _label(raw, features, preferred[1], fields)
    for name, what in ((fields.image, "image"), (label, "label")):
        if (frames := features[name].frames) > 1:
            raise BadExampleError(
                f"feature {name!r} holds {frames} frames, expected one {what}: records of several "
                "frames need a module of your own (--module)"
            )
    return RecordFields(fields.image, label, fields.sizes, fields.shape)


def is_picture(raw: bytes, feature: Feature) -> bool:
    """Return whether a feature holds a PNG, JPEG, WebP or BMP, by its first bytes."""
    spans = _spans(raw, feature) if feature.kind == "bytes" else []
    return len(spans) == 1 and sniff(raw[slice(*spans[0])]) is not None


def _image(
    raw: bytes, features: dict[str, Feature], preferred: str | None, label: str | None
) -> str:
    """Return the name of the feature that holds the image."""
    fitting = {
        name: feature
        for name, feature in features.items()
        if name not in (*_SIZES, *LABELS, label) and _may_hold_pixels(raw, feature)
    }
    if found := _first(fitting, (*filter(None, [preferred]), *IMAGES)):
        return found
    pictures = [name for name, feature in fitting.items() if is_picture(raw, feature)]
    texts = [name for name, feature in fitting.items() if feature.kind == "bytes"]
    lists = [name for name, feature in fitting.items() if feature.kind != "bytes"]
    for names in (pictures, texts, lists):
        if len(names) == 1:
            return names[0]
    raise _unknown(raw, features, "has no feature that is surely its image")


def _label(
    raw: bytes, features: dict[str, Feature], preferred: str | None, fields: RecordFields
) -> str:
    """Return the name of the feature that holds the label."""
    others = {
        name: feature
        for name, feature in features.items()
        if name != fields.image and name not in fields.size_names and feature.kind != "nothing"
    }
    if found := _first(others, (*filter(None, [preferred]), *LABELS)):
        return found
    if boxes := _first(features, BOXES):
        raise BadExampleError(
            f"has labels of boxes ({boxes!r}), none of the image: data for detection needs a "
            "module of your own (--module)"
        )
    for kind in ("int64", "float"):
        single = [
            name
            for name, feature in others.items()
            if feature.kind == kind and name not in _SIZES and len(_spans(raw, feature)) == 1
        ]
        if len(single) == 1:
            return single[0]
    raise _unknown(raw, features, "has no feature that is surely its label")


def _may_hold_pixels(raw: bytes, feature: Feature) -> bool:
    spans = _spans(raw, feature)
    if feature.kind == "bytes":
        return len(spans) == 1 and spans[0][1] > spans[0][0]
    return len(spans) >= FEWEST_PIXELS


def _spans(raw: bytes, feature: Feature) -> list[tuple[int, int]]:
    try:
        return value_spans(raw, feature)
    except WireError:
        return []


def _first(features: dict[str, Feature], names: Sequence[str]) -> str | None:
    return next((name for name in names if name in features), None)


def _unknown(raw: bytes, features: dict[str, Feature], problem: str) -> BadExampleError:
    shown = shown_features(raw, features) or "none at all"
    return BadExampleError(f"{problem}; it has {shown}", remedy=f"name them: {FLAG}")
