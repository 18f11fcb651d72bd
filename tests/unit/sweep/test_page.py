"""The page of a sweep: all parameters and all trials are in its charts."""

import json
import re

from trainer.sweep import SweepRecord, TrialRecord, read_space, render_sweep

FLAGS = {"learning_rate": "0.001..0.1:log", "model": "cnn,fast"}
SPACE = read_space(FLAGS)


def specs(trials: list[TrialRecord], *, space=SPACE, **importances: float) -> dict[str, dict]:
    record = SweepRecord(space=space, trials=trials)
    page = render_sweep(record, importances=importances, name="a")
    text = re.search(r'<script type="application/json" id="charts">(.*?)</script>', page)
    assert text
    return {chart["id"]: chart["spec"] for chart in json.loads(text[1])}


def trial(number: int, accuracy: float | None = None, **more) -> TrialRecord:
    values = {"learning_rate": 0.01, "model": "fast"}
    state = "complete" if accuracy else "pruned"
    return TrialRecord(trial=number, state=state, values=values, value=accuracy, **more)


def test_each_parameter_has_an_axis_by_its_own_scale():
    spec = specs([trial(0, 0.8), trial(1, 0.9)])["chart-parallel"]
    shares = {(v["axis"], v["share"]) for v in spec["data"]["values"] if v["line"] == "trial 1"}
    assert shares == {("learning_rate", 0.5), ("model", 1.0), ("test accuracy", 1.0)}
    color = spec["layer"][1]["encoding"]["color"]
    assert (color["field"], color["type"]) == ("score", "quantitative")
    assert color["legend"]["type"] == "gradient"


def test_hundreds_of_trials_have_a_line_each():
    spec = specs([trial(n, 0.5 + n / 1000) for n in range(250)])["chart-parallel"]
    assert len({value["line"] for value in spec["data"]["values"]}) == 250


def test_pruned_trials_are_hollow_and_dashed_and_never_the_best():
    charts = specs([trial(0, 0.8), trial(1, curve=[0.5, 0.95])])
    last = charts["chart-history"]["data"]["values"][-1]
    assert last == {"trial": 1, "state": "pruned", "value": 0.95, "best": 0.8}
    assert "hollow" in charts["chart-history"]["description"]
    early = {v["line"]: v["early"] for v in charts["chart-parallel"]["data"]["values"]}
    assert early == {"trial 0": False, "trial 1": True}


def test_the_chart_of_importances_is_as_high_as_it_has_bars():
    few = specs([], model=1.0)["chart-importances"]["height"]
    assert specs([], model=0.5, learning_rate=0.5)["chart-importances"]["height"] > few


def test_of_a_loss_the_lowest_is_the_best_and_no_number_is_a_share():
    space = read_space({**FLAGS, "metric": "loss:min"})
    charts = specs([trial(0, 25.0), trial(1, 12.5)], space=space)
    assert [v["best"] for v in charts["chart-history"]["data"]["values"]] == [25.0, 12.5]
    assert "%" not in json.dumps(charts)
    lines = [value["line"] for value in charts["chart-parallel"]["data"]["values"]]
    assert (lines[0], lines[-1]) == ("trial 0", "trial 1")
