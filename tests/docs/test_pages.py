"""Every block of every page runs, in the page's order, in an empty home folder.

A block that no test can run says why on the line before its fence: `<!-- not run: REASON -->`.
Blocks that need a Docker engine run in tests/container/test_pages.py. What a page's blocks find
besides the data is made by `before/PAGE.sh`, and what they are to leave is in `page_checks.py`.
"""

from __future__ import annotations

import itertools

import page_checks
import pytest
from blocks import MARK, PAGES, Block, blocks, blocks_of
from containers import missing

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

# They belong into a checkout: test_extending.py makes one, and a bare container of
# tests/container/test_tutorial.py follows the tutorial. tests/container/test_migrate.py runs the
# migration, with a project's files, on the stores that its pages name.
ELSEWHERE = {"extending.md", "tutorial.md", "migrate.md", "migrate-vertex.md"}
FOUND = {
    page.name: [
        block for block in blocks_of(page)
        if block.reason is None and not block.needs_engine
        and (block.language in ("sh", "python") or block.file)
    ]
    for page in PAGES if page.name not in ELSEWHERE
}  # fmt: skip
MARKED = [block for page in PAGES for block in blocks_of(page) if block.reason is not None]


@pytest.mark.parametrize("page", [page for page, found in FOUND.items() if found])
def test_the_blocks_of_a_page_run_in_their_order(page, run_blocks):
    ran = run_blocks(FOUND[page])
    check = page_checks.CHECKS.get(page)
    if check:
        check(ran)
    assert ran.world.google.mistakes + ran.world.google.jobs.mistakes == []
    if ran.skipped:
        missing(f"needs {', '.join(sorted(ran.skipped))}: make setup-sdk")


@pytest.mark.parametrize("block", MARKED, ids=lambda block: f"{block}: {block.reason}")
def test_a_block_that_is_not_run_says_why(block: Block):
    assert len(block.reason.split()) > 1
    assert block.language in ("sh", "python"), "no other block would be run"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_mark_stands_before_a_fence_and_no_fence_is_indented(page):
    lines = page.read_text().splitlines()
    for line, following in itertools.pairwise(lines):
        assert not line.lstrip().startswith("<!-- not run") or (
            MARK.fullmatch(line) and following.startswith("```")
        ), line
        assert not line.startswith((" ```", "  ```", "   ```", "    ```")), line


def test_the_checks_are_of_pages_that_there_are():
    assert {*page_checks.CHECKS} <= {page for page, found in FOUND.items() if found}
    assert blocks("sh")
