"""Each line of docs/troubleshooting.md is one that the program prints."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from blocks import ROOT
from processes import trainer

PAGE = (ROOT / "docs/troubleshooting.md").read_text()
QUOTES = re.findall(r"^\| `([^`]+)` \|", PAGE, re.MULTILINE)
# What stands for a part that differs.
GAP = "…"
# Parts that the operating system or another program says.
OTHERS = {": Address already in use"}
NO_REGION = {"AWS_CONFIG_FILE": "/nowhere", "AWS_REGION": "", "AWS_DEFAULT_REGION": ""}


@cache
def source() -> str:
    """Return all texts of the package, a gap for each value that is put into one."""
    texts = []
    for path in sorted((ROOT / "src/trainer").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                texts.append("".join(part_of(each) for each in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return "\n".join(texts)


def part_of(value: ast.expr) -> str:
    return str(value.value) if isinstance(value, ast.Constant) else GAP


@pytest.mark.parametrize("quote", QUOTES)
def test_the_parts_of_a_quoted_line_stand_in_the_package(quote):
    parts = [part.strip(" ,.;?()") for part in re.split(rf"{GAP}|; ", quote)]
    missing = [part for part in parts if part and part not in source() and part not in OTHERS]
    # A list of choices or the words of two messages are put together when they are printed.
    assert missing == [] or quote in PROVOKED.values(), missing


# Commands that print a quoted line, in a folder with `empty/`, `table.csv` and `cut.tfrecord`.
PROVOKED = {
    "train --train nothere": "does not exist; give files, folders or globs of",
    "train --train empty": "is empty; give files, folders or globs of",
    "train --train cut.tfrecord": "length checksum is wrong; fetch the file again",
    "train --train table.csv --steps 2": "has no column label, labels, class, target or y",
    "train --epoch 3": "unknown argument …, did you mean …?",
    "train --distribution horovd": "expected one of none, mirrored, multi_worker_mirrored, "
    "parameter_server, horovod",
    "train --module nothere.py": "there is no such Python file, nor a package with an __init__.py",
    "serve --model-dir nothere": "no such folder",
    "submit --to docker --train x": "unknown argument …, the job's own flags stand behind --",
    "submit --to vertex --image IMAGE --project p --output s3://b/r --print -- --train gs://b/x":
    "Vertex AI writes to Cloud Storage alone",
    "submit --to kubernetes --image IMAGE -- --train gs://b/x":
    "what a pod writes to its own disk is lost with it",
    "jobs list --on sagemaker": "neither the flag, AWS_REGION nor the profile names a region",
    "predict http://127.0.0.1:9 table.csv": "nothing answers there (…)",
    "deploy empty --to docker": "holds no model: expected saved_model.pb, a .keras file or "
    "model.tar.gz",
    "export --checkpoint empty --model-dir m": "no checkpoint is there; name the folder that "
    "--checkpoint-dir named",
    "report empty": "there is no metrics.json, which a run writes when it ends",
    "sweep --out s": "nothing to search for; give a flag several values",
    "train --import --input table.csv --model-dir m": "not a whole tar file: …",
}  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    (home / "empty").mkdir()
    (home / "table.csv").write_text("a,b\n1,2\n")
    (home / "cut.tfrecord").write_bytes(b"\x10\0\0\0\0\0\0\0abcd")
    return home


@pytest.mark.parametrize("command", PROVOKED, ids=lambda command: command[:50])
def test_a_command_prints_the_quoted_line(command, home):
    quote = PROVOKED[command]
    assert quote in QUOTES
    ran = trainer(*command.split(), env=NO_REGION, cwd=home)
    line = ran.stderr.strip().splitlines()[-1]
    assert line.startswith("trainer: error: "), line
    assert re.search(".*".join(re.escape(part) for part in quote.split(GAP)), line), line
