"""The answers to the test data that a report shows, of several processes and of real runs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from horovod_ranks import run_ranks
from processes import needs_horovod, trainer


@needs_horovod
def test_two_ranks_show_the_same_answers_as_one_process(tmp_path: Path):
    for rank in run_ranks("answers.py", 2, tmp_path):
        for name in ("confusion", "examples", "pixels"):
            np.testing.assert_array_equal(rank[f"all {name}"], rank[f"one {name}"])
        np.testing.assert_allclose(rank["all bins"], rank["one bins"])
        assert rank["all confusion"].sum() > 0 and len(rank["all examples"]) == 36


def test_a_run_without_report_writes_counts_and_no_pictures(tmp_path: Path):
    ran = trainer("train", "--steps", "2", "--no-report", "--job-dir", str(tmp_path))
    assert ran.returncode == 0, ran.stderr
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    evaluation, test = metrics["evaluation"], metrics["data"]["test"]
    assert evaluation["step"] == 2
    assert sum(map(sum, evaluation["confusion"])) == evaluation["examples"] == test["examples"]
    right = sum(row[i] for i, row in enumerate(evaluation["confusion"]))
    assert right / evaluation["examples"] == pytest.approx(metrics["test_accuracy"])
    assert sum(metrics["data"]["train"]["labels"].values()) == metrics["data"]["train"]["examples"]
    assert not (tmp_path / "pictures.json").exists()
