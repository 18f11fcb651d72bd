"""The pictures of the pages: small enough to load at once, and each with a description."""

import re

import pytest
from blocks import PAGES, ROOT

SMALL = 150_000
PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)]+\.png)\)")
SHOWN = [(page, *found) for page in PAGES for found in PICTURE.findall(page.read_text())]


@pytest.mark.parametrize("picture", sorted(ROOT.glob("docs/*.png")), ids=lambda path: path.name)
def test_a_picture_is_small_and_some_page_shows_it(picture):
    assert picture.stat().st_size <= SMALL
    assert picture.resolve() in {(page.parent / target).resolve() for page, _, target in SHOWN}


@pytest.mark.parametrize(("page", "text", "target"), SHOWN, ids=lambda value: str(value)[-30:])
def test_a_picture_has_a_description(page, text, target):
    assert len(text.split()) >= 4, f"{page.name}: {target}"
