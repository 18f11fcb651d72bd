"""Globs that choose files by their names below a place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class NameGlobs:
    """Globs of files that are wanted, and of files that are not.

    A glob without a slash fits the name of a file, or of a folder above it, at any depth; one with
    a slash fits from the top of the place. `*` and `?` stop at slashes, `**` does not.

    Attributes:
        include: If there are any, a file fits one of them.
        exclude: A file fits none of them.
    """

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    _include: list[re.Pattern[str]] = field(init=False, repr=False, compare=False)
    _exclude: list[re.Pattern[str]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_include", [_compiled(glob) for glob in self.include])
        object.__setattr__(self, "_exclude", [_compiled(glob) for glob in self.exclude])

    def takes(self, name: str) -> bool:
        """Return whether a file is to be looked at."""
        if self._include and not any(pattern.fullmatch(name) for pattern in self._include):
            return False
        return not any(pattern.fullmatch(name) for pattern in self._exclude)


ALL_FILES = NameGlobs()


def _compiled(glob: str) -> re.Pattern[str]:
    top = "" if "/" in glob.strip("/") or glob.startswith("/") else "(?:.*/)?"
    text, parts = glob.strip("/"), []
    token = re.compile(r"\*\*/|\*\*|\*|\?|\[!?\]?[^\]/]*\]|.", re.DOTALL)
    for found in token.findall(text):
        if found == "**/":
            parts.append("(?:.*/)?")
        elif found == "**":
            parts.append(".*")
        elif found in ("*", "?"):
            parts.append("[^/]*" if found == "*" else "[^/]")
        elif len(found) > 1:
            inside = found[1:-1].replace("\\", "\\\\").replace("[", "\\[")
            negated = inside.startswith("!")
            inside = inside.removeprefix("!").replace("^", "\\^")
            parts.append(f"(?!/)[{'^' if negated else ''}{inside}]")
        else:
            parts.append(re.escape(found))
    # What lies in a folder that fits is meant, too.
    return re.compile(f"{top}{''.join(parts)}(?:/.*)?", re.DOTALL)
