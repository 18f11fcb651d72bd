"""Files that come out of a container, as a client hands them out."""

from __future__ import annotations

import errno
import tarfile
from pathlib import Path

import pytest

from trainer.backends.engine.client import Engine
from trainer.backends.engine.copying import copy_in, copy_out
from trainer.config.errors import UserError


def engine_of(folder: Path, script: str) -> Engine:
    """Return an engine whose client is a shell script."""
    client = folder / "docker"
    client.write_text(f"#!/bin/sh\n{script}\n")
    client.chmod(0o755)
    return Engine(str(client))


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    source = tmp_path / "source/model"
    source.mkdir(parents=True)
    (source / "saved_model.pb").write_text("model")
    with tarfile.open(tmp_path / "packed.tar", "w") as tar:
        tar.add(source, "model")
    return tmp_path / "packed.tar"


def test_a_folder_comes_out_under_its_new_name(packed, tmp_path):
    engine = engine_of(tmp_path, f'[ "$*" = "cp job:/out/model -" ] && cat {packed}')
    assert copy_out(engine, "job", "/out/model", tmp_path / "mine")
    assert (tmp_path / "mine/saved_model.pb").read_text() == "model"


def test_what_is_not_there_is_no_error(tmp_path):
    text = "Error: Could not find the file /out in container job"
    engine = engine_of(tmp_path, f"echo '{text}' >&2; exit 1")
    assert not copy_out(engine, "job", "/out", tmp_path / "mine")


def test_an_empty_folder_leaves_room_for_what_comes_into_it_later(packed, tmp_path):
    (tmp_path / "empty/model").mkdir(parents=True)
    with tarfile.open(tmp_path / "empty.tar", "w") as tar:
        tar.add(tmp_path / "empty/model", "model")
    script = f"cat {tmp_path / 'empty.tar'}"
    assert not copy_out(engine_of(tmp_path, script), "job", "/out/model", tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize("kept", [700, 2000])
def test_of_what_is_cut_off_nothing_is_left(packed, tmp_path, kept):
    engine = engine_of(tmp_path, f"head -c {kept} {packed}")
    with pytest.raises(UserError, match="not a whole tar file"):
        copy_out(engine, "job", "/out/model", tmp_path / "mine")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["docker", "packed.tar", "source"]


def test_a_full_disk_is_this_machines(tmp_path):
    engine = engine_of(tmp_path, "echo 'write /dev/stdout: no space left on device' >&2; exit 1")
    with pytest.raises(OSError, match="mine") as raised:
        copy_out(engine, "job", "/out/model", tmp_path / "mine")
    assert raised.value.errno == errno.ENOSPC


def test_files_and_folders_go_in_for_any_user(tmp_path):
    engine = engine_of(tmp_path, f'[ "$*" = "cp - job:/" ] && cat > {tmp_path}/in.tar')
    copy_in(engine, "job", {"/opt/ml/input/config/x.json": "{}"}, ["/opt/ml/model"])
    with tarfile.open(tmp_path / "in.tar") as tar:
        members = {m.name: oct(m.mode) for m in tar}
    assert members == {"opt/ml/model": "0o777", "opt/ml/input/config/x.json": "0o644"}
