"""Find sentences of the documentation that are hard to read: long, passive, or in words of our own.

It looks at prose alone: paragraphs and items of lists, without code, tables and headings. The rules
are those of Vale's styles `Google.Passive` and `write-good`, whose program no index offers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser

import markdown

# Words of a sentence, at most; and the share of sentences in the passive voice on a page.
LONGEST, MOST_PASSIVE = 35, 0.3
# Words that only we used, or that say nothing, with what to write in their place.
OLD_WORDS = {
    r"told": "say who does it: prints, names, sets",
    r"knobs?": "option",
    r"roster": "coordinator",
    r"verdict": "cause",
    r"lifeline": "keepalive",
    r"whoever": "name the person or the program",
    r"thereof": "of it",
    r"whatsoever": "leave it out",
    r"of one's own": "of your own",
    r"simply|obviously|of course": "leave it out",
}
_OLD = {re.compile(rf"\b({word})\b", re.IGNORECASE): instead for word, instead in OLD_WORDS.items()}
_IRREGULAR = (
    "begun|bound|bought|brought|built|caught|chosen|cut|divided|done|drawn|driven|eaten|fed|felt|found|"
    "given|gone|grown|handed|heard|held|hidden|hit|kept|known|laid|led|left|let|lost|made|meant|met|"
    "overwritten|packed|paid|put|read|rewritten|run|said|seen|sent|set|shown|shut|split|spread|spun|taken|"
    "taught|thrown|told|understood|won|written|wrapped"
)
_PASSIVE = re.compile(
    rf"\b(am|are|is|was|were|be|been|being)\s+(?:\w+ly\s+|not\s+|also\s+|then\s+|never\s+)?"
    rf"(\w+ed|{_IRREGULAR})\b",
    re.IGNORECASE,
)
_END = re.compile(r"(?<=[.!?:;])\s+(?=[A-Z0-9`(\"'“]|trainer\b)|(?<=[.!?])\s*$")
_BLOCKS = {"p", "li", "dd", "blockquote"}
_SKIPPED = {"pre", "table", "h1", "h2", "h3", "h4", "h5", "h6", "script", "style"}


@dataclass(frozen=True)
class Finding:
    """A sentence, and what is wrong with it."""

    problem: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.problem}: {self.sentence}"


class _Prose(HTMLParser):
    """Collects the text of paragraphs and items, one string each; code becomes one word."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = [""]
        self._skipped = self._code = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._skipped += tag in _SKIPPED
        self._code += tag == "code"
        if tag in _BLOCKS:
            self.parts.append("")
        if tag == "code" and not self._skipped:
            self.parts[-1] += "CODE"

    def handle_endtag(self, tag: str) -> None:
        self._skipped -= tag in _SKIPPED
        self._code -= tag == "code"
        if tag in _BLOCKS:
            self.parts.append("")

    def handle_data(self, data: str) -> None:
        if not self._skipped and not self._code:
            self.parts[-1] += data


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a page of Markdown."""
    prose = _Prose()
    prose.feed(markdown.markdown(text, extensions=["tables", "fenced_code", "sane_lists"]))
    for part in prose.parts:
        for sentence in _END.split(" ".join(part.split())):
            if re.search(r"[a-z]{2}", sentence):
                yield sentence


def findings(text: str) -> list[Finding]:
    """Return what is wrong with a page."""
    found, passive = [], []
    every = [*sentences(text)]
    for sentence in every:
        if (words := len(re.findall(r"[\w'’/.-]+", sentence))) > LONGEST:
            found.append(Finding(f"{words} words", sentence))
        for pattern, instead in _OLD.items():
            if match := pattern.search(sentence):
                found.append(Finding(f"“{match[1]}” ({instead})", sentence))
        if _PASSIVE.search(sentence):
            passive.append(Finding("passive", sentence))
    if len(passive) > max(2, MOST_PASSIVE * len(every)):
        found += passive
    return found
