"""The packages of a user's code, which a process of its own installs by the real pip."""

import os
import sys
from pathlib import Path

import pytest

from trainer.config import UserError
from trainer.runtime import StoppedError
from trainer.serving.user_code import requirements


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    # Nothing is fetched.
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    return tmp_path


@pytest.mark.slow
def test_what_is_there_needs_nothing(folder):
    (folder / "requirements.txt").write_text("pytest\n")
    requirements.install(folder, stopped=lambda: False)


@pytest.mark.slow
def test_what_pip_cannot_install_is_a_line(folder):
    (folder / "requirements.txt").write_text("no-such-package-of-anyone\n")
    with pytest.raises(UserError) as caught:
        requirements.install(folder, stopped=lambda: False)
    assert "no-such-package-of-anyone" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_server_that_is_stopped_gives_up(folder):
    (folder / "requirements.txt").write_text("pytest\n")
    with pytest.raises(StoppedError, match="told to stop while pip ran"):
        requirements.install(folder, stopped=lambda: True)


def test_a_process_that_ends_without_a_line_is_a_line(folder, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(UserError, match=r"requirements\.txt: pip could not be run"):
        requirements.install(folder, stopped=lambda: False)


@pytest.mark.parametrize(
    ("problem", "code", "answer"),
    [(None, 0, ""), (UserError(subject="numpy", problem="too\nold"), 2, "numpy: too")],
)
def test_its_program_answers_with_the_problem_alone(
    folder, monkeypatch, capfd, problem, code, answer
):
    def install(argv, **settings):
        assert settings["folder"] == folder
        # What pip prints is no answer.
        os.write(1, b"Collecting numpy\n")
        if problem:
            raise problem

    monkeypatch.setattr(requirements.pip, "install", install)
    monkeypatch.setattr(sys, "argv", ["requirements", str(folder)])
    kept = os.dup(1)
    try:
        assert requirements.main() == code
    finally:
        os.dup2(kept, 1)
        os.close(kept)
    out, err = capfd.readouterr()
    assert out.startswith(answer)
    assert "Collecting" not in out
    assert "Collecting numpy\n" in err
