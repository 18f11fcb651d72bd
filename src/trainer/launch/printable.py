"""Text from another host, made safe to print."""

from __future__ import annotations

# Characters of a whole line.
LONGEST = 4000
# Characters of a host's name, as DNS limits it, and of a process's.
LONGEST_HOST, LONGEST_TASK = 255, 64


def printable(text: str, *, longest: int = LONGEST) -> str:
    r"""Return text as one bounded line: line ends, terminal codes and the like become `\n`, `\x1b`.

    Args:
        text: Any text that another host sent.
        longest: How many of its characters are kept.
    """
    kept = text if len(text) <= longest else text[: longest - 1] + "…"
    if kept.isprintable():
        return kept
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in kept)
