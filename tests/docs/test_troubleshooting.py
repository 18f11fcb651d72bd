"""Each line that the page of troubleshooting quotes is one that the program prints."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest
from blocks import ROOT

from trainer.cli import main

PAGE = ROOT / "docs/troubleshooting.md"
# Those that are no words of a Python module.
OTHERS = ("Makefile",)
# The page's headings, and its lines at least.
TOPICS = (
    "Install and start", "Data", "S3 and Cloud Storage", "Model", "Training",
    "Several processes and hosts", "SageMaker", "Vertex AI", "Kubernetes and Docker",
    "Serving and endpoints", "GPUs",
)  # fmt: skip
LEAST = 100


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
    # What the program puts together of choices is printed by one of the mistakes below.
    if line not in MISTAKES:
        assert [part for part in literals(line) if part not in texts()] == []
    # Long enough to be found, and of this line alone.
    assert max(map(len, literals(line))) >= 10


def test_each_line_has_a_reason_and_a_remedy_and_is_there_once():
    assert all(len(row) == 3 and all(row) for row in rows())
    assert len(LINES) == len({*LINES}) >= LEAST
    headings = re.findall(r"^## (.*)$", PAGE.read_text(), re.MULTILINE)
    assert tuple(headings) == TOPICS


# In a folder with `empty/`, `full/train`, `table.csv`, `cut.tfrecord` and `net.h5`.
TO_S3 = "--output s3://bucket/runs"
MISTAKES = {
    "does not exist; give files, folders or globs of": "train --train nothere",
    "is empty; give files, folders or globs of": "train --train empty",
    "length checksum is wrong; fetch the file again": "train --train cut.tfrecord",
    "has no column label, labels, class, target or y": "train --train table.csv --steps 2",
    "unknown argument …, did you mean …?": "train --epoch 3",
    "unknown argument …, the job's own flags stand behind --": "submit --to docker --train x",
    "expected one of none, mirrored, multi_worker_mirrored, parameter_server, horovod": (
        "train --distribution horovd"
    ),
    "there is no such Python file, nor a package with an __init__.py": "train --module no.py",
    "no module named … in … or on PYTHONPATH": "train --module nobody.has_it",
    "no checkpoint is there; name the folder that --checkpoint-dir named": (
        "export --checkpoint empty --model-dir m"
    ),
    "there is no metrics.json, which a run writes when it ends": "report empty",
    "nothing to search for; give a flag several values": "sweep --out s",
    "holds … already; give an empty folder": "data create --out full",
    "a Keras HDF5 file, which is not taken": "package --inspect net.h5",
    "not a whole tar file: …": "train --import --input table.csv --model-dir m",
    "holds no model: expected saved_model.pb, a .keras file or model.tar.gz": (
        "deploy empty --to docker"
    ),
    "no such folder": "serve --model-dir nothere",
    "no SavedModel there; expected …": "serve --model-dir full",
    "nothing answers there (…)": "predict http://127.0.0.1:9 table.csv",
    "neither the flag, AWS_REGION nor the profile names a region": "jobs list --on sagemaker",
    "SageMaker needs a place for the model": (
        "submit --to sagemaker --role Trains --image 1.dkr.ecr.eu-west-1.amazonaws.com/t:1 "
        "--region eu-west-1 -- --train s3://bucket/mnist"
    ),
    "Vertex AI writes to Cloud Storage alone": (
        f"submit --to vertex --image x/t:1 --project p {TO_S3} --print -- --train gs://bucket/x"
    ),
    "the disks of Vertex AI's machines are lost when the job ends": (
        "submit --to vertex --image x/t:1 --print request -- --train gs://bucket/mnist"
    ),
    "what a pod writes to its own disk is lost with it": (
        "submit --to kubernetes --image x/t:1 -- --train gs://bucket/x"
    ),
    "clusters have no common word for nodes that may be taken away": (
        f"submit --to kubernetes --image x/t:1 --spot {TO_S3} --print -- --train s3://bucket/x"
    ),
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_prints_its_line(line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for folder in ("empty", "full/train"):
        Path(folder).mkdir(parents=True)
    Path("full/train/other.npy").write_bytes(b"1")
    Path("table.csv").write_text("a,b\n1,2\n")
    Path("cut.tfrecord").write_bytes(b"\x10\0\0\0\0\0\0\0abcd")
    Path("net.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    assert line in LINES
    with pytest.raises(SystemExit) as ended:
        raise SystemExit(main(MISTAKES[line].split()))
    assert ended.value.code == 2
    printed = capsys.readouterr().err.strip().splitlines()[-1]
    assert re.search(".*".join(map(re.escape, literals(line))), printed), printed
