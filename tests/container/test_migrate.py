"""docs/migrate.md and docs/migrate-vertex.md, command by command: jobs train in real containers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from blocks import MIGRATION as PAGES, ROOT, Block, blocks
from cloud_jobs import Clouds, clouds
from containers import DEADLINE, Engine
from world import Pythons, without_cloud

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]
WEIGHTS = "variables/variables.data-00000-of-00001"


@dataclass
class Moved:
    """What is there when all blocks of both pages have run.

    Attributes:
        folder: The reader's project.
        clouds: The services.
        printed: What each block of a shell printed.
    """

    folder: Path
    clouds: Clouds
    printed: dict[Block, str]

    def output_of(self, part: str) -> str:
        """Return what the block printed that has a command with this part."""
        (text,) = [out for block, out in self.printed.items() if part in block.text]
        return text

    def metrics(self, run: str) -> dict:
        """Return the metrics of a run."""
        return json.loads((self.folder / "runs" / run / "metrics.json").read_text())


@pytest.fixture(scope="module")
def moved(engine: Engine, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moved]:
    """Run both pages in their order, and each job when it has been asked for."""
    home = tmp_path_factory.mktemp("home")
    (home / "examples").symlink_to(ROOT / "examples")
    found = [
        block for page in PAGES for block in blocks("sh")
        if block.page == page and block.reason is None
    ]  # fmt: skip
    folder, printed = home, {}
    with ExitStack() as stack:
        pythons = Pythons(tmp_path_factory.mktemp("pythons"))
        stack.callback(pythons.stop)
        there = clouds(tmp_path_factory.mktemp("clouds"), image, engine.client)
        services = stack.enter_context(there)
        env = without_cloud() | services.env | pythons.env() | {
            "HOME": str(home), "PATH": f"{pythons.bin()}:{os.environ['PATH']}",
            "DOCKER": str(shutil.which(engine.client)),
        }  # fmt: skip
        for block in found:
            if "s3://bucket/old" in block.text and not (home / "old").exists():
                leave_old_artefacts(home, services, env)
            script = f"set -eu\ncd '{folder}'\n{block.text}\npwd >'{home}/.where'\n"
            ran = subprocess.run(
                ["bash", "-c", script], env=env, capture_output=True, text=True,
                timeout=3 * DEADLINE, check=False,
            )  # fmt: skip
            assert ran.returncode == 0, f"{block}\n{block.text}\n{ran.stdout}\n{ran.stderr}"
            folder = Path((home / ".where").read_text().strip())
            printed[block] = ran.stdout
            services.run_jobs()
        yield Moved(folder, services, printed)


def leave_old_artefacts(home: Path, services: Clouds, env: dict[str, str]) -> None:
    """Put into the bucket on S3 what the old project's job left, with the weights of runs/here."""
    script = Path(__file__).parent / "old_artefacts.py"
    argv = ["python", script, home / "bearings/runs/here/model/1", home / "old"]
    subprocess.run(argv, env=env, check=True, timeout=DEADLINE, capture_output=True)
    services.aws.s3.put(str(home / "old/model.tar.gz"), "bucket/old/model.tar.gz")
    services.aws.s3.put(f"{home}/old/checkpoints/", "bucket/old/checkpoints/", recursive=True)


def shown(page: str, language: str) -> str:
    """Return the one block of a page in a language."""
    (block,) = [each for each in blocks(language) if each.page == page]
    return block.text


def test_the_page_shows_what_changes_in_the_code(moved):
    assert shown("migrate.md", "diff") == moved.output_of("diff -U 0")


def test_the_page_shows_the_commands_of_the_notebook(moved):
    printed = moved.output_of("trainer migrate before/train.ipynb\n")
    commands, lost = printed.split("# Not carried over:")
    assert shown("migrate.md", "text").strip() == commands.strip()
    named = (
        "framework_version", "py_version", "metric_definitions", "predict", "delete_endpoint",
        "keras_estimator", "input_fn", "serving_input_fn",
    )  # fmt: skip
    assert {name for name in named if name not in lost} == set()
    other = moved.output_of("migrate before/train.ipynb --to vertex")
    assert "trainer submit --to vertex" in other
    assert "trainer data sync s3://bucket/bearings/train" in other


def test_the_jobs_of_both_clouds_end_with_the_weights_of_the_run_here(moved):
    here = (moved.folder / "runs/here/model/1" / WEIGHTS).read_bytes()
    for model in ("as-sagemaker/model/1", "as-vertex/model", "sagemaker/model/1", "vertex/model"):
        assert (moved.folder / "runs" / model / WEIGHTS).read_bytes() == here, model
    (request,) = moved.clouds.aws.jobs
    assert request["HyperParameters"]["precision"] == "float32"
    (job,) = moved.clouds.vertex.recorder.jobs.values()
    assert job["displayName"] == "bearings"
    assert moved.clouds.mistakes == []


def test_the_accuracy_is_the_one_that_the_page_names(moved):
    here = moved.metrics("here")
    assert f"{here['test_accuracy']:.2f} here" in (ROOT / "docs/migrate.md").read_text()
    assert moved.metrics("vertex")["test_accuracy"] == here["test_accuracy"]
    assert moved.metrics("ai-platform")["steps"] == 20
    assert (moved.folder / "runs/compare.html").exists()


def test_both_endpoints_answer_as_the_old_one_did(moved):
    (answer,) = {(moved.folder / name).read_bytes() for name in ("before.jsonl", "after.jsonl")}
    rows = [json.loads(line)["prediction"] for line in answer.splitlines()]
    assert [row.index(max(row)) for row in rows] == [0, 1, 2]
    old = [json.loads(line) for line in (moved.folder / "old.jsonl").read_text().splitlines()]
    for row, before in zip(rows, old, strict=True):
        assert row == pytest.approx(before["prediction"], abs=1e-5)


def test_nothing_that_costs_is_left(moved):
    assert moved.clouds.aws.named("endpoints") == []
    assert moved.clouds.vertex.names("endpoints") == []


def test_a_new_training_begins_with_the_old_weights(moved):
    first = moved.output_of("after/warm_start.py").partition("train_accuracy=")[2].split()[0]
    assert float(first) > 0.9
