"""Each line that the page of troubleshooting quotes is one that the program prints."""

from __future__ import annotations

import ast
import functools
import re

import pytest
from blocks import ROOT

from trainer.cli import main

PAGE = ROOT / "docs/troubleshooting.md"
# Those that are no words of a Python module.
OTHERS = ("Makefile",)
# Above a table, as many lines on each of these; and of all at least so many.
TOPICS = (
    "Install", "Data", "S3 and Cloud Storage", "Model", "Training", "Several processes and hosts",
    "SageMaker", "Vertex AI", "Kubernetes", "Serving and endpoints", "GPUs",
)  # fmt: skip
LEAST = 40


def rows() -> list[list[str]]:
    found = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in found]


LINES = [row[0].strip("` ") for row in rows()]


@functools.cache
def texts() -> str:
    """All texts of the package's modules, each on a line; of a text with values, its parts."""
    parts = [(ROOT / name).read_text() for name in OTHERS]
    for path in (ROOT / "src/trainer").rglob("*.py"):
        tree = ast.parse(path.read_text())
        docstrings = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
            and node.body and isinstance(node.body[0], ast.Expr)
        }  # fmt: skip
        parts += [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
            and id(node) not in docstrings
        ]  # fmt: skip
    return "\n".join(parts)


def literals(line: str) -> list[str]:
    """Return the parts that no value stands in, and that lie in one text of the program."""
    return [part for each in re.split("…|; |: ", line) if (part := each.strip(" :;()"))]


@pytest.mark.parametrize("line", LINES)
def test_the_program_has_the_words_of_each_line(line):
    assert literals(line)
    assert [part for part in literals(line) if part not in texts()] == []
    # Long enough to be found, and of this line alone.
    assert max(map(len, literals(line))) >= 10


def test_each_line_has_a_reason_and_a_remedy_and_is_there_once():
    assert all(len(row) == 3 and all(row) for row in rows())
    assert len(LINES) == len({*LINES}) >= LEAST
    headings = re.findall(r"^## (.*)$", PAGE.read_text(), re.MULTILINE)
    assert tuple(headings) == TOPICS


MISTAKES = {
    "no module named … in … or on PYTHONPATH": "train --module nobody.has_it --train {mnist}",
    "SageMaker needs a place for the model": (
        "submit --to sagemaker --role Trains --image 1.dkr.ecr.eu-west-1.amazonaws.com/t:1 "
        "--region eu-west-1 -- --train s3://bucket/mnist"
    ),
    "the disks of Vertex AI's machines are lost when the job ends": (
        "submit --to vertex --image x/t:1 --print request -- --train gs://bucket/mnist"
    ),
    "holds … already; give an empty folder": "data create --source {mnist} --out {full}",
    "no SavedModel there; expected …": "serve --model-dir {full}",
    "nothing answers there (…)": "predict http://127.0.0.1:9 {array}",
    "a Keras HDF5 file, which is not taken": "package --inspect {h5}",
    "clusters have no common word for nodes that may be taken away": (
        "submit --to kubernetes --image x/t:1 --spot --output s3://b/r --print -- --train s3://b/m"
    ),
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_prints_its_line(line, mnist_dir, tmp_path, capsys):
    (tmp_path / "full/train").mkdir(parents=True)
    (tmp_path / "full/train/other.npy").write_bytes(b"1")
    (tmp_path / "net.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    (tmp_path / "rows.csv").write_text("1,2\n")
    words = MISTAKES[line].format(
        mnist=mnist_dir, full=tmp_path / "full", h5=tmp_path / "net.h5", array=tmp_path / "rows.csv"
    )
    assert line in LINES
    with pytest.raises(SystemExit) as ended:
        raise SystemExit(main(words.split()))
    assert ended.value.code == 2
    pattern = ".*".join(map(re.escape, literals(line)))
    assert re.search(pattern, capsys.readouterr().err)
