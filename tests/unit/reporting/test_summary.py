"""What a notebook shows of a run: no script, no style sheet, and all that its record has."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest

from trainer.reporting import decode_record, render_summary
from trainer.reporting.charts import curve_charts
from trainer.reporting.line_svg import line_svg, ticks_of

CURVES = {
    "train": {
        "step": [100, 200, 300], "loss": [0.5, float("nan"), 0.1], "accuracy": [0.8, 0.9, 0.95],
        "learning_rate": [0.1, 0.1, 0.1], "seconds": [1, 2, 3], "images_per_second": [9, 9, 9],
    },
    "test": {"step": [150, 300], "loss": [0.4, 0.2], "accuracy": [0.85, 0.9]},
}  # fmt: skip


def summary(**changes: Any) -> str:
    value = {
        "model": "cnn", "steps": 300, "test_accuracy": 0.9, "curves": CURVES,
        "model_path": "runs/a/model/1", "warnings": ["<b>odd</b>"],
        "evaluation": {
            "step": 300, "examples": 8, "classes": ["cat", "<dog>"], "confusion": [[3, 1], [0, 4]],
        },
        **changes,
    }  # fmt: skip
    record = decode_record(json.dumps(value).encode(), path="metrics.json")
    return render_summary(record, report="runs/a/report.html")


class Elements(HTMLParser):
    """The names and attributes of all elements, and the texts in them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())


def test_it_has_results_curves_confusion_and_places():
    found = Elements(summary())
    assert {"90.00 %", "<dog>", "runs/a/model/1", "runs/a/report.html"} <= {*found.texts}
    labels = [value for name, value in found.attributes if name == "aria-label"]
    assert labels == ["Loss (cross-entropy)", "Accuracy"]
    assert "Warning: <b>odd</b>" in found.texts


def test_it_asks_for_no_script_style_sheet_or_network():
    found = Elements(summary())
    assert not {"script", "style", "link", "img", "iframe"} & {*found.names}
    assert not [name for name, _ in found.attributes if name.startswith(("on", "href", "src"))]
    assert len(summary()) < 12_000


def test_a_run_without_curves_or_classes_has_its_results():
    found = Elements(summary(curves=None, evaluation=None, warnings=[]))
    assert "svg" not in found.names
    assert "90.00 %" in found.texts


def drawn(curves: dict[str, Any]) -> list[ElementTree.Element]:
    record = decode_record(
        json.dumps({"model": "m", "steps": 1, "curves": curves}).encode(), path="metrics.json"
    )
    assert record.curves
    return [ElementTree.fromstring(line_svg(chart)) for chart in curve_charts(record.curves)]


def test_every_point_lies_within_its_chart():
    for svg in drawn(CURVES):
        for line in svg.iter("polyline"):
            for pair in line.get("points", "").split():
                x, y = map(float, pair.split(","))
                assert 0 < x < 400 and 0 < y < 250


def test_a_loss_that_is_no_number_is_left_out_of_the_line():
    loss = drawn(CURVES)[0]
    train, test = loss.iter("polyline")
    assert [len(line.get("points", "").split()) for line in (train, test)] == [2, 2]


def test_a_curve_of_one_value_is_drawn_and_one_of_none_is_not():
    (svg,) = drawn({"train": {"step": [1], "loss": [0.5]}})
    assert len([*svg.iter("circle")]) == 1
    record = decode_record(
        b'{"model": "m", "steps": 1, "curves": {"train": {"step": [1], "loss": [NaN]}}}', path="m"
    )
    assert record.curves
    assert [str(line_svg(chart)) for chart in curve_charts(record.curves)] == [""]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.981, 0.9992, [0.985, 0.99, 0.995]),
        (100, 938, [200, 400, 600, 800]),
        (-3, 3, [-2, 0, 2]),
        (0, 1e-7, [0, 2e-8, 4e-8, 6e-8, 8e-8, 1e-7]),
    ],
)
def test_axes_have_round_numbers(low, high, expected):
    assert ticks_of(low, high) == pytest.approx(expected)
