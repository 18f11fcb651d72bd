import json

from trainer.training.report import write_metrics, write_page


def test_metrics_are_one_json_object(tmp_path):
    path = write_metrics(tmp_path / "out", {"steps": 3})
    assert path == tmp_path / "out" / "metrics.json"
    assert json.loads(path.read_text()) == {"steps": 3}


def test_a_column_of_numbers_is_on_one_line(tmp_path):
    metrics = {"curves": {"loss": [0.5, -1e-07, 2]}, "files": ["a [1,  2]", "b"], "none": []}
    text = write_metrics(tmp_path, metrics).read_text()
    assert '"loss": [0.5, -1e-07, 2]' in text
    assert json.loads(text) == metrics


def test_a_page_that_cannot_be_made_is_a_warning(tmp_path, capsys):
    write_metrics(tmp_path, {"model": "cnn", "steps": "many"})
    write_page(tmp_path)
    assert "warning: report.html: not made: " in capsys.readouterr().out
    assert not (tmp_path / "report.html").exists()


def test_a_page_stands_beside_its_metrics(tmp_path):
    write_metrics(tmp_path, {"model": "cnn", "steps": 3})
    write_page(tmp_path)
    assert "<title>" in (tmp_path / "report.html").read_text()
