"""Which part of a data set a file belongs to, by the words in its name and its folders' names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

# What a run reads: data to train on, and data to evaluate on.
Split = Literal["train", "test"]
# What data is called. A run evaluates on one part: the first of `TESTS` that is there.
Part = Literal["train", "test", "eval", "validation"]
TESTS: tuple[Part, ...] = ("test", "eval", "validation")
WORDS: dict[str, Part] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing", "t10k"), "test"),
    **dict.fromkeys(("eval", "evaluation"), "eval"),
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
}


def part_of(names: Sequence[str]) -> Part | None:
    """Return the part that the last of some names says, or else the one before it."""
    for name in reversed(names):
        for word in re.split(r"[^a-z0-9]+", name.lower()):
            if word in WORDS:
                return WORDS[word]
    return None
