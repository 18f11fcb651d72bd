import json

from trainer.training.report import write_metrics


def test_metrics_are_one_json_object(tmp_path):
    path = write_metrics(tmp_path / "out", {"steps": 3})
    assert path == tmp_path / "out" / "metrics.json"
    assert json.loads(path.read_text()) == {"steps": 3}


def test_a_column_of_numbers_is_on_one_line(tmp_path):
    metrics = {"curves": {"loss": [0.5, -1e-07, 2]}, "files": ["a [1,  2]", "b"], "none": []}
    text = write_metrics(tmp_path, metrics).read_text()
    assert '"loss": [0.5, -1e-07, 2]' in text
    assert json.loads(text) == metrics
