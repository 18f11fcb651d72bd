"""What the blocks of a page are to leave behind, besides ending well."""

from __future__ import annotations

import json
from collections.abc import Callable

from blocks import ROOT, blocks_of
from page_run import PageRun


def readme(ran: PageRun) -> None:
    """A model that is trained, packed and brought in again, on data that was looked at."""
    assert "60000 examples" in ran.output_of("data inspect")
    assert (ran.home / "mnist.png").exists()
    assert len(list((ran.home / "data/tfrecord/train").iterdir())) == 4
    for run in ("mnist", "imported"):
        assert (ran.home / f"runs/{run}/model/1/saved_model.pb").exists()
    assert "taken by SageMaker TensorFlow" in ran.output_of("package --inspect")
    (job,) = ran.world.aws.made("CreateTrainingJob")
    assert job["HyperParameters"]["model"] == "fast"
    assert len(ran.world.google.jobs.created) == 1


def your_model(ran: PageRun) -> None:
    """The modules learn what they are to learn, and a mistake is the line that the page shows."""
    digits = json.loads((ran.home / "runs/digits/metrics.json").read_text())
    assert digits["parameters"] == 785 * 128 + 129 * 10
    price = json.loads((ran.home / "runs/price/metrics.json").read_text())
    assert price["metric"] == "r2:max"
    assert price["best_metric"] > 0.9
    (block,) = [b for b in blocks_of(ROOT / "docs/your-model.md") if b.language == "text"]
    command, expected = block.text.splitlines()
    again = ran.shell(command.removeprefix("$ "))
    assert (again.returncode, again.stderr.strip().splitlines()[-1]) == (2, expected)


CHECKS: dict[str, Callable[[PageRun], None]] = {"README.md": readme, "your-model.md": your_model}
