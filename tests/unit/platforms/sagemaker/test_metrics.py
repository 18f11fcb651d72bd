"""The lines of a run, and what SageMaker finds in them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from trainer.config.flags import job_from_flags
from trainer.platforms.sagemaker.metrics import metric_patterns

TEXT = """\
model=cnn parameters=315146 steps=600 batch_size=100 optimizer=adam
[rank 0] step=100 of=600 loss=0.4974 images_per_second=2310 epoch=0.17 train_accuracy=0.8731
step=300 test_accuracy=0.9712 test_loss=0.0931 test_top_5=0.9991
step=300 validation_accuracy=0.9801 validation_loss=0.0611 validation_top_5=0.9981
model=/opt/ml/model/1 test_accuracy=0.9804 metrics=/opt/ml/output/data/metrics.json
best: validation_accuracy=0.9812 at step=400 of 600
time: 25.4 s of training, 2362 images a second
"""
JSON = """\
{"severity": "INFO", "message": "loss=0.4974", "step": 100, "loss": 0.4974, "epoch": 0.17}
{"severity": "INFO", "message": "…", "step": 300, "test_accuracy": 0.9712, "test_loss": 9.3e-05}
{"severity": "INFO", "message": "model=/opt/ml/model/1 test_accuracy=0.9804"}
"""  # fmt: skip


def found(text: str, **flags: object) -> dict[str, list[float]]:
    """Return the values of each metric, as SageMaker finds them line by line."""
    return {
        each.name: [
            float(match[1])
            for line in text.splitlines()
            for match in re.compile(each.regex).finditer(line)
        ]
        for each in metric_patterns(job_from_flags(flags))
    }


def test_each_figure_is_found_once_where_it_is_said():
    assert found(TEXT) == {
        "loss": [0.4974], "train_accuracy": [0.8731], "images_per_second": [2310.0],
        "epoch": [0.17], "test_accuracy": [0.9712], "test_loss": [0.0931],
        "validation_accuracy": [0.9801], "validation_loss": [0.0611],
        "test_mean_absolute_error": [], "validation_mean_absolute_error": [],
        "best_test_accuracy": [], "best_validation_accuracy": [0.9812],
        "train_seconds": [25.4], "parameters": [315146.0],
    }  # fmt: skip


def test_the_figure_of_a_module_is_one_more():
    values = found(TEXT, metric="top_5:max")
    assert (values["test_top_5"], values["validation_top_5"]) == ([0.9991], [0.9981])
    assert found(TEXT, metric="test_top_5:max")["test_top_5"] == [0.9991]


def test_lines_of_json_have_patterns_of_their_own():
    values = {name: each for name, each in found(JSON, log_format="json").items() if each}
    assert values == {
        "loss": [0.4974], "epoch": [0.17], "test_accuracy": [0.9712], "test_loss": [9.3e-05],
    }  # fmt: skip


@pytest.mark.parametrize("flags", [{}, {"metric": "a.b:min"}, {"log_format": "json"}])
def test_every_expression_has_one_group(flags):
    for each in metric_patterns(job_from_flags(flags)):
        assert re.compile(each.regex).groups == 1


def test_the_documentation_has_the_same_expressions():
    page = (Path(__file__).parents[4] / "docs/experiments.md").read_text()
    section = page.partition("## Metrics of SageMaker")[2]
    listed = json.loads(section.partition("```json\n")[2].partition("```")[0])
    assert listed == [
        {"Name": each.name, "Regex": each.regex} for each in metric_patterns(job_from_flags({}))
    ]
