"""Values that only a run would show, each as one character of a text that is taken apart."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from trainer.migration.values import MOST_PARTS, Text, Unknown, parts_of, simplified

# Characters for private use stand for values that are not known.
_FIRST = 0xE000
_HIDDEN = re.compile("[\ue000-\uf8ff]")


@dataclass(kw_only=True)
class Hidden:
    """Values that are not known, each as a character of a text."""

    values: list[Unknown] = field(default_factory=list)

    def text(self, value: Any) -> str:
        """Return a value as text."""
        return "".join(
            part if isinstance(part, str) else self._character(part) for part in parts_of(value)
        )

    def _character(self, value: Unknown) -> str:
        if value not in self.values:
            self.values.append(value)
        # The last of too many stands for all others.
        return chr(_FIRST + min(self.values.index(value), 6000))

    def value(self, text: str) -> Any:
        """Return the value of a text: a `str`, or a `Text` or an `Unknown`."""
        if not _HIDDEN.search(text):
            return text
        parts: list[str | Unknown] = []
        at = 0
        for match in _HIDDEN.finditer(text):
            number = ord(match[0]) - _FIRST
            known = number < len(self.values)
            parts += [text[at : match.start()], self.values[number] if known else match[0]]
            at = match.end()
        found = simplified([part for part in [*parts, text[at:]] if part != ""][:MOST_PARTS])
        return text if found is None else found

    def _name(self, text: str) -> str:
        """Return a name with the sources of values that are not known."""
        parts = parts_of(self.value(text))
        return "".join(part if isinstance(part, str) else part.source for part in parts)

    def restored(self, value: Any) -> Any:
        """Return lists and dictionaries with the values of their texts."""
        if isinstance(value, dict):
            return {self._name(str(name)): self.restored(each) for name, each in value.items()}
        if isinstance(value, list):
            return [self.restored(each) for each in value]
        return self.value(value) if isinstance(value, str) else value


@dataclass(frozen=True, kw_only=True)
class CommandReader:
    """Reads the command lines of a program.

    Attributes:
        hidden: The values that characters of the words stand for.
        read: Returns the text of a file by its path, or None.
        line: The line of the script that a command's lines are counted from.
    """

    hidden: Hidden
    read: Callable[[str], str | None]
    line: int


def with_values(text: str, hidden: Hidden, value: Callable[[str], Any]) -> str:
    """Return a command of a notebook with the values of `{expression}` and `$name` in it.

    Args:
        text: The command.
        hidden: Takes the values that are not known.
        value: Returns the value of an expression; None where it is none of the notebook's.
    """

    def put(match: re.Match[str]) -> str:
        found = value(match[1] or match[2])
        usable = isinstance(found, (str, int, float, Text, Unknown)) and not isinstance(found, bool)
        return hidden.text(found) if usable else match[0]

    return re.sub(r"(?<!\$)\{([^{}\n]+)\}|\$\{?([A-Za-z_]\w*)\}?", put, text)
