"""The page at `/`, in a real browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from servers import SECONDS, Server


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
def page(browser, server: Server):
    """The page, when it knows its model."""
    browser.get(f"http://127.0.0.1:{server.port}/")
    wait(browser, lambda: browser.execute_script("return ready"))
    yield browser
    problems = [entry["message"] for entry in browser.get_log("browser")]
    # A browser asks for an icon that nobody has.
    assert [p for p in problems if "favicon" not in p] == []


def wait(browser, condition):
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, SECONDS).until(lambda _: condition())


def shares(page) -> list[float]:
    """The ten percentages that are shown; empty as long as there are none."""
    texts = [e.text for e in page.find_elements("css selector", "#bars li > span:last-child")]
    return [float(text.removesuffix(" %")) for text in texts] if all(texts) else []


def best(page) -> str:
    return page.find_element("css selector", "#bars li.best > span").text


def draw(page, *points: tuple[int, int]) -> None:
    """Draw a line, from the middle of the pad."""
    from selenium.webdriver.common.action_chains import ActionChains

    chain = ActionChains(page, duration=20)
    pad = page.find_element("id", "pad")
    chain.move_to_element_with_offset(pad, *points[0]).click_and_hold()
    for point in points[1:]:
        chain.move_to_element_with_offset(pad, *point)
    chain.release().perform()


def test_a_page_takes_pictures_of_the_models_size_and_names_its_classes(page):
    """By a stub of the server's answers, as its model is one of digits."""
    page.execute_script(STUB)
    assert wait(page, lambda: page.execute_script("return ready && names.length"))
    draw(page, (0, -60), (0, 60))
    assert wait(page, lambda: shares(page)) == [10.0, 90.0]
    assert best(page) == "big dog"
    assert page.execute_script("return [pad.width, pad.height]") == [280, 140]
    size = page.execute_script("return [asked.length, asked[0].length, asked[0][0].length]")
    assert size == [20, 40, 3]


# Answers of a server whose model tells cats from dogs in pictures of 20×40 in colour.
STUB = """
const dims = [-1, 20, 40, 3].map(size => ({ size }));
const inputs = { image_input: { tensor_shape: { dim: dims } } };
const metadata = {
  signature_def: { signature_def: { serving_default: { inputs } } },
  class_names: ["cat", "big dog"],
};
window.asked = null;
window.fetch = async (path, request) => {
  if (request) asked = JSON.parse(request.body).instances[0];
  const answer = request ? { predictions: [{ probabilities: [.1, .9] }] } : { metadata };
  return { ok: true, json: async () => answer };
};
choose();
"""


def test_a_digit_that_is_drawn_is_recognized(page):
    assert shares(page) == []
    draw(page, (0, -100), (0, 100))
    assert len(wait(page, lambda: shares(page))) == 10
    wait(page, lambda: best(page) == "1")
    assert sum(shares(page)) == pytest.approx(100, abs=1)
    page.find_element("id", "clear").click()
    assert shares(page) == []
    draw(page, (-70, -90), (70, -90), (-20, 100))
    wait(page, lambda: shares(page) and best(page) == "7")


@pytest.mark.parametrize("paper", ["white", "black"])
def test_an_image_that_is_chosen_is_recognized(page, tmp_path: Path, paper: str):
    import tensorflow as tf

    image = np.zeros((120, 80, 3), np.uint8)
    image[10:110, 34:46] = 255
    if paper == "white":
        image = 255 - image
    path = tmp_path / "one.png"
    path.write_bytes(tf.io.encode_png(image).numpy())
    page.find_element("id", "file").send_keys(str(path))
    wait(page, lambda: shares(page) and best(page) == "1")


def test_an_image_that_is_dropped_is_recognized(page):
    page.execute_script(
        """
        const canvas = new OffscreenCanvas(60, 60), pen = canvas.getContext("2d");
        pen.fillStyle = "#fff"; pen.fillRect(26, 5, 6, 50);
        canvas.convertToBlob().then(blob => {
          const files = new DataTransfer();
          files.items.add(new File([blob], "one.png", { type: "image/png" }));
          pad.dispatchEvent(new DragEvent(
            "drop", { dataTransfer: files, bubbles: true, cancelable: true }));
        });
        """
    )
    wait(page, lambda: shares(page) and best(page) == "1")


def test_a_file_that_is_no_image_is_reported(page, tmp_path: Path):
    path = tmp_path / "words.txt"
    path.write_text("words")
    page.find_element("id", "file").send_keys(str(path))
    wait(page, lambda: "no image" in page.find_element("id", "message").text)
