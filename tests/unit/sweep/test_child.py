"""The program of a trial's process, which is `trainer` as long as the sweep is there."""

import os
import sys

import pytest

from trainer import __version__
from trainer.sweep import child


@pytest.fixture(autouse=True)
def asked(monkeypatch) -> list[bool]:
    """The calls that would have this process end with its parent."""
    calls: list[bool] = []
    monkeypatch.setattr(child, "end_with_parent", lambda: calls.append(True))
    return calls


def test_it_is_the_trainer(monkeypatch, capsys, asked):
    monkeypatch.setattr(sys, "argv", ["child", str(os.getppid()), "--version"])
    with pytest.raises(SystemExit) as ended:
        child.main()
    assert (ended.value.code, asked) == (0, [True])
    assert capsys.readouterr().out == f"trainer {__version__}\n"


def test_it_does_nothing_once_the_sweep_has_ended(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["child", str(os.getpid()), "--version"])
    child.main()
    assert capsys.readouterr().out == ""
