"""`trainer data sync` between folders on disk; tests/integration has the stores."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from trainer.cli import command_line
from trainer.cli.data_sync import _notes
from trainer.storage.sync.part_file import part_name_for


@pytest.fixture
def here(tmp_path) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "a").write_bytes(b"1")
    return folder


@pytest.mark.parametrize("number", ["0", "-1", "257", "x"])
def test_a_number_of_workers_that_cannot_be_is_a_mistake(capsys, here, tmp_path, number):
    argv = ["data", "sync", str(here), str(tmp_path / "x"), "--workers", number]
    assert command_line.main(argv) == 2
    assert "--workers" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_the_rule_stands_in_the_help(capsys):
    with pytest.raises(SystemExit):
        command_line.main(["data", "sync", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "A file is copied if DST lacks it, if the sizes differ, or if a checksum" in text


def test_notes_lie_in_the_users_own_folder():
    assert _notes({"HOME": "/home/me"}) == Path("/home/me/.cache/trainer/sync")
    assert _notes({"HOME": "/home/me", "XDG_CACHE_HOME": "/c"}) == Path("/c/trainer/sync")
    with pytest.raises(NotADirectoryError):
        _notes({}).mkdir(parents=True)


def test_what_killed_processes_left_is_removed_in_the_end(here, tmp_path):
    there = tmp_path / "there"
    there.mkdir()
    gone = there / ".999999999-1.part"
    large = part_name_for(there / "no-more")
    alive, other = there / f".{os.getpid()}-1.part", there / ".mine.part"
    for path in (gone, large, alive, other):
        path.write_bytes(b"half")
    assert command_line.main(["data", "sync", str(here), str(there), "--delete"]) == 0
    assert sorted(there.iterdir()) == sorted([there / "a", alive, other])


@pytest.mark.parametrize(
    ("module", "url", "package"),
    [("google.auth", "gs://bucket/x", "google-auth"), ("botocore", "s3://bucket/x", "botocore")],
)
def test_a_package_that_is_missing_is_named_with_its_command(
    capsys, monkeypatch, here, module, url, package
):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, "botocore.config", None)
    assert command_line.main(["data", "sync", str(here), url]) == 2
    assert capsys.readouterr().err == (
        f"trainer: error: DST {url}: needs the package {package}; "
        "pip install 'trainer-anywhere[cloud]'\n"
    )
