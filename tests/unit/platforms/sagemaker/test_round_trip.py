"""Job -> request -> what a container of SageMaker is started with -> the same Job."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from sagemaker_jobs import any_flags, request, started

from trainer.config.cluster import Cluster
from trainer.config.flags import job_from_flags
from trainer.config.hparams import Hparams
from trainer.config.job import Job
from trainer.config.options import options_of
from trainer.distribution import STRATEGIES
from trainer.platforms.resolve import resolve_job
from trainer.platforms.sagemaker.container import container_start, container_starts

ENV = {"LEVEL": "a \"b\" 'c' $d", "EMPTY": ""}


def expected(flags: dict[str, Any], root: Path) -> Job:
    """Return the job of the flags, on the paths that SageMaker has in a container."""
    ml = f"{root}/opt/ml"
    inside: dict[str, Any] = {"model_dir": f"{ml}/model", "output_dir": f"{ml}/output/data"}
    importing = flags.get("import_model", False)
    for name in ("train", "validation", "test"):
        if flags.get(name) and not importing:
            others = flags[name][1:]
            folders = [f"{name}-{n}" for n, _ in enumerate(others, 2)]
            inside[name] = tuple(f"{ml}/input/data/{each}" for each in (name, *folders))
    if flags.get("input") and importing:
        inside["input"] = f"{ml}/input/data/model"
    if flags.get("module", "").startswith("s3://"):
        inside["module"] = f"{ml}/input/data/code/mine.py"
    for name in ("timeline", "autotune_log"):
        if name in flags:
            inside[name] = f"{ml}/output/data/{flags[name].rpartition('/')[2]}"
    return job_from_flags({**flags, **inside})


def assert_same(found: Job, wanted: Job, *, but: tuple[str, ...] = ()) -> None:
    for part in (Hparams, Job):
        for name in options_of(part):
            if name not in but:
                each, other = (job.hparams if part is Hparams else job for job in (found, wanted))
                assert getattr(each, name) == getattr(other, name), name


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(flags=any_flags(), hosts=st.integers(1, 12), data=st.data())
def test_every_job_arrives_as_it_was_asked_for(flags, hosts, data):
    if flags.get("shard_by") == "host" and flags.get("distribution") == "parameter_server":
        del flags["shard_by"]
    index = data.draw(st.integers(0, hosts - 1))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        start = container_start(request(flags, hosts=hosts, env=ENV), index)
        found = resolve_job(started(start, root), {}).job
        wanted = expected(flags, root)
        but = () if "distribution" in flags else ("distribution",)
        assert_same(found, wanted, but=but)
    assert found.platform == "sagemaker"
    hosts_sorted = sorted(f"algo-{n + 1}" for n in range(hosts))
    assert found.cluster.trainers == tuple(hosts_sorted)
    assert found.cluster.rank == index


@pytest.mark.parametrize("strategy", [*STRATEGIES])
@pytest.mark.parametrize("hosts", [1, 2])
def test_every_strategy_arrives_on_every_host(strategy, hosts, tmp_path):
    starts = container_starts(request({"distribution": strategy}, hosts=hosts))
    for index, start in enumerate(starts):
        found = resolve_job(started(start, tmp_path / str(index)), {}).job
        assert found.distribution == strategy
        names = tuple(f"algo-{n + 1}" for n in range(hosts))
        role = "worker" if index else "chief"
        assert found.cluster == Cluster(chief=names[:1], worker=names[1:], role=role)
