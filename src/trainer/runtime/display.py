"""Values and foreign text as people read them: printable, on one line, cut to a length."""

from __future__ import annotations

from typing import Any

# Characters of a whole line.
LONGEST = 4000


def printable(text: str, *, longest: int = LONGEST) -> str:
    r"""Return text as one bounded line: line ends, terminal codes and the like become `\n`, `\x1b`.

    Args:
        text: Any text, such as one that another host sent.
        longest: How many characters are kept, an ellipsis included.
    """
    kept = text if len(text) <= longest else text[: longest - 1] + "…"
    if kept.isprintable():
        return kept
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in kept)


def shortened(text: str, longest: int = 80) -> str:
    """Return text with an ellipsis in place of what is beyond `longest` characters."""
    return text if len(text) <= longest else text[:longest] + "…"


def display_value(value: Any, *, none: str = "none") -> str:
    """Return the value of a field for people, on one line.

    Args:
        value: The value; of a list within a list, name and value.
        none: What stands for None and for what is empty.
    """
    if isinstance(value, list):
        items = (v if isinstance(v, list) else [v] for v in value)
        return " ".join("=".join(map(str, item)) for item in items) or none
    if isinstance(value, dict):
        return ", ".join(f"{name}={display_value(item)}" for name, item in value.items()) or none
    if isinstance(value, float):
        return f"{value:g}"
    return none if value is None else str(value)
