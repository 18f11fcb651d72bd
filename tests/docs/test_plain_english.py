"""Pages are in plain English: short sentences that name who does what, in known words."""

import pytest
from blocks import PAGES, ROOT
from plain_english import LONGEST, findings, sentences


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_easy_to_read(page):
    assert [str(finding) for finding in findings(page.read_text())] == []


def test_the_notes_of_the_newest_version_are_easy_to_read():
    newest = (ROOT / "CHANGELOG.md").read_text().split("\n## ")[1]
    assert [str(finding) for finding in findings(newest)] == []


def test_a_sentence_that_is_too_long_is_found():
    text = "A sentence " + "with another word " * (LONGEST // 3 + 1) + "ends."
    (finding,) = findings(text)
    assert finding.problem == f"{2 + 3 * (LONGEST // 3 + 1) + 1} words"


@pytest.mark.parametrize("word", ["told", "knobs", "Whoever", "simply"])
def test_a_word_that_says_nothing_to_a_reader_is_found(word):
    (finding,) = findings(f"{word} the trainer reads files.")
    assert finding.problem.startswith(f"“{word}” (")


def test_a_page_in_the_passive_voice_is_found_and_one_sentence_of_it_is_not():
    active = "The trainer reads the file. " * 6
    assert findings(active + "The file is written.") == []
    found = findings(
        active + "The file is written. It was then read. They are not compared. It is kept."
    )
    assert [each.problem for each in found] == ["passive"] * 4


def test_code_tables_and_headings_are_no_prose():
    text = """
# The file is written

Prose.

| it is told | it was told |
| --- | --- |
| it is told | it was told |

```sh
echo told
```

It prints `told` once.
"""
    assert [*sentences(text)] == ["Prose.", "It prints CODE once."]


def test_no_entry_of_the_changelog_stands_there_twice():
    sections = (ROOT / "CHANGELOG.md").read_text().split("\n## ")[1:]
    begun = [line[:60] for line in sections[0].splitlines() if line.startswith("- ")]
    assert [line for line in set(begun) if begun.count(line) > 1] == []
