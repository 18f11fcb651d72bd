"""`trainer sweep`: the search that its flags ask for."""

import json
from pathlib import Path

import pytest

from trainer.cli import command_line
from trainer.sweep import Search


@pytest.fixture
def searches(monkeypatch) -> list[Search]:
    """The searches that would have been run, each of which ends with code 1."""
    found: list[Search] = []

    def run_search(search: Search) -> int:
        found.append(search)
        return 1

    monkeypatch.setattr("trainer.sweep.run_search", run_search)
    return found


def test_flags_with_several_values_are_searched_and_the_others_shared(searches, monkeypatch):
    monkeypatch.setenv("MARK", "1")
    code = command_line.main(
        [
            *("sweep", "--out", "runs/s", "--trials", "7", "--jobs", "2", "--timeout", "1.5"),
            *("--sampler-seed", "3", "--pruner", "asha", "--learning-rate", "0.001..0.1:log"),
            *("--batch-size", "32,64", "--train", "a", "b", "--steps", "9"),
        ]
    )
    (search,) = searches
    assert code == 1
    assert [each.name for each in search.space.dimensions] == ["batch_size", "learning_rate"]
    assert search.space.fixed == ("--steps=9", "--train", "a", "b")
    assert (search.out, search.trials, search.jobs) == (Path("runs/s"), 7, 2)
    assert (search.timeout, search.seed, search.pruner) == (1.5, 3, "asha")
    assert search.env["MARK"] == "1"


def test_a_model_of_ones_own_is_searched_by_its_hyperparameters(searches):
    argv = ["sweep", "--module", "own", "--hp", "width=8..64", "--hp", "depth=3"]
    assert command_line.main(argv) == 1
    (search,) = searches
    (dimension,) = search.space.dimensions
    assert (dimension.name, dimension.own, dimension.low, dimension.high) == ("width", True, 8, 64)
    assert (search.out, search.trials, search.jobs, search.timeout) == (Path("sweep"), 20, 1, None)
    assert "depth=3" in search.space.fixed


@pytest.mark.parametrize("service", ["sagemaker", "vertex"])
def test_a_tuning_job_is_printed_and_nothing_is_run(searches, capsys, service):
    argv = ["sweep", "--print", service, "--trials", "5", "--learning-rate", "0.001..0.1:log"]
    assert command_line.main(argv) == 0
    assert searches == []
    assert "learning_rate" in str(json.loads(capsys.readouterr().out))


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["--trials", "0"], "--trials 0: expected a number of 1 or more"),
        (["--jobs", "0"], "--jobs 0: expected a number of 1 or more"),
        (["--hp", "width"], "'width': expected NAME=VALUE"),
        (["--model-dir", "m"], "--model-dir: each trial has a folder of its own below --out"),
        ([], "trainer sweep: nothing to search for; give a flag several values"),
        (["--timeout", "nan"], "--timeout nan: expected seconds above 0"),
        (["--sampler-seed", "-1"], "--sampler-seed -1: expected a number of 0 to 2147483647"),
        (["--out", ""], "--out: expected the name of a folder"),
    ],
)
def test_a_mistake_is_one_line(searches, capsys, argv, line):
    assert command_line.main(["sweep", *argv]) == 2
    out, err = capsys.readouterr()
    assert (out, searches) == ("", [])
    assert err.startswith("trainer: error: ") and err.count("\n") == 1
    assert line in err
