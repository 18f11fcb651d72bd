import json

import pytest

from trainer.runtime.log import Reporter
from trainer.training.report import write_metrics


@pytest.mark.parametrize(
    ("verbosity", "lines"),
    [
        ("DEBUG", ["step=1", "warning: odd"]),
        ("INFO", ["step=1", "warning: odd"]),
        ("WARN", ["warning: odd"]),
        ("ERROR", []),
    ],
)
def test_verbosity_is_the_lowest_level_printed(capsys, verbosity, lines):
    reporter = Reporter(verbosity)
    reporter.info("step=1")
    reporter.warn("odd")
    assert capsys.readouterr().out.splitlines() == lines


def test_metrics_are_one_json_object(tmp_path):
    path = write_metrics(tmp_path / "out", {"steps": 3})
    assert path == tmp_path / "out" / "metrics.json"
    assert json.loads(path.read_text()) == {"steps": 3}
