"""The page of a run shows what its record has, and the comparison what differs."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re

import pytest

from trainer.config import UserError
from trainer.reporting import (
    RunRecord,
    as_csv,
    decode_record,
    differences_of,
    render_comparison,
    render_report,
)


def record(**changes) -> RunRecord:
    """Return a record with all sections, or with other values."""
    steps = list(range(10, 5010, 10))
    curve = {
        "step": steps,
        "seconds": [s / 100 for s in steps],
        "loss": [2 / s**0.5 for s in steps],
        "accuracy": [1 - 1 / s for s in steps],
    }
    rate = {"learning_rate": [0.01] * len(steps), "images_per_second": [5000.0] * len(steps)}
    value = {
        "model": "cnn",
        "steps": 5000,
        "test_accuracy": 0.75,
        "test_loss": 0.1,
        "curves": {"train": {**curve, **rate}, "test": {k: v[::50] for k, v in curve.items()}},
        "evaluation": {
            "step": 5000,
            "examples": 8,
            "classes": ["cat", "dog"],
            "confusion": [[3, 1], [1, 3]],
            "calibration": [
                {"low": 0, "high": 0.5, "count": 0},
                {"low": 0.5, "high": 1, "count": 8, "confidence": 0.85, "accuracy": 0.75},
            ],
        },
        "hparams": {"learning_rate": 0.01, "batch_size": 64},
        "job": {"learning_rate": {"value": 0.01, "from": "--learning-rate"}},
        "time_split": {"start_up": 1.5, "compute": 10.25},
        "ranks": [{"rank": 0, "images_per_second": 5000, "host": "a"}],
        "data": {"train": {"kind": "npy", "examples": 9, "labels": {"cat": 4, "dog": 5}}},
        "warnings": ["</script><b>odd</b>"],
        "command": ["trainer", "train", "--train", "my data"],
        "model_path": "runs/a/model/1",
        "versions": {"trainer": "1"},
        **changes,
    }
    return decode_record(json.dumps(value).encode(), path="metrics.json")


def headings(page: str) -> list[str]:
    return re.findall(r"<h2[^>]*>([^<]*)</h2>", without_scripts(page))


def without_scripts(page: str) -> str:
    return re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)


def specs(page: str) -> dict[str, dict]:
    text = re.search(r'<script type="application/json" id="charts">(.*?)</script>', page)
    assert text
    return {chart["id"]: chart["spec"] for chart in json.loads(text[1])}


def test_a_page_has_a_section_for_each_thing_that_the_record_has():
    page = render_report(record(), name="a")
    assert headings(page) == [
        "Summary", "Serve and repeat", "Learning curves", "Confusion matrix", "Per class",
        "Calibration", "Time", "Processes", "Data", "Settings", "Versions and device",
    ]  # fmt: skip
    assert "trainer serve --model-dir runs/a/model</pre>" in page
    assert "trainer train --train &#39;my data&#39;" in page
    assert "Expected calibration error: 10.00 %" in page
    assert "<dd>75.00 %</dd>" in page


def test_a_page_of_an_older_run_leaves_out_what_is_missing():
    page = render_report(RunRecord(model="cnn", steps=1))
    assert headings(page) == ["Summary", "Versions and device"]
    assert "vega" not in page


def test_a_page_is_small_and_asks_the_network_for_nothing():
    page = render_report(record())
    own = without_scripts(page)
    assert len(page.encode()) < 1_500_000
    assert re.findall(r'<(?:script|link|img|iframe)\b[^>]*(?:src|href)="(?!data:)', own) == []


def test_a_page_shows_names_as_text():
    page = render_report(record(model="</script><script>alert(1)</script>"))
    assert "&lt;/script&gt;&lt;b&gt;odd&lt;/b&gt;" in page
    assert "<script>alert" not in page
    names = {"a": record(), "</script>": record()}
    assert "chart-loss" in specs(render_comparison(names))


def test_curves_are_thinned_out_to_their_last_point():
    points = specs(render_report(record()))["chart-loss"]["data"]["values"]
    train = [point["x"] for point in points if point["series"] == "training"]
    assert len(train) == 250 and train[-1] == 5000


def test_a_loss_that_is_no_number_breaks_no_chart():
    curves = {"train": {"step": [1, 2], "loss": [1.0, float("nan")]}}
    points = specs(render_report(record(curves=curves)))["chart-loss"]["data"]["values"]
    assert [point["y"] for point in points] == [1.0, None]


def test_the_comparison_shows_what_differs():
    runs = {
        "a": record(),
        "b": record(hparams={"learning_rate": 0.1, "batch_size": 64}, job=None, test_accuracy=0.5),
    }
    assert differences_of(runs) == {"learning_rate": [0.01, 0.1]}
    page = render_comparison(runs)
    assert headings(page) == ["Results", "Differences", "Parallel coordinates", "Learning curves"]
    shown = specs(page)
    assert {point["series"] for point in shown["chart-accuracy"]["data"]["values"]} == {"a", "b"}
    ends = shown["chart-parallel"]["layer"][2]["data"]["values"]
    assert {(end["axis"], end["text"]) for end in ends} == {
        ("learning_rate", "0.01"), ("learning_rate", "0.1"),
        ("test accuracy", "50.00%"), ("test accuracy", "62.50%"), ("test accuracy", "75.00%"),
    }  # fmt: skip


def test_parallel_coordinates_have_words_and_leave_out_folders():
    runs = {
        name: record(hparams={"optimizer": name, "model_dir": f"runs/{name}"}, job=None)
        for name in ("sgd", "adam")
    }
    ends = specs(render_comparison(runs))["chart-parallel"]["layer"][2]["data"]["values"]
    assert [(end["axis"], end["share"], end["text"]) for end in ends][:2] == [
        ("optimizer", 0.0, "sgd"), ("optimizer", 1.0, "adam"),
    ]  # fmt: skip
    assert {end["axis"] for end in ends} == {"optimizer", "test accuracy"}


@pytest.mark.parametrize(
    ("fields", "axis"),
    [
        ({"test_accuracy": None, "best_test_accuracy": 0.5}, "test accuracy"),
        ({"test_accuracy": None, "best_test_accuracy": None, "test_loss": 0.3}, "test loss"),
    ],
)
def test_runs_without_a_last_accuracy_are_compared_by_what_all_have(fields, axis):
    other = record(hparams={"learning_rate": 0.1}, **fields)
    ends = specs(render_comparison({"a": record(), "b": other}))["chart-parallel"]["layer"][2]
    assert {end["axis"] for end in ends["data"]["values"]} > {axis}


def regression(**changes) -> RunRecord:
    """Return the record of a run without classes."""
    found = {"loss": 0.5, "mean_absolute_error": 0.25}
    fields = {"test_accuracy": None, "test_loss": 0.5, "test_metrics": found, "evaluation": None,
              "metric": "mean_absolute_error:min", "best_metric": 0.25}  # fmt: skip
    return record(**{**fields, **changes})


@pytest.mark.parametrize(
    ("runs", "axis"),
    [
        ([regression(), regression()], "test mean absolute error"),
        ([regression(), regression(metric="loss:min")], "test loss"),
        # One was stopped before its end, one watched other figures.
        ([regression(), regression(test_metrics=None)], "test mean absolute error"),
        ([record(metric="loss:min"), record(metric="loss:min")], "test loss"),
        ([record(metric="odd"), record(metric="odd")], "test accuracy"),
        ([record(test_accuracy=None, validation_accuracy=n / 4) for n in (1, 2)],
         "validation accuracy"),
        ([record(test_accuracy=None, test_loss=None, validation_loss=n / 4) for n in (1, 2)],
         "validation loss"),
    ],
)  # fmt: skip
def test_the_last_axis_is_what_the_runs_were_judged_by(runs, axis):
    shown = {f"run {n}": dataclasses.replace(r, hparams={"seed": n}) for n, r in enumerate(runs)}
    ends = specs(render_comparison(shown))["chart-parallel"]["layer"][2]["data"]["values"]
    assert axis in {end["axis"] for end in ends}


def test_of_a_loss_the_lowest_line_is_drawn_over_the_others():
    runs = {
        f"run {n}": regression(hparams={"seed": n}, test_metrics={"mean_absolute_error": n / 4})
        for n in (1, 2)
    }
    chart = specs(render_comparison(runs))["chart-parallel"]
    assert [each["line"] for each in chart["data"]["values"]][-1] == "run 1"
    assert "%" not in json.dumps(chart)


def test_the_metrics_of_a_module_have_a_chart_each():
    test = {"step": [1, 2], "metrics": {"r2": [0.25, 0.5], "mean_absolute_error": [2.0, None]}}
    train = {"step": [1], "metrics": {"mean_absolute_error": [3.0]}}
    run = regression(curves={"train": train, "test": test})
    shown = {spec["description"]: spec for spec in specs(render_report(run, name="a")).values()}
    errors = shown["Mean absolute error"]["data"]["values"]
    assert [(each["series"], each["y"]) for each in errors] == [("training", 3.0), ("test", 2.0)]
    assert [each["y"] for each in shown["R2"]["data"]["values"]] == [0.25, 0.5]
    compared = specs(render_comparison({"a": run, "b": run})).values()
    titles = {spec["description"] for spec in compared}
    assert {"Test r2", "Test mean absolute error"} <= titles


def test_results_keep_their_order_where_the_first_run_has_few():
    few = record(test_accuracy=None, test_loss=None, validation_accuracy=0.5)
    page = render_comparison({"few": few, "all": record(train_loss=0.5)})
    heads = re.findall(r'<th scope="row">([^<]+)', page)
    shown = ["Test accuracy", "Test loss", "Validation accuracy", "Training loss", "Steps"]
    assert {"Steps"} <= {*heads[4:5]} and {*heads[:5]} == {*shown}


def test_many_runs_are_coloured_by_their_accuracy():
    for count, field in ((8, "line"), (9, "score")):
        runs = {
            f"run {i}": record(hparams={"batch_size": i}, test_accuracy=i / 10)
            for i in range(count)
        }
        lines = specs(render_comparison(runs))["chart-parallel"]["layer"][1]
        assert lines["encoding"]["color"]["field"] == field


def test_runs_of_different_tasks_are_not_compared():
    other = record(evaluation={"step": 1, "examples": 1, "classes": ["x"]})
    with pytest.raises(UserError, match="b: its task is another: 1 classes, where a has 2"):
        render_comparison({"a": record(), "b": other})
    same_number = record(evaluation={"step": 1, "examples": 1, "classes": ["x", "y"]})
    with pytest.raises(UserError, match="b: its 2 classes are not those of a"):
        render_comparison({"a": record(), "b": same_number})
    with pytest.raises(UserError, match="b: its task is another: no classes, where a has 2"):
        render_comparison({"a": record(), "b": regression()})
    untested = record(evaluation=None, test_accuracy=None, classes=3)
    with pytest.raises(UserError, match="b: its task is another: 3 classes"):
        render_comparison({"a": record(), "b": untested})
    unknown = dataclasses.replace(untested, classes=None)
    assert render_comparison({"a": record(), "b": unknown})


def test_csv_has_a_line_for_each_run():
    rows = list(csv.DictReader(io.StringIO(as_csv({"a": record(), "b": record(hparams=None)}))))
    assert [(r["run"], r["test_accuracy"], r["batch_size"]) for r in rows] == [
        ("a", "0.75", "64"), ("b", "0.75", ""),
    ]  # fmt: skip


def test_csv_has_the_figures_of_a_module_before_its_hyperparameters():
    (line,) = csv.DictReader(io.StringIO(as_csv({"a": regression()})))
    assert line["test_mean_absolute_error"] == line["best_metric"] == "0.25"
    assert line["metric"] == "mean_absolute_error:min"
    names = list(line)
    assert names.index("test_mean_absolute_error") < names.index("learning_rate")
