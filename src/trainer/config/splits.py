"""The part of a data set that a file belongs to, by the words in its path."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

# The two parts that a run reads: one to train on, one to evaluate on.
Split = Literal["train", "test"]
# The parts that a data set may have. A run evaluates on the first of `TEST_PARTS` that is there.
Part = Literal["train", "test", "eval", "validation"]
TEST_PARTS: tuple[Part, ...] = ("test", "eval", "validation")
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
