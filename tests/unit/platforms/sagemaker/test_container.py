"""What a container of SageMaker is started with, read by AWS's own toolkit."""

from __future__ import annotations

import importlib.util
import json
import os

import pytest
from sagemaker_jobs import request, started

from trainer.platforms.base import Environment
from trainer.platforms.resolve import resolve_job
from trainer.platforms.sagemaker.container import container_start, container_starts

FLAGS = {
    "train": ("s3://b/x",), "test": ("s3://b/y",), "distribution": "horovod",
    "learning_rate": 1e-300, "report": False,
}  # fmt: skip


@pytest.mark.skipif(not importlib.util.find_spec("sagemaker_training"), reason="needs the toolkit")
def test_the_toolkit_makes_of_it_the_variables_that_these_tests_make(tmp_path):
    start = container_start(request(FLAGS, hosts=2, spot=True, env={"LEVEL": "1"}), 1)
    by_hand = started(start, tmp_path)
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    plain = Environment(env={**kept, **start.env}, argv=start.argv, root=tmp_path)
    found, other = resolve_job(plain, {}), resolve_job(by_hand, {})
    assert found.job == other.job
    assert found.because == "TRAINING_JOB_ARN is set"
    assert found.job.checkpoint_dir == str(tmp_path / "opt/ml/checkpoints")
    assert (found.job.hparams.learning_rate, found.job.report) == (1e-300, False)
    assert found.job.cluster.task == "worker 0"
    assert [note for note in found.notes if "not used" in note] == []


def test_groups_of_instances_train_together(tmp_path):
    groups = ("first=ml.g5.xlarge:1", "rest=ml.m5.large:2")
    start = container_starts(request(FLAGS, instance_groups=groups))[2]
    resources = json.loads(start.files["/opt/ml/input/config/resourceconfig.json"])
    assert resources["current_group_name"] == "rest"
    assert resources["current_instance_type"] == "ml.m5.large"
    found = resolve_job(started(start, tmp_path), {}).job
    assert found.cluster.trainers == ("algo-1", "algo-2", "algo-3")


def test_hosts_are_sorted_as_text_as_sagemaker_sorts_them():
    names = [each.name for each in container_starts(request(hosts=11))[:3]]
    assert names == ["algo-1", "algo-10", "algo-11"]
