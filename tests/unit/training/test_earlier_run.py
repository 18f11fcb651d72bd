import json

import pytest

from trainer.config.job import Job
from trainer.training import earlier_run

REPORT = {"steps": 3, "stopped": False, "weights_crc32c": ["00000001"]}


@pytest.mark.parametrize(
    ("layout", "model", "file"),
    [
        ("version", "model/7", "model/7/saved_model.pb"),
        ("servo", "model/export/Servo/7", "model/export/Servo/7/saved_model.pb"),
        ("flat", "model", "model/saved_model.pb"),
        ("tar", "model/model.tar.gz", "model/model.tar.gz"),
    ],
)
def test_the_report_of_a_model_that_is_still_there_is_found(tmp_path, layout, model, file):
    job = Job(model_dir=str(tmp_path / "model"), layout=layout)
    assert earlier_run.find(job) is None
    report = REPORT | {"model_path": str(tmp_path / model)}
    (tmp_path / "metrics.json").write_text(json.dumps(report))
    assert earlier_run.find(job) is None
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_bytes(b"m")
    assert earlier_run.find(job) == report
    others = {"version", "servo", "flat", "tar"} - {layout}
    for other in others:
        assert earlier_run.find(Job(model_dir=str(tmp_path / "model"), layout=other)) is None


@pytest.mark.parametrize(
    "change",
    [{"stopped": True}, {"steps": "3"}, {"model_path": 7}, {"model_path": "other/1"}, None],
)
def test_what_is_no_report_of_a_finished_run_is_passed_over(change):
    report = REPORT | {"model_path": "s3://b/model/1"}
    text = json.dumps(report | change if change else []).encode()
    found = [
        earlier_run.checked(t, model_dir="s3://b/model/", layout="version", is_there=lambda _: True)
        for t in (json.dumps(report).encode(), text, b"{", b"")
    ]
    assert found == [report, None, None, None]
