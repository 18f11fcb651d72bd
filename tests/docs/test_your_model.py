"""docs/your-model.md lists the functions of the code; test_pages.py runs its blocks."""

from __future__ import annotations

import re

from blocks import ROOT

from trainer.models.model_module import PARAMETERS


def test_the_page_lists_every_function():
    text = (ROOT / "docs/your-model.md").read_text()
    listed = re.findall(r"^\| `(\w+)\(([\w, ]*)\)` \|", text, re.MULTILINE)
    assert dict(listed) == {name: ", ".join(args) for name, args in PARAMETERS.items()}
