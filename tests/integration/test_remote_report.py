"""`trainer report` on runs whose folders lie in object stores."""

from __future__ import annotations

import json

import pytest
from buckets import gs, s3
from processes import trainer

pytestmark = pytest.mark.slow
RUN = {"model": "cnn", "steps": 300, "test_accuracy": 0.9, "hparams": {"learning_rate": 0.01}}


@pytest.mark.parametrize("store", [s3, gs])
def test_a_page_is_made_from_the_store_and_written_there(store, tmp_path):
    with store() as (bucket, fs, env):
        path = f"{bucket.partition('://')[2]}/runs/a"
        fs.pipe_file(f"{path}/metrics.json", json.dumps(RUN).encode())
        local = tmp_path / "b"
        local.mkdir()
        (local / "metrics.json").write_text(json.dumps(RUN | {"test_accuracy": 0.8}))
        folder = f"{bucket}/runs/a"
        alone = trainer("report", folder, env=env)
        assert (alone.returncode, alone.stdout) == (0, f"{folder}/report.html\n"), alone.stderr
        assert b"90.00" in fs.cat_file(f"{path}/report.html")
        both = trainer("report", folder, str(local), "--csv", env=env)
        assert [line.split(",")[0] for line in both.stdout.splitlines()] == ["run", "a", "b"]
        page = f"{bucket}/compared.html"
        assert trainer("report", folder, str(local), "--out", page, env=env).stdout == f"{page}\n"


@pytest.mark.parametrize("store", [s3, gs])
@pytest.mark.parametrize(
    ("name", "content"), [("absent", None), ("halved", b'{"model": "cnn", "st'), ("empty", b"{}")]
)
def test_a_folder_without_a_whole_record_is_one_line(store, name, content):
    with store() as (bucket, fs, env):
        folder = f"{bucket}/runs/{name}"
        if content is not None:
            fs.pipe_file(f"{folder.partition('://')[2]}/metrics.json", content)
        ran = trainer("report", folder, env=env)
        assert ran.returncode == 2
        (line,) = ran.stderr.splitlines()
        assert folder in line and "metrics.json" in line
