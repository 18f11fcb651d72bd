"""The fenced blocks of README.md and docs/, and the command lines in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# A comment after a command, which shells pass over as well.
_COMMENT = re.compile(r"(^|\s)#.*$")


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        page: The file's name.
        line: Where it begins.
        language: As the fence names it; empty where it names none.
        text: What is in it.
    """

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def commands(self) -> list[str]:
        """Its command lines, those that go on over several lines in one piece, without comments."""
        whole = self.text.replace("\\\n", " ")
        lines = (_COMMENT.sub("", line).strip() for line in whole.splitlines())
        return [line for line in lines if line]


def blocks(*languages: str) -> list[Block]:
    """Return the blocks of all pages in one of some languages."""
    found = []
    for page in PAGES:
        text = page.read_text()
        for match in _FENCE.finditer(text):
            if match[1] in languages:
                line = text.count("\n", 0, match.start()) + 1
                found.append(Block(page.name, line, match[1], match[2]))
    return found
