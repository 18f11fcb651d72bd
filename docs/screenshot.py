"""Make the pictures of README and the tutorial, from real runs.

    make screenshot MNIST_DIR=…      # docs/report.png, docs/compare.png, docs/draw.png
    python docs/screenshot.py DATA FOLDER [report|compare|draw …]

It trains the networks of the pages, and needs chromium and chromedriver.
"""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SECONDS = 60
TRAINER = Path(sys.executable).with_name("trainer")
TRAIN = "train --train data/mnist --device cpu"
RUNS = {
    "digits": f"{TRAIN} --model cnn --epochs 3 --eval-every 200 --model-dir runs/digits/model",
    "mnist": f"{TRAIN} --model cnn --model-dir runs/mnist/model",
    "fast": f"{TRAIN} --model fast --model-dir runs/fast/model",
    "careful": f"{TRAIN} --model fast --learning-rate 0.001 --model-dir runs/careful/model",
}
# A seven, from the middle of the pad, in pixels.
STROKES = ((-70, -80), (60, -80), (40, -30), (10, 30), (-10, 90))


def main(data: str, folder: str, *names: str) -> None:
    """Train on MNIST, and take the pictures.

    Args:
        data: The folder of MNIST's files.
        folder: Where the pictures go.
        names: Some of the pictures (default: all).
    """
    pictures = {"report": report, "compare": compare, "draw": draw}
    with tempfile.TemporaryDirectory() as home:
        # The pages show the commands: their paths should be those of README and tutorial.
        (Path(home) / "data").mkdir()
        (Path(home) / "data/mnist").symlink_to(Path(data).resolve())
        for name in names or pictures:
            pictures[name](Path(home), Path(folder) / f"{name}.png")
            print(f"{folder}/{name}.png")


def report(home: Path, picture: Path) -> None:
    """Take a picture of a report: its upper part, and beside it what stands below that."""
    from PIL import Image

    width, height, scale = 1000, 1440, 0.65
    train(home, "digits")
    with browser(width=width, height=2 * height) as driver:
        show_page(driver, home / "runs/digits/report.html")
        take_picture(driver, picture, width=width, height=2 * height, scale=scale)
    whole = Image.open(picture)
    left, right = (
        whole.crop((0, y, whole.width, y + whole.height // 2)) for y in (0, whole.height // 2)
    )
    both = Image.new("RGB", (2 * left.width, left.height), "white")
    both.paste(left, (0, 0))
    both.paste(right, (left.width, 0))
    # 256 colours show charts and grey digits as they are, at a third of the bytes.
    both.quantize(256).save(picture, optimize=True)


def compare(home: Path, picture: Path) -> None:
    """Take a picture of the upper part of the page of the tutorial's three runs."""
    train(home, "mnist", "fast", "careful")
    runs = [f"runs/{name}" for name in ("mnist", "fast", "careful")]
    page = "runs/compare.html"
    subprocess.run([TRAINER, "report", *runs, "--out", page], cwd=home, check=True)
    with browser(width=1000, height=890) as driver:
        show_page(driver, home / page)
        take_picture(driver, picture, width=1000, height=890, scale=0.65)


def draw(home: Path, picture: Path) -> None:
    """Take a picture of the server's page, with a digit drawn on it."""
    train(home, "fast")
    with serve(home, "fast") as url, browser(width=1000, height=540) as driver:
        from selenium.webdriver.common.action_chains import ActionChains

        driver.get(url)
        wait(driver, "return ready")
        chain, pad = ActionChains(driver, duration=20), driver.find_element("id", "pad")
        chain.move_to_element_with_offset(pad, *STROKES[0]).click_and_hold()
        for point in STROKES[1:]:
            chain.move_to_element_with_offset(pad, *point)
        chain.release().perform()
        wait(driver, "return document.querySelector('#bars li.best') !== null")
        take_picture(driver, picture, width=1000, height=540, scale=0.7)


def train(home: Path, *names: str) -> None:
    """Train the runs that are not there yet."""
    for name in names:
        if not (home / "runs" / name).exists():
            subprocess.run([TRAINER, *RUNS[name].split()], cwd=home, check=True)


@contextmanager
def serve(home: Path, name: str) -> Iterator[str]:
    """Serve the model of a run, and give the page's url."""
    command = [str(TRAINER), "serve", "--model-dir", f"runs/{name}/model", "--port", "0"]
    process = subprocess.Popen(command, cwd=home, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        port = next(m[1] for m in (re.search(r"at port (\d+)", line) for line in lines) if m)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.communicate(timeout=SECONDS)


@contextmanager
def browser(*, width: int, height: int) -> Iterator[Any]:
    """Start a browser without a window, in light colours."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-gpu"):
        options.add_argument(f"--{argument}")
    driver = webdriver.Chrome(
        options=options, service=webdriver.ChromeService(shutil.which("chromedriver"))
    )
    try:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": True}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        yield driver
    finally:
        driver.quit()


def show_page(driver: Any, page: Path) -> None:
    """Open a page of a run, and wait until its charts are drawn."""
    driver.get(page.as_uri())
    wait(driver, "return document.documentElement.dataset.drawn === 'light'")


def wait(driver: Any, script: str) -> None:
    """Wait until a script of the page returns true."""
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(driver, SECONDS).until(lambda _: driver.execute_script(script))


def take_picture(driver: Any, picture: Path, *, width: int, height: int, scale: float) -> None:
    """Write the upper part of what the browser shows as a PNG."""
    clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": scale}
    shot = driver.execute_cdp_cmd(
        "Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip}
    )
    picture.write_bytes(base64.b64decode(shot["data"]))


if __name__ == "__main__":
    main(*sys.argv[1:])
