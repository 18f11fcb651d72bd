"""Descriptions that lie beside TFRecord files: those of TensorFlow Datasets and of models/slim.

They are read if they are there, and never needed: `features.json` and `label.labels.txt` of TFDS
(tensorflow_datasets/core/features/top_level_feature.py, class_label_feature.py), `labels.txt` of
slim (research/slim/datasets/dataset_utils.py, lines of `0:zero`), and `classes.txt`, a name a line,
as `trainer data create` writes it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.data.formats.picture_listing import CLASSES_FILE

if TYPE_CHECKING:
    from trainer.data.formats.record_labels import RecordLabels

# Larger ones are not what they are taken for.
MOST_BYTES = 4 << 20
SLIM_LINE = re.compile(r"(\d+):(.*)")


@dataclass(frozen=True)
class SetDescription:
    """Facts about a data set that its records do not tell.

    Attributes:
        image: The name of the only image among the features; None if that is not known.
        label: The name of the only label of a class among them, likewise.
        shape: Height, width and channels of the image, None for each that is not known.
        class_names: The names of the classes, in the order of their numbers.
    """

    image: str | None = None
    label: str | None = None
    shape: tuple[int | None, int | None, int | None] = (None, None, None)
    class_names: tuple[str, ...] = ()

    def names_for(self, labels: RecordLabels) -> tuple[str, ...]:
        """Return the names of classes that go with numbers; texts are names themselves."""
        return () if labels.kind == "bytes" else self.class_names


NOTHING = SetDescription()


def is_description(name: str) -> bool:
    """Return whether a file describes the data beside it, by its name or the key of an object."""
    name = name.rpartition("/")[2]
    return name in ("features.json", "labels.txt", CLASSES_FILE) or name.endswith(".labels.txt")


def read_description(folder: Path) -> SetDescription:
    """Return what the files in a folder describe; of files that make no sense, nothing."""
    features = _tfds_features(folder / "features.json")
    images = [name for name, feature in features.items() if feature[0] == "Image"]
    labels = [name for name, feature in features.items() if feature[0] == "ClassLabel"]
    image = _one_of(images, "image")
    label = _one_of(labels, "label")
    names = (
        _lines(folder / f"{label or 'label'}.labels.txt")
        or _slim_names(folder / "labels.txt")
        or _lines(folder / CLASSES_FILE)
    )
    shape = _shape(features[image][1]) if image else (None, None, None)
    return SetDescription(image, label, shape, names)


def _one_of(names: list[str], usual: str) -> str | None:
    if usual in names:
        return usual
    return names[0] if len(names) == 1 else None


def _tfds_features(path: Path) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return the class of each feature and what it says, by name."""
    try:
        content = json.loads(_text(path) or "{}")
        top = content.get("featuresDict", {}).get("features") or content.get("content", {})
        found = {}
        for name, feature in top.items():
            kind = str(feature.get("pythonClassName") or feature.get("type")).rpartition(".")[2]
            body = feature.get("image") or feature.get("content") or {}
            found[str(name)] = (kind, body if isinstance(body, dict) else {})
        return found
    except (ValueError, AttributeError, RecursionError):
        return {}


def _shape(body: dict[str, Any]) -> tuple[int | None, int | None, int | None]:
    """Return the shape of an image; TFDS writes -1 or null for what varies."""
    found = body.get("shape")
    sizes = found.get("dimensions") if isinstance(found, dict) else found
    if not isinstance(sizes, list) or len(sizes) != 3:
        return None, None, None
    whole = [int(size) if str(size).isdigit() and int(size) > 0 else None for size in sizes]
    return whole[0], whole[1], whole[2]


def _lines(path: Path) -> tuple[str, ...]:
    """Return the lines of a file of names, none if one is empty or there twice."""
    names = [line.strip() for line in (_text(path) or "").splitlines()]
    return tuple(names) if all(names) and len(set(names)) == len(names) else ()


def _slim_names(path: Path) -> tuple[str, ...]:
    """Return names by number, if each number from 0 on has one."""
    found = [SLIM_LINE.fullmatch(line.strip()) for line in (_text(path) or "").splitlines()]
    names = {int(match[1]): match[2].strip() for match in found if match}
    if not names or len(names) != len(found) or sorted(names) != list(range(len(names))):
        return ()
    return tuple(names[number] for number in range(len(names)))


def _text(path: Path) -> str | None:
    """Return the text of a small file, or None if it is not there or no text."""
    try:
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            return None
        return path.read_text("utf-8")
    except (OSError, UnicodeError):
        return None
