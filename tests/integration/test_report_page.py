"""The pages of `trainer report` in a real browser: every chart is drawn, nothing is loaded."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import trainer

from trainer.cli import main
from trainer.sweep import SweepRecord, TrialRecord, read_space, render_sweep

SECONDS = 60
STEPS = [100, 200, 300]
RUN = {
    "model": "cnn",
    "steps": 300,
    "test_accuracy": 0.9,
    "curves": {
        "train": {
            "step": STEPS,
            "seconds": [1, 2, 3],
            "loss": [1.0, 0.5, 0.2],
            "accuracy": [0.5, 0.8, 0.9],
            "learning_rate": [0.1, 0.1, 0.0],
            "images_per_second": [100, 110, 120],
        },
        "test": {"step": STEPS, "loss": [0.9, 0.5, 0.3], "accuracy": [0.6, 0.8, 0.9]},
    },
    "evaluation": {
        "step": 300,
        "examples": 20,
        "classes": [str(i) for i in range(10)],
        "confusion": [[2 if i == j else 0 for j in range(10)] for i in range(10)],
        "calibration": [
            {"low": low, "high": low + 0.5, "count": 10, "confidence": low + 0.2, "accuracy": low}
            for low in (0.0, 0.5)
        ],
    },
    "time_split": {"start_up": 1.0, "compute": 3.0},
    "warnings": ["a warning"],
    "command": ["trainer", "train", "--steps", "300"],
}


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """Chromium without a window."""
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    if missing:
        problem = f"no {missing[0]} (Debian: apt-get install chromium chromium-driver)"
        if os.environ.get("CI"):
            pytest.fail(problem)
        pytest.skip(problem)
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-gpu"):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    driver.set_page_load_timeout(SECONDS)
    yield driver
    driver.quit()


@pytest.fixture
def pages(tmp_path: Path) -> dict[str, Path]:
    """The page of a run, the comparison of two, and the page of a sweep."""
    for name, rate in (("a", 0.01), ("b", 0.1)):
        folder = tmp_path / name
        folder.mkdir()
        value = {**RUN, "hparams": {"learning_rate": rate}}
        (folder / "metrics.json").write_text(json.dumps(value))
    a, b, compare = (str(tmp_path / name) for name in ("a", "b", "compare.html"))
    assert main(["report", a]) == 0
    assert main(["report", a, b, "--out", compare]) == 0
    sweep = tmp_path / "sweep.html"
    trials = [
        TrialRecord(
            trial=number, state="complete", value=0.9 - rate,
            values={"learning_rate": rate, "batch_size": 32 * (number + 1), "model": "fast"},
        )
        for number, rate in enumerate((0.01, 0.1, 0.03))
    ]  # fmt: skip
    values = {"learning_rate": 0.02, "batch_size": 40, "model": "cnn"}
    trials.append(TrialRecord(trial=3, state="pruned", values=values, curve=[0.7]))
    space = read_space(
        {"learning_rate": "0.01..0.1:log", "batch_size": "32..128", "model": "cnn,fast"}
    )
    record = SweepRecord(space=space, best=0, command="trainer train", trials=trials)
    shares = {"learning_rate": 0.8, "batch_size": 0.2}
    sweep.write_text(render_sweep(record, importances=shares, name="sweep"))
    return {
        "report": tmp_path / "a/report.html", "compare": tmp_path / "compare.html", "sweep": sweep,
    }  # fmt: skip


def emulate(browser, scheme: str, width: int) -> None:
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def wait_drawn(browser, scheme: str) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    script = "return document.documentElement.dataset.drawn"
    WebDriverWait(browser, SECONDS).until(lambda _: browser.execute_script(script) == scheme)


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("kind", "charts"), [("report", 5), ("compare", 4), ("sweep", 3)])
def test_every_chart_is_drawn_and_nothing_is_loaded(
    browser, pages, kind: str, charts: int, scheme: str, width: int
):
    emulate(browser, scheme, width)
    browser.get(pages[kind].as_uri())
    wait_drawn(browser, scheme)
    count = "c => c.querySelectorAll('svg path[d]').length"
    marks = f"return [...document.querySelectorAll('.chart')].map({count})"
    drawn = browser.execute_script(marks)
    assert len(drawn) == charts and min(drawn) > 0
    loaded = "return performance.getEntriesByType('resource').map(e => e.name)"
    assert [u for u in browser.execute_script(loaded) if not u.startswith("data:")] == []
    assert [entry["message"] for entry in browser.get_log("browser")] == []
    wide = "return document.documentElement.scrollWidth"
    assert browser.execute_script(wide) <= width


@pytest.mark.parametrize("width", [1280, 360])
def test_the_page_of_a_real_run_shows_its_worst_and_least_certain_digits(
    browser, mnist_dir: Path, tmp_path: Path, width: int
):
    argv = ["--model", "fast", "--train", str(mnist_dir), "--steps", "20"]
    ran = trainer("train", *argv, "--job-dir", str(tmp_path))
    assert ran.returncode == 0, ran.stderr
    page = tmp_path / "report.html"
    assert page.stat().st_size < 1_500_000
    emulate(browser, "light", width)
    browser.get(page.as_uri())
    wait_drawn(browser, "light")
    drawn = "e => e.naturalWidth === 28 && e.alt.includes('true ')"
    counted = "return [...document.querySelectorAll('#%s img')].filter(" + drawn + ").length"
    sizes = [browser.execute_script(counted % id) for id in ("worst", "uncertain", "data")]
    assert sizes == [24, 12, 12]
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert [entry["message"] for entry in browser.get_log("browser")] == []


@pytest.mark.parametrize("kind", ["report", "compare", "sweep"])
def test_charts_have_the_colours_of_the_page_and_captions_stay_in_view(browser, pages, kind: str):
    emulate(browser, "light", 360)
    browser.get(pages[kind].as_uri())
    wait_drawn(browser, "light")
    # That of Vega, if the page sets none.
    blue = '.chart :is([stroke="#4c78a8"], [fill="#4c78a8"])'
    count = "return document.querySelectorAll(arguments[0]).length"
    assert browser.execute_script(count, blue) == 0
    right = "c => c.getBoundingClientRect().right"
    captions = f"return [...document.querySelectorAll('caption span')].map({right})"
    ends = browser.execute_script(captions)
    assert ends and max(ends) <= 360


def test_charts_follow_the_colour_scheme(browser, pages):
    emulate(browser, "light", 1280)
    browser.get(pages["report"].as_uri())
    wait_drawn(browser, "light")
    emulate(browser, "dark", 1280)
    wait_drawn(browser, "dark")


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["report", "compare", "sweep"])
def test_axe_finds_no_barrier(browser, pages, kind: str, scheme: str, width: int):
    emulate(browser, scheme, width)
    browser.get(pages[kind].as_uri())
    wait_drawn(browser, scheme)
    browser.execute_script((Path(__file__).parent / "axe/axe.min.js").read_text())
    browser.set_script_timeout(SECONDS)
    found = browser.execute_async_script("axe.run().then(arguments[arguments.length - 1])")
    assert len(found["passes"]) > 15
    assert {
        violation["id"]: [node["html"][:200] for node in violation["nodes"]]
        for violation in found["violations"]
    } == {}
