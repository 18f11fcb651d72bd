"""The result of a run as a notebook and a prompt show it."""

from __future__ import annotations

import pytest

from trainer.runtime import output
from trainer.training.result import TrainingResult

pytestmark = pytest.mark.tensorflow
METRICS = {"model": "cnn", "steps": 3, "test_accuracy": 0.75, "model_path": "runs/a/model/1"}


def test_a_notebook_shows_results_and_where_the_report_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = TrainingResult(METRICS, model=None, report=tmp_path / "runs/a/report.html")
    shown = result._repr_html_()
    assert "75.00 %" in shown
    # As short as it can be where the notebook is.
    assert "<code>runs/a/report.html</code>" in shown
    assert "Report" not in TrainingResult(METRICS, model=None)._repr_html_()


def test_a_notebook_shows_no_secret_of_the_environment():
    output.begin({"API_TOKEN": "c0rrect-horse"})
    shown = TrainingResult({**METRICS, "warnings": ["c0rrect-horse"]}, model=None)._repr_html_()
    assert "Warning: ***" in shown and "c0rrect-horse" not in shown


def test_a_run_that_was_stopped_before_its_first_step_has_nothing_to_show():
    result = TrainingResult({"stopped": True, "steps": 0}, model=None)
    assert result._repr_html_() is None
    assert repr(result) == "TrainingResult(steps=0)"


def test_a_prompt_shows_one_line():
    expected = (
        "TrainingResult(model='cnn', steps=3, test_accuracy=0.75, model_path='runs/a/model/1')"
    )
    assert repr(TrainingResult({**METRICS, "curves": {}}, model=None)) == expected
