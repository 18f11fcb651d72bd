"""A sweep that cannot begin: one line each."""

from pathlib import Path

import pytest

from trainer.config import UserError
from trainer.sweep import Search, SweepRecord, read_space, run_search
from trainer.sweep.record import read_sweep, write_record

SPACE = read_space({"dropout": "0..0.5", "batch_size": "32,64"})


def search(out: Path) -> Search:
    return Search(
        space=read_space({"dropout": "0..0.4"}), out=out, trials=1, jobs=1, timeout=None, seed=0,
        pruner="none", env={},
    )  # fmt: skip


def test_without_the_extra_the_line_says_how_to_install_it(monkeypatch, tmp_path: Path):
    monkeypatch.setattr("trainer.sweep.search.installed_version", lambda *names: None)
    with pytest.raises(UserError, match=r"Optuna is not installed.*sweep"):
        run_search(search(tmp_path))


def test_a_folder_of_another_sweep_is_refused(tmp_path: Path):
    write_record(tmp_path, SweepRecord(space=SPACE))
    assert read_sweep(tmp_path) == SweepRecord(space=SPACE)
    with pytest.raises(UserError, match="other flags"):
        run_search(search(tmp_path))


def test_a_damaged_record_is_refused(tmp_path: Path):
    (tmp_path / "sweep.json").write_text('{"space": ')
    with pytest.raises(UserError, match="not the record of a sweep"):
        run_search(search(tmp_path))
