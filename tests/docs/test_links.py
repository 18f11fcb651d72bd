"""Every link of README, CONTRIBUTING, CHANGELOG and docs/ leads to a file and a heading of it."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from blocks import MADE, PAGES, ROOT

LINKED = [*PAGES, ROOT / "CHANGELOG.md"]
_LINK = re.compile(r"(?<!\\)\]\(<?([^)\s>]+)>?(?: \"[^\"]*\")?\)|\b(?:src|href)=\"([^\"]+)\"")
_REFERENCE = re.compile(r"^\[[^\]]+\]: (\S+)", re.MULTILINE)


def without_code(text: str) -> str:
    """Return a page without fenced blocks and code."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "", text)


def links(page: Path) -> list[str]:
    """Return where the links of a page lead."""
    text = without_code(page.read_text())
    found = [one or other for one, other in _LINK.findall(text)]
    return [*found, *_REFERENCE.findall(text)]


def slug(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


@cache
def anchors(page: Path) -> set[str]:
    """Return the anchors of a page; of headings that are alike, the later ones have numbers."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    found: set[str] = {*re.findall(r"\b(?:id|name)=\"([^\"]+)\"", text)}
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        name = slug(heading)
        found.add(name if name not in found else next(
            numbered for n in range(1, 99) if (numbered := f"{name}-{n}") not in found
        ))  # fmt: skip
    return found


@pytest.mark.parametrize("page", LINKED, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_a_heading(page):
    wrong = []
    for target in links(page):
        if "://" in target or target.startswith("mailto:") or target in MADE:
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name) if name else page
        if file.name in MADE:
            continue
        if not file.exists():
            wrong.append(f"{target}: there is no such file")
        elif anchor and file.suffix == ".md" and anchor not in anchors(file):
            wrong.append(f"{target}: no heading of {file.name} has that anchor")
    assert wrong == []


def test_anchors_are_those_that_github_gives():
    assert slug("`trainer export`: a SavedModel of any checkpoint") == (
        "trainer-export-a-savedmodel-of-any-checkpoint"
    )
    assert slug("metrics.json") == "metricsjson"
    assert slug("What is *made*, and [how](x.md)") == "what-is-made-and-how"
