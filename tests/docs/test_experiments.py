"""What docs/experiments.md says of a run's lines and of metrics.json, compared with a real run."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import jsonschema
import pytest
from blocks import ROOT, blocks
from processes import environment
from world import Pythons

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

PATTERNS = {
    each["Name"]: re.compile(each["Regex"])
    for block in blocks("json")
    if block.page == "experiments.md"
    for each in json.loads(block.text)
}

SCHEMA = json.loads((ROOT / "docs/metrics.schema.json").read_bytes())


@pytest.fixture(scope="module")
def run(pythons: Pythons, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], dict]:
    """The lines of a run, and its metrics.json."""
    folder = tmp_path_factory.mktemp("run")
    flags = "--model fast --batch-size 20 --steps 6 --log-every 2 --eval-every 3"
    ran = subprocess.run(
        [pythons.bin() / "trainer", "train", *flags.split(), "--model-dir", "model"],
        cwd=folder, env=environment(pythons.env()), capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines(), json.loads(Path(folder, "metrics.json").read_bytes())


def found(name: str, lines: list[str]) -> list[float]:
    """Return what SageMaker would make of the lines."""
    return [float(match[1]) for line in lines for match in PATTERNS[name].finditer(line)]


@pytest.mark.parametrize(
    ("name", "curve", "key"),
    [
        ("loss", "train", "loss"),
        ("train_accuracy", "train", "accuracy"),
        ("test_loss", "test", "loss"),
        ("test_accuracy", "test", "accuracy"),
    ],
)
def test_each_expression_finds_the_points_of_the_curve(run, name: str, curve: str, key: str):
    lines, metrics = run
    expected = metrics["curves"][curve][key]
    assert len(expected) == {"train": 3, "test": 2}[curve]
    assert found(name, lines) == pytest.approx(expected, abs=5e-5)


def test_the_speed_of_each_progress_line_is_found(run):
    lines, metrics = run
    expected = metrics["curves"]["train"]["images_per_second"]
    assert found("images_per_second", lines) == pytest.approx(expected, abs=0.5)


def test_the_example_lines_of_the_page_are_those_of_a_run(run):
    text = next(b.text for b in blocks("text") if b.page == "experiments.md")
    lines, _ = run
    names = {tuple(re.findall(r"(\w+)=", line)) for line in lines}
    assert {tuple(re.findall(r"(\w+)=", line)) for line in text.splitlines()} <= names
    assert found("loss", text.splitlines()) == [0.4974]
    assert found("test_accuracy", text.splitlines()) == [0.9906]


def test_the_metrics_of_a_run_are_as_the_schema_says(run):
    _, metrics = run
    jsonschema.validate(metrics, SCHEMA)
    assert metrics.keys() <= SCHEMA["$defs"]["RunRecord"]["properties"].keys()


def test_the_schema_takes_keys_to_come_and_wants_but_two(run):
    _, metrics = run
    jsonschema.validate({"model": "cnn", "steps": 1, "new": 1}, SCHEMA)
    for wrong in ({"model": "cnn"}, {**metrics, "steps": "1"}, {**metrics, "ranks": [{}]}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, SCHEMA)
