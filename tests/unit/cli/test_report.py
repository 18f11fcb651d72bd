"""`trainer report`: pages, records and lines of runs, made from their folders."""

import json
from pathlib import Path

import pytest

from trainer.cli import command_line
from trainer.training.mlflow_later import SentRun

RECORD = {"model": "fast", "steps": 4, "test_accuracy": 0.75, "hparams": {"batch_size": 20}}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: str, **changes) -> str:
    Path(folder).mkdir(parents=True)
    Path(folder, "metrics.json").write_text(json.dumps(RECORD | changes))
    return folder


def report(capsys, *argv: str) -> tuple[int, str, str]:
    code = command_line.main(["report", *argv])
    out, err = capsys.readouterr()
    return code, out, err


def test_the_page_of_a_run_is_written_into_its_folder(capsys):
    code, out, err = report(capsys, write("runs/a") + "/")
    assert (code, out, err) == (0, "runs/a/report.html\n", "")
    assert "<title>a" in Path("runs/a/report.html").read_text()


def test_several_runs_are_compared_on_one_page(capsys):
    write("runs/a")
    write("runs/b", hparams={"batch_size": 40})
    assert report(capsys, "runs/a", "runs/b") == (0, "compare.html\n", "")
    assert "batch_size" in Path("compare.html").read_text()
    code, out, _ = report(capsys, "runs/a", "runs/b", "--out", "pages/both.html")
    assert (code, out) == (0, "pages/both.html\n")
    assert Path("pages/both.html").read_text() == Path("compare.html").read_text()


def test_records_are_printed_by_the_names_of_their_folders(capsys):
    write("runs/a")
    write("other/a", steps=8)
    write("runs/b", steps=16)
    code, out, _ = report(capsys, "runs/a", "other/a/", "runs/b", "runs/a", "--json")
    assert code == 0
    # Where two have the same name it is the path, and a run that is named twice is one.
    steps = {each["run"]: each["steps"] for each in json.loads(out)}
    assert steps == {"runs/a": 4, "other/a": 8, "b": 16}
    code, out, _ = report(capsys, "runs/a", "runs/b", "--csv")
    head, *rows = [line.split(",") for line in out.splitlines()]
    assert (head[0], [row[0] for row in rows]) == ("run", ["a", "b"])
    assert [row[head.index("test_accuracy")] for row in rows] == ["0.75", "0.75"]
    assert not list(Path().rglob("*.html"))


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["nowhere"], "nowhere"),
        (["run", "--experiment", "e"], "--experiment e: it is one of an MLflow server"),
        (
            ["run", "--out", "run/metrics.json/page.html"],
            "--out run/metrics.json/page.html: it can",
        ),
        (["run", "--json", "--csv"], "not allowed with argument"),
    ],
)
def test_a_mistake_is_one_line(capsys, argv, line):
    write("run")
    code, out, err = report(capsys, *argv)
    assert (code, out) == (2, "")
    assert err.startswith("trainer: error: ") and err.count("\n") == 1
    assert line in err


def test_runs_that_are_sent_are_listed_with_their_place_on_the_server(capsys, monkeypatch, here):
    sent = []

    def send(folder: str, *, uri: str, experiment: str | None) -> SentRun:
        sent.append((folder, uri, experiment))
        return SentRun(experiment_id="7", run_id=f"r{len(sent)}", is_new=len(sent) == 1)

    monkeypatch.setattr("trainer.training.send_run", send)
    uri = "http://me:swordfish@host:5000/"
    argv = ["runs/a", "s3://bucket/b", "--to-mlflow", uri, "--experiment", "e"]
    code, out, err = report(capsys, *argv)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "http://***@host:5000/#/experiments/7/runs/r1",
        "http://***@host:5000/#/experiments/7/runs/r2 (was there)",
    ]
    assert sent == [
        ("runs/a", uri, "e"),
        ("s3://bucket/b", uri, "e"),
    ]
