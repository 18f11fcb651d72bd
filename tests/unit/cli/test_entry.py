"""The main program of a training container, in this process: its exit code and failure file."""

import json
import signal
from pathlib import Path

import pytest

from trainer.cli import entry
from trainer.launch import Command, Failure, Outcome


@pytest.fixture
def ml(tmp_path: Path, monkeypatch) -> Path:
    """The folder /opt/ml of a SageMaker job of one host, with data that is none."""
    base = tmp_path / "ml"
    config = base / "input/config"
    for folder in ("input/config", "input/data/training", "model", "output"):
        (base / folder).mkdir(parents=True)
    (base / "input/data/training/part.tfrecord").write_bytes(b"no records at all")
    files = {
        "inputdataconfig": {"training": {}},
        "resourceconfig": {
            "current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "ethwe",
        },
        "hyperparameters": {"steps": "3", "model": "fast"},
    }  # fmt: skip
    for name, content in files.items():
        (config / f"{name}.json").write_text(json.dumps(content))
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(base))
    monkeypatch.setenv("TRAINING_JOB_NAME", "a-job")
    return base


def failure(ml: Path) -> str | None:
    path = ml / "output/failure"
    return path.read_text() if path.exists() else None


def hyperparameters(ml: Path, **values: str) -> None:
    (ml / "input/config/hyperparameters.json").write_text(json.dumps(values))


def test_a_mistake_is_a_line_and_the_reason_of_the_failure(ml, capsys):
    hyperparameters(ml, steps="twenty")
    (ml / "output/failure").write_text("of an earlier run")
    assert entry.main([]) == 2
    mistake = "hyperparameter steps: expected a whole number, found 'twenty'"
    assert f"trainer: error: {mistake}" in capsys.readouterr().err
    text = failure(ml)
    assert text is not None and text.startswith(mistake)
    assert "host algo-1" in text


@pytest.mark.slow
def test_what_its_child_finds_is_the_reason_as_well(ml, capfd):
    assert entry.main(["--log-format", "text"]) == 2
    assert "part.tfrecord" in capfd.readouterr().err
    text = failure(ml)
    assert text is not None and "part.tfrecord" in text.splitlines()[0]


class Ended:
    """A user's program that ends in some way."""

    command = Command(argv=("true",), env={}, name="script")

    def __init__(self, outcome: Outcome | Exception) -> None:
        self._outcome = outcome

    def run(self) -> Outcome:
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


def run(monkeypatch, outcome: Outcome | Exception) -> int:
    monkeypatch.setattr(entry, "prepare", lambda environment: Ended(outcome))
    return entry.main(["--debug"])


def test_a_run_that_ends_well_leaves_no_reason(ml, monkeypatch, capsys):
    (ml / "output/failure").write_text("of an earlier run")
    assert run(monkeypatch, Outcome(code=0)) == 0
    assert failure(ml) is None
    assert capsys.readouterr().err == ""


def test_a_run_that_the_kernel_kills_has_that_as_its_reason(ml, monkeypatch, capsys):
    outcome = Outcome(code=137, failed="trainer", signal=signal.SIGKILL)
    assert run(monkeypatch, outcome) == 137
    text = failure(ml)
    assert text is not None and "out of memory" in text
    assert "trainer: failed: " in capsys.readouterr().err


def test_the_reason_may_be_another_hosts(ml, monkeypatch):
    reason = Failure(reason="ValueError: no batch", host="algo-2", process="rank 3", code=1)
    assert run(monkeypatch, Outcome(code=1, failure=reason)) == 1
    text = failure(ml)
    assert text is not None and text.startswith("ValueError: no batch")
    assert "host algo-2, rank 3" in text


def test_a_fault_of_the_program_is_no_mistake(ml, monkeypatch):
    with pytest.raises(ZeroDivisionError):
        run(monkeypatch, ZeroDivisionError("a fault"))


def test_on_a_plain_machine_no_file_is_written(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    assert entry.main(["--steps", "0"]) == 2
    assert "--steps 0: expected a number of 1 or more" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
