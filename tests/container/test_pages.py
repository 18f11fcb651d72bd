"""The blocks of the documentation that need a Docker engine, with the image, page by page.

The others, and how a page is run, are in tests/docs/test_pages.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from blocks import MIGRATION, PAGES, blocks_of
from containers import Engine
from page_fixtures import page_files, pythons, run_blocks

__all__ = ["page_files", "pythons", "run_blocks"]

FOUND = {
    page.name: [
        block for block in blocks_of(page)
        if block.reason is None and (block.needs_engine or block.file)
    ]
    for page in PAGES if page.name not in MIGRATION
}  # fmt: skip
NEED = [page for page, found in FOUND.items() if any(block.needs_engine for block in found)]


@pytest.fixture
def clean(engine: Engine, tmp_path: Path) -> Iterator[None]:
    """Remove the containers and networks of a home when its blocks have run."""
    yield
    found = engine("ps", "-aq").stdout.split()
    # Tests beside this one remove theirs at any time.
    for container in json.loads(engine("inspect", *found, check=False).stdout) if found else []:
        sources = [mount.get("Source", "") for mount in container["Mounts"]]
        if any(Path(source).is_relative_to(tmp_path) for source in sources):
            engine("rm", "-f", "-v", container["Id"])
    for name in ("training", "home_default"):
        engine("network", "rm", name, check=False)


@pytest.mark.parametrize("page", NEED)
def test_the_blocks_that_need_an_engine_run(page, engine, image, run_blocks, clean):
    more = {"DOCS_DOCKER": engine.client, "DOCS_IMAGE": image}
    ran = run_blocks(FOUND[page], more)
    assert ran.outputs
