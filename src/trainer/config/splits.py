"""The part of a data set that a file belongs to, by the words in its path."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

# The uses of data in a run: it trains on one, looks at the second meanwhile, and asks the third
# once at the end. Without validation data it looks at the test data meanwhile.
Split = Literal["train", "validation", "test"]
# The parts that a data set may have.
Part = Literal["train", "test", "eval", "validation"]
# The parts that a run may test on if no test data is named: it uses the first that is there.
TEST_PARTS: tuple[Part, ...] = ("test", "eval", "validation")
PARTS_OF: dict[Split, tuple[Part, ...]] = {
    "train": ("train",),
    "validation": ("validation", "eval", "test"),
    "test": TEST_PARTS,
}
PART_WORDS: dict[str, Part] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing", "t10k"), "test"),
    **dict.fromkeys(("eval", "evaluation"), "eval"),
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
}


def part_of(names: Sequence[str]) -> Part | None:
    """Return the part that a path names; the last name that has such a word decides."""
    for name in reversed(names):
        for word in split_words(name):
            if word in PART_WORDS:
                return PART_WORDS[word]
    return None


def split_words(name: str) -> list[str]:
    """Return the words of a name, in lower case."""
    return re.split(r"[^a-z0-9]+", name.lower())
