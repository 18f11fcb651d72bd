import pytest

from trainer.config import Job
from trainer.runtime import log
from trainer.training.last_lines import log_result

METRICS = {
    "model_path": "runs/my model/1", "test_accuracy": 0.98, "stopped": False, "steps": 40,
    "best_test_accuracy": 0.99, "best_step": 30, "train_seconds": 12.34, "images_per_second": 567.8,
    "data": {"train": {}, "test": {}},
}  # fmt: skip
FIRST = "model=runs/my model/1 test_accuracy=0.9800 metrics=runs/metrics.json"


def lines(capsys: pytest.CaptureFixture[str], *, job: Job, **changed: object) -> list[str]:
    log.begin()
    log_result(job, METRICS | changed)
    return capsys.readouterr().out.splitlines()


def test_a_complete_run_ends_with_accuracy_time_report_and_the_next_command(capsys):
    assert lines(capsys, job=Job(model_dir="runs/my model")) == [
        FIRST,
        "best: test_accuracy=0.9900 at step=30 of 40",
        "time: 12.3 s of training, 568 images a second",
        "report: runs/metrics.json",
        "next: trainer serve --model-dir 'runs/my model'",
    ]


def test_a_run_without_test_data_names_no_accuracy(capsys):
    none = {"data": {"train": {}}, "test_accuracy": None, "best_test_accuracy": None}
    found = lines(capsys, job=Job(model_dir="runs/my model"), **none)
    assert found[0] == "model=runs/my model/1 metrics=runs/metrics.json"
    assert not any("accuracy" in line for line in found)


def test_a_stopped_run_ends_with_its_model(capsys):
    assert lines(capsys, job=Job(model_dir="runs/my model"), stopped=True) == [FIRST]


def test_the_report_is_named_where_there_is_one(capsys, tmp_path):
    (tmp_path / "report.html").touch()
    found = lines(capsys, job=Job(output_dir=str(tmp_path)))
    assert f"report: {tmp_path}/report.html" in found


@pytest.mark.parametrize(
    ("layout", "last"),
    [
        ("flat", "next: trainer serve --model-dir 'runs/my model/1'"),
        ("servo", "next: trainer serve --model-dir 'runs/my model'"),
        ("tar", "report: runs/metrics.json"),
    ],
)
def test_the_next_command_is_for_the_layout(layout, last, capsys):
    assert lines(capsys, job=Job(model_dir="runs/my model", layout=layout))[-1] == last
