"""`trainer train` as far as its verb goes: what it says that it would do, and what it hands on."""

import json

import pytest

from trainer.cli import command_line
from trainer.platforms import ResolvedJob


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_dry_run_describes_the_job_and_leaves_nothing(capsys, here):
    argv = ["train", "--dry-run", "--steps", "7", "--model", "fast"]
    assert command_line.main(argv) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("platform: local (")
    assert {"  steps = 7  (--steps)", "  model = fast  (--model)"} <= {*lines}
    assert list(here.iterdir()) == []


def test_a_dry_run_as_json_has_each_value_with_where_it_comes_from(capsys, here):
    assert command_line.main(["train", "--dry-run", "--json", "--steps", "7"]) == 0
    job = json.loads(capsys.readouterr().out)["job"]
    assert job["steps"] == {"value": 7, "from": "--steps"}
    assert job["model"] == {"value": "cnn", "from": "default"}


def test_the_job_of_the_flags_is_run_and_its_code_is_the_verbs(monkeypatch, capsys):
    jobs: list[ResolvedJob] = []

    def run_job(resolved: ResolvedJob) -> int:
        jobs.append(resolved)
        return 7

    monkeypatch.setattr("trainer.training.run_job", run_job)
    argv = ["train", "--steps", "3", "--hp", "width=8", "--module", "own", "--threads", "1"]
    assert command_line.main(argv) == 7
    (resolved,) = jobs
    assert (resolved.job.steps, resolved.job.module) == (3, "own")
    assert resolved.job.hparams.hp == (("width", "8"),)
    assert resolved.sources["steps"] == "--steps"
