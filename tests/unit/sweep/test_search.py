"""Sweeps: one line where one cannot begin, and what becomes of trials, which a stub stands for."""

import dataclasses
import json
import os
import re
import signal
from pathlib import Path

import pytest

from trainer.config import UserError
from trainer.sweep import Search, SweepRecord, TrialRecord, read_space, run_search
from trainer.sweep.record import read_sweep, write_record

pytestmark = pytest.mark.slow

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


@pytest.mark.parametrize(
    "text",
    [
        '{"space": ',
        '{"space": {"dimensions": [{"name": "dropout", "high": 0.4}]}, "trials": '
        '[{"trial": 0, "state": "complete", "values": {}, "value": 0.5}]}',
        "[" * 100_000 + "]" * 100_000,
    ],
)
def test_a_damaged_record_is_refused(tmp_path: Path, text: str):
    (tmp_path / "sweep.json").write_text(text)
    with pytest.raises(UserError, match="not the record of a sweep"):
        run_search(search(tmp_path))


# In place of the trainer: its accuracy is the dropout.
STUB = """
import json, os, pathlib, signal, sys

parent, flags = int(sys.argv[1]), sys.argv[2:]
folder = pathlib.Path(flags[flags.index("--model-dir") + 1]).parent
(folder / "flags.json").write_text(json.dumps(flags))
dropout = float(flags[flags.index("--dropout") + 1])
does = os.environ["DOES"]
print("model=fast parameters=9 steps=2 batch_size=20", flush=True)
if does == "fails" or (does == "fails above" and dropout > 0.3):
    print("trainer: error: no such data\\n", file=sys.stderr)
    sys.exit(2)
if does == "waits deaf, interrupted":
    # Asked to end, it has Ctrl-C pressed a second time.
    signal.signal(signal.SIGTERM, lambda *_: os.kill(parent, signal.SIGINT))
if does.startswith("waits"):
    print(f"step=1 test_accuracy={dropout / 10:.4f}", flush=True)
    if "interrupted" in does:
        os.kill(parent, signal.SIGINT)
    while True:
        signal.pause()
if does != "validates":
    print(f"step=2 test_accuracy={dropout:.4f}", flush=True)
if does == "validates":
    print(f"step=2 validation_accuracy={1 - dropout:.4f}", flush=True)
    print(f"step=2 test_accuracy={dropout:.4f}", flush=True)
if does == "has a loss":
    print(f"step=2 test_loss={dropout:.4f}", flush=True)
if does != "writes nothing":
    metrics = {"test_accuracy": dropout}
    if does == "validates":
        metrics["validation_accuracy"] = 1 - dropout
    if does == "evaluates nothing":
        metrics = {"test_accuracy": None}
    if does == "has no classes":
        metrics = {"test_accuracy": None, "test_metrics": {"loss": 0.5}}
    if does == "has a loss":
        metrics = {"test_accuracy": None, "test_metrics": {"loss": dropout, "r2": 1 - dropout}}
    if does == "has no number":
        metrics = {"test_accuracy": None, "test_metrics": {"accuracy": None}}
    (folder / "metrics.json").write_text(json.dumps(metrics))
"""


@pytest.fixture
def stub(tmp_path_factory) -> Path:
    """A folder with a package that takes the place of the trainer in the processes of trials."""
    folder = tmp_path_factory.mktemp("stub")
    package = folder / "trainer/sweep"
    package.mkdir(parents=True)
    for path in (package.parent, package):
        (path / "__init__.py").touch()
    (package / "child.py").write_text(STUB)
    return folder


