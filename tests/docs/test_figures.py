"""README's figures are those of docs/performance.md, as far as the README's digits go.

The rule for whoever writes the README:

1. A *figure* is a number that one could measure: one with a unit or a sign of a ratio behind it
   (`0.9 s`, `1.2 seconds`, `99.2 %`, `15.2 times`, `77 ×`, `689,465 records`, `1.6 GB`,
   `5 minutes`, `4 cores`). Numbers in code, in fenced blocks, in links' addresses and in the words
   of `FREE` below (versions, ports) are none.
2. Each *piece* of the README with a figure in it, a row of a table or a paragraph or an item of a
   list, names where its figures are from, in a comment in the same piece (in a row, in its last
   cell; else at the end of the text or on the line after it):

       <!-- figures: HEADING / ROW -->

   HEADING is how a heading of docs/performance.md begins, and ROW how the first cell of a row
   below it begins, both without backticks, `**` and formatting. Several are separated by `;`.
3. Each figure of the piece is then in one of the named rows (or in their headings), rounded to the
   digits that the README writes: 0.88 may be written as `0.9 s`, 689,465 as `690,000 records`
   (zeros at the end of a whole number round).
   What docs/performance.md has not, the README cannot say: measure it, and put it there.
4. A number that only looks like a figure (`takes 15 minutes` as a promise of the tutorial, the
   size that a limit sets) is excused in the same way: <!-- not measured: REASON -->. A piece has
   one or the other; split a sentence that needs both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from blocks import ROOT

UNITS = (
    r"%|×|x\b|times\b|s\b|ms\b|µs\b|cs\b|seconds?\b|minutes?\b|hours?\b|CPU-seconds?\b|"
    r"kB\b|MB\b|MiB\b|GB\b|GiB\b|(?:images|records|examples|pictures|requests|rows|files|cores?|"
    r"lines|processes|megabytes?|gigabytes?|percent)\b"
)
NUMBER = r"\d[\d,]*(?:\.\d+)?"
FIGURE = re.compile(rf"(?<![\w.])({NUMBER})(?:[- ]?(?:to|–|-) ?({NUMBER}))?[\s-]?(?:{UNITS})")
# Versions of programs, and sizes of the pictures of MNIST.
FREE = re.compile(r"\b(Python|TensorFlow|Keras|version) \d[\d.]*( (to|and) \d[\d.]*)?|port \d+")
SOURCE = re.compile(r"<!-- figures: (.+?) -->", re.DOTALL)
EXCUSE = re.compile(r"<!-- not measured: (\S.*?\S) -->", re.DOTALL)


@dataclass(frozen=True)
class Row:
    """A row of a table of docs/performance.md."""

    heading: str
    first: str
    text: str


def plain(text: str) -> str:
    """Return a text without the marks of formatting."""
    return re.sub(r"[`*]", "", text).strip()


def rows_of(page: str) -> list[Row]:
    """Return the rows of all tables below headings."""
    found, heading = [], ""
    for line in page.splitlines():
        if line.startswith("#"):
            heading = plain(line.lstrip("# "))
        elif line.startswith("|") and not line.startswith("| ---"):
            cells = [plain(cell) for cell in line.strip("|").split("|")]
            found.append(Row(heading, cells[0], " | ".join([heading, *cells])))
    return found


ROWS = rows_of((ROOT / "docs/performance.md").read_text())


def pieces(page: str) -> list[str]:
    """Return the rows, items and paragraphs of a page, without code."""
    text = re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"`[^`\n]*`", "", re.sub(r"\]\([^)]*\)", "]", text))
    parts: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text):
        parts += re.split(r"\n(?=\||[-*] |\d+\. )", paragraph)
    return [part for part in parts if part.strip()]


def figures(piece: str) -> list[str]:
    """Return the figures of a piece."""
    text = FREE.sub("", re.sub(r"<!--.*?-->", "", piece, flags=re.DOTALL))
    return [number for found in FIGURE.finditer(text) for number in found.groups() if number]


def named_rows(piece: str) -> list[Row]:
    """Return the rows that a piece names, or fail where there is no such row."""
    found = []
    for source in SOURCE.findall(piece):
        for name in source.split(";"):
            heading, _, first = (plain(part) for part in name.partition(" / "))
            rows = [
                row
                for row in ROWS
                if row.heading.startswith(heading) and row.first.startswith(first)
            ]
            assert rows, f"docs/performance.md has no row {name.strip()!r}"
            found += rows
    return found


def says(row: Row, figure: str) -> bool:
    """Return whether a row has a number that rounds to a figure."""
    digits = figure.replace(",", "")
    decimals = len(digits.partition(".")[2])
    zeros = 0 if decimals else len(digits) - len(digits.rstrip("0"))
    known = (float(number.replace(",", "")) for number in re.findall(NUMBER, row.text))
    # Half a unit of the last digit, as people round it.
    half = 10.0**zeros / 2 if zeros else 0.5 * 10.0**-decimals
    return any(abs(number - float(digits)) <= half * 1.000001 for number in known)


README = (ROOT / "README.md").read_text()
PIECES = [piece for piece in pieces(README) if figures(piece)]


@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: plain(piece)[:50])
def test_a_figure_of_readme_is_in_the_row_that_it_names(piece):
    if EXCUSE.search(piece):
        assert not SOURCE.search(piece)
        return
    rows = named_rows(piece)
    assert rows, f"{figures(piece)} are from no row: <!-- figures: HEADING / ROW -->\n{piece}"
    for figure in figures(piece):
        assert any(says(row, figure) for row in rows), f"{figure} is in none of {rows}"


def test_each_comment_stands_in_a_piece_with_figures():
    named = sum(len(SOURCE.findall(piece)) for piece in PIECES)
    assert len(SOURCE.findall(README)) == named


def test_numbers_are_compared_as_they_are_rounded():
    row = Row("Input: batches of 128", "streamed", "streamed | 689,465 | 15.2 | 0.88")
    for figure in ("690,000", "689,465", "15", "15.2", "0.9", "0.88", "700,000"):
        assert says(row, figure), figure
    for figure in ("680,000", "16", "15.3", "0.8", "0.87", "1,000"):
        assert not says(row, figure), figure
    assert figures("in 0.9 s, 15–20 times as fast; Python 3.11, <!-- 7 s --> 3 words") == [
        "0.9", "15", "20",
    ]  # fmt: skip
