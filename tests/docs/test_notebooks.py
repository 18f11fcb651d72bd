"""The files of the notebooks: stored without results, and their code checked as all code is."""

from __future__ import annotations

import subprocess
import sys

import nbformat
import pytest
from blocks import ROOT
from plain_english import findings

NOTEBOOKS = sorted((ROOT / "examples/notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_results(path):
    """They would grow old, differ with each run, and may have paths and names of somebody's."""
    value = nbformat.read(path, as_version=4)
    nbformat.validate(value)
    assert (value.nbformat, value.nbformat_minor) == (4, 5)
    assert value.metadata == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    code = [cell for cell in value.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert all(cell.metadata == {} for cell in value.cells)
    assert len({cell.id for cell in value.cells}) == len(value.cells)


def test_the_code_of_notebooks_is_checked_and_formatted():
    ruff = [sys.executable, "-m", "ruff"]
    listed = subprocess.check_output([*ruff, "check", "--show-files"], cwd=ROOT, text=True)
    assert {str(path) for path in NOTEBOOKS} <= {*listed.splitlines()}
    for command in (["check"], ["format", "--check"]):
        subprocess.run([*ruff, *command, *NOTEBOOKS], cwd=ROOT, check=True, capture_output=True)
    assert len(NOTEBOOKS) == 4


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_text_of_a_notebook_is_easy_to_read(path):
    cells = nbformat.read(path, as_version=4).cells
    text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert [str(finding) for finding in findings(text)] == []
