import json

from trainer.training.report import write_metrics


def test_metrics_are_one_json_object(tmp_path):
    path = write_metrics(tmp_path / "out", {"steps": 3})
    assert path == tmp_path / "out" / "metrics.json"
    assert json.loads(path.read_text()) == {"steps": 3}
