"""A trial's process, as far as a stub in its place shows it."""

import signal
from pathlib import Path

import pytest

from trainer.sweep.trial import TrialProcess


@pytest.fixture
def start(tmp_path: Path):
    """Starts a trial whose program is some lines of Python."""

    def begin(lines: str) -> TrialProcess:
        package = tmp_path / "stub/trainer/sweep"
        package.mkdir(parents=True)
        (package.parent / "__init__.py").touch()
        (package / "__init__.py").touch()
        (package / "child.py").write_text(lines)
        env = {"PYTHONPATH": str(tmp_path / "stub")}
        return TrialProcess(tmp_path / "trial", ["--steps", "2"], env)

    return begin


def ended(process: TrialProcess) -> int:
    while (code := process.wait(10)) is None:
        pass
    return code


def test_its_flags_are_those_of_a_training_in_its_folder(start, tmp_path: Path):
    with start("import sys; print(*sys.argv[2:])") as process:
        assert ended(process) == 0
        folder = tmp_path / "trial"
        expected = f"train --steps 2 --model-dir {folder}/model --log-format text"
        assert process.last_line() == expected


def test_each_accuracy_is_read_once_and_only_from_whole_lines(start, tmp_path: Path):
    with start("print('model=fast steps=4 batch_size=2')") as process:
        ended(process)
        log = tmp_path / "trial/log.txt"
        assert process.new_values() == []
        with log.open("a") as file:
            file.write("step=2 test_accuracy=0.5000\nstep=4 test_acc")
        assert process.new_values() == [(2, 0.5)]
        with log.open("a") as file:
            file.write("uracy=0.7500\n")
        assert process.new_values() == [(4, 0.75)]
        assert process.new_values() == []
        assert (process.is_last(2), process.is_last(4)) == (False, True)


@pytest.mark.parametrize(
    ("text", "accuracy"),
    [
        ('{"test_accuracy": 0.5, "stopped": false}', 0.5),
        ('{"test_accuracy": 0.5, "stopped": true}', None),
        ('{"test_accuracy": null}', None),
        ('{"test_acc', None),
        (None, None),
    ],
)
def test_only_a_run_that_came_to_its_end_has_an_accuracy(start, tmp_path: Path, text, accuracy):
    with start("") as process:
        assert ended(process) == 0
        if text is not None:
            (tmp_path / "trial/metrics.json").write_text(text)
        assert process.value() == accuracy
        assert process.last_line() == "it printed nothing"


WAITS = """
import signal
signal.signal(signal.SIGTERM, {handler})
print("ready", flush=True)
while True:
    signal.pause()
"""


def ready(process: TrialProcess) -> None:
    while process.last_line() != "ready":
        assert process.wait(0.01) is None


def test_it_is_asked_to_end(start):
    with start(WAITS.format(handler="lambda *_: exit(3)")) as process:
        ready(process)
        process.end(at_once=lambda: False)
        assert process.wait(0) == 3
        assert process.seconds > 0


def test_one_that_does_not_end_is_killed(start, monkeypatch):
    monkeypatch.setattr("trainer.sweep.trial.GRACE", 0.1)
    with start(WAITS.format(handler="signal.SIG_IGN")) as process:
        ready(process)
        process.end(at_once=lambda: False)
        assert process.wait(0) is None
    assert process.wait(0) == -signal.SIGKILL
