"""`--classes` as an object of a store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from buckets import gs, s3
from processes import trainer

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]
NAMES = [f"digit {number}" for number in range(10)]


@pytest.mark.parametrize("store", [s3, gs])
def test_names_of_classes_may_lie_in_a_store(store, tmp_path: Path):
    with store() as (bucket, fs, env):
        url = f"{bucket}/names/classes.txt"
        flags = ("train", "--model", "fast", "--steps", "2", "--job-dir", str(tmp_path / "job"))
        absent = trainer(*flags, "--classes", url, env=env)
        assert absent.returncode == 2
        line = absent.stderr.strip().splitlines()[-1]
        assert line == f"trainer: error: --classes {url}: cannot be read: No such file or directory"
        fs.pipe_file(url.partition("://")[2], "\n".join(NAMES).encode())
        ran = trainer(*flags, "--classes", url, env=env)
        assert ran.returncode == 0, ran.stderr
    metrics = json.loads((tmp_path / "job/metrics.json").read_text())
    assert metrics["class_names"] == NAMES
