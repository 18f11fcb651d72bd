"""Names of arrays: which hold images, which labels, and of which part of the data."""

from __future__ import annotations

import re

from trainer.config import Part, part_of
from trainer.data.formats.format import Role
from trainer.data.formats.image_layout import FEWEST_VALUES

ROLES: dict[str, Role] = {
    **dict.fromkeys(("x", "image", "images", "img", "imgs", "pixels"), "images"),
    **dict.fromkeys(("data", "feature", "features", "input", "inputs"), "images"),
    **dict.fromkeys(("y", "label", "labels", "target", "targets", "class", "classes"), "labels"),
}
# These wherever they stand in a word, and what else tells files of images from those of labels.
_ROLE_WORDS = re.compile(
    r"images?|imgs?|pixels|data|features?|inputs?|labels?|targets?|class(es)?|idx\d|"
    r"(?<![a-z])[xy](?![a-z])|_gz$"
)


def array_role(name: str, shape: tuple[int, ...]) -> Role:
    """Return what an array holds.

    Args:
        name: Its name, or that of its file. One that says nothing leaves it to the shape.
        shape: Its shape; a single dimension, or one column, is labels by any name.
    """
    if len(shape) < 2 or shape[1:] == (1,):
        return "labels"
    by_name = named_role(name)
    if by_name:
        return by_name
    return "labels" if len(shape) == 2 and shape[1] < FEWEST_VALUES else "images"


def named_role(name: str) -> Role | None:
    """Return what an array's name says that it holds; None if it says nothing."""
    return next((ROLES[word] for word in reversed(name_words(name)) if word in ROLES), None)


def array_part(name: str) -> Part | None:
    """Return the part of the data that an array's name says, such as `x_test` or `trainX`."""
    return part_of(name_words(name))


def pair_key(name: str) -> tuple[str, ...]:
    """Return the words that the names of a file of images and of its labels have in common."""
    return tuple(filter(None, _ROLE_WORDS.sub("", "_".join(name_words(name))).split("_")))


def name_words(name: str) -> list[str]:
    """Return the words of a name, in lower case: of `trainX`, `x_train` and `xtrain` as well."""
    parts = re.split(r"[^a-z0-9]+", re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower())
    words = []
    for part in parts:
        first, last = part[:1], part[-1:]
        stem = part.rstrip("0123456789")
        if first in ("x", "y") and part_of([part[1:]]):
            words += [first, part[1:]]
        elif last in ("x", "y") and part_of([part[:-1]]):
            words += [part[:-1], last]
        elif stem in ROLES:
            words += [stem, part[len(stem) :]]
        else:
            words.append(part)
    return words