@pytest.fixture
def sweep(stub: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Runs a sweep whose trials do what `does` says; returns its code, output and record."""

    def run(does: str = "", *, flags=None, **changes):
        env = {"PYTHONPATH": str(stub), "DOES": does}
        space = read_space({"dropout": "0.1..0.4"} | (flags or {}))
        settings = dataclasses.replace(search(tmp_path), space=space, env=env, **changes)
        code = run_search(settings)
        record = read_sweep(tmp_path)
        assert record is not None
        return code, capsys.readouterr(), record

    return run


def test_a_sweep_finds_the_best_trial_and_goes_on_where_it_ended(sweep, tmp_path: Path):
    code, printed, record = sweep(trials=2)
    assert code == 0
    assert [each.state for each in record.trials] == ["complete", "complete"]
    for each in record.trials:
        assert each.value == each.values["dropout"]
        assert each.curve == [round(each.values["dropout"], 4)]
    best = max(record.trials, key=lambda each: each.value)
    assert record.best == best.trial
    assert record.command == f"trainer train --dropout {best.values['dropout']}"
    assert f"best: {record.command}\npage: {tmp_path}/sweep.html\n" in printed.out
    assert f"trial=1 running dropout={record.trials[1].values['dropout']:.4g} log=" in printed.err
    assert "trial=1 complete test_accuracy=" in printed.err
    assert "left=0" in printed.err
    page = (tmp_path / "sweep.html").read_text()
    assert "Train with the best values" in page

    _, printed, after = sweep(trials=4)
    assert after.trials[:2] == record.trials
    assert [each.trial for each in after.trials] == [0, 1, 2, 3]
    assert re.findall("trial=([0-9]) complete", printed.err) == ["2", "3"]
    # There are enough.
    code, printed, again = sweep(trials=4)
    assert (code, printed.err, again) == (0, "", after)


def test_trials_at_a_time_share_the_processors_unless_their_threads_are_given(
    sweep, tmp_path: Path
):
    def flags(trial: int) -> list[str]:
        return json.loads((tmp_path / f"trial-{trial}/flags.json").read_text())

    fixed = {"model": "fast", "batch_size": "32"}
    code, _, record = sweep(trials=2, jobs=2, flags=fixed)
    assert (code, len(record.trials)) == (0, 2)
    share = max(1, len(os.sched_getaffinity(0)) // 2)
    assert flags(0)[:3] == ["train", "--model=fast", "--batch-size=32"]
    assert flags(1)[flags(1).index("--threads") + 1] == str(share)


def test_the_threads_of_trials_are_those_that_were_given(sweep, tmp_path: Path):
    sweep(trials=1, jobs=2, flags={"threads": "3"})
    flags = json.loads((tmp_path / "trial-0/flags.json").read_text())
    assert [flag for flag in flags if flag.startswith("--threads")] == ["--threads=3"]


@pytest.mark.parametrize(
    ("does", "error"),
    [
        ("fails", "trainer: error: no such data"),
        ("writes nothing", "step=2 test_accuracy="),
        ("evaluates nothing", "it ended without accuracy: name data with --test"),
        (
            "has no classes",
            "its evaluation has no accuracy, by which trials are compared; --metric takes loss",
        ),
        ("has no number", "its accuracy is no number"),
    ],
)
def test_a_sweep_without_a_result_fails_with_the_last_line_of_a_trial(sweep, does, error):
    code, printed, record = sweep(does, trials=2)
    assert code == 1
    assert [each.state for each in record.trials] == ["failed", "failed"]
    assert (record.trials[1].error or "").startswith(error)
    assert f"trainer: failed: no trial succeeded: {error}" in printed.err


def test_trials_with_validation_data_are_compared_by_it(sweep, tmp_path: Path):
    code, printed, record = sweep("validates", trials=3)
    assert code == 0
    assert (record.metric, "test_accuracy" in printed.err) == ("validation_accuracy", False)
    assert "trial=0 complete validation_accuracy=" in printed.err
    assert "validation accuracy" in printed.out
    page = (tmp_path / "sweep.html").read_text()
    assert "Validation accuracy of each trial" in page
    assert "test accuracy" not in page
    best = min(record.trials, key=lambda each: each.values["dropout"])
    assert record.best == best.trial
    for each in record.trials:
        assert each.curve == [pytest.approx(1 - each.values["dropout"], abs=1e-4)]
        assert each.value == pytest.approx(1 - each.values["dropout"])


@pytest.mark.parametrize(("metric", "best"), [("loss:min", min), ("r2:max", min), ("r2:min", max)])
def test_trials_are_compared_by_the_metric_asked_for(sweep, tmp_path: Path, metric, best):
    code, printed, record = sweep("has a loss", trials=3, flags={"metric": metric})
    assert code == 0
    chosen = best(record.trials, key=lambda each: each.values["dropout"])
    assert record.best == chosen.trial
    name = metric.partition(":")[0]
    assert f"test_{name}={chosen.value:.4f} best={chosen.value:.4f}" in printed.err
    heads, first = printed.out.splitlines()[:2]
    assert f"test {name}" in heads and first.split()[0] == str(chosen.trial)
    page = (tmp_path / "sweep.html").read_text()
    assert f"with test {name} {chosen.value:.4f}" in page
    assert f"--metric={metric}" in record.command


def test_of_a_loss_the_trial_with_a_higher_one_is_ended(sweep, tmp_path: Path):
    flags = {"metric": "accuracy:min"}
    space = read_space({"dropout": "0.1..0.4"} | flags)
    trials = [dataclasses.replace(each, value=0.001) for each in finished(5, [0.001] * 9)]
    write_record(tmp_path, SweepRecord(space=space, trials=trials))
    _, printed, record = sweep("waits", trials=6, pruner="median", flags=flags)
    assert record.trials[5].state == "pruned"
    assert "best=0.0010" in printed.err


def test_a_sweep_of_an_earlier_version_is_refused(tmp_path: Path):
    (tmp_path / "sweep.json").write_text('{"schema_version": 1, "space": {}}')
    with pytest.raises(UserError, match="schema version 1, expected 2; name another --out"):
        run_search(search(tmp_path))


def test_a_trial_that_fails_does_not_end_the_sweep(sweep):
    code, _, record = sweep("fails above", trials=6)
    assert code == 0
    states = {each.state: each.values["dropout"] for each in record.trials}
    assert states["failed"] > 0.3 >= states["complete"]


def finished(count: int, curve: list[float]) -> list[TrialRecord]:
    """Trials that no other can surpass."""
    return [
        TrialRecord(
            trial=n, state="complete", value=1.0, curve=curve,
            values={"dropout": 0.1 + n / 100},
        )
        for n in range(count)
    ]  # fmt: skip


def test_a_trial_that_falls_behind_is_ended(sweep, tmp_path: Path):
    before = SweepRecord(space=read_space({"dropout": "0.1..0.4"}), trials=finished(5, [1.0] * 9))
    write_record(tmp_path, before)
    code, printed, record = sweep("waits", trials=6, pruner="median")
    last = record.trials[5]
    assert (code, last.state, last.value) == (0, "pruned", None)
    assert last.curve == [round(last.values["dropout"] / 10, 4)]
    assert f"trial=5 pruned test_accuracy={last.curve[-1]:.4f} best=1.0000" in printed.err


def test_a_trial_at_its_last_step_comes_to_its_end(sweep, tmp_path: Path):
    before = SweepRecord(space=read_space({"dropout": "0.1..0.4"}), trials=finished(5, [1.0]))
    write_record(tmp_path, before)
    _, _, record = sweep(trials=6, pruner="median")
    assert (record.trials[5].state, len(record.trials[5].curve)) == ("complete", 1)


def test_after_the_timeout_trials_are_ended_and_tried_again(sweep):
    code, printed, before = sweep("waits", trials=3, timeout=0.5)
    assert code == 1
    assert [each.state for each in before.trials] == ["stopped"]
    assert "trainer: failed: no trial succeeded: the last one is stopped" in printed.err
    code, _, after = sweep(trials=2)
    assert code == 0
    assert [each.state for each in after.trials] == ["stopped", "complete", "complete"]
    assert after.trials[1].values == before.trials[0].values


@pytest.mark.parametrize("does", ["waits, interrupted", "waits deaf, interrupted"])
def test_a_signal_ends_the_trials_and_a_second_one_kills_them(sweep, does):
    code, _, record = sweep(does, trials=2)
    assert code == 128 + signal.SIGINT
    assert [each.state for each in record.trials] == ["stopped"]
