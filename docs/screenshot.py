"""Make docs/report.png, the picture in the README, from a real run.

    make screenshot MNIST_DIR=…      # trains the CNN, and takes a picture of the run's report.html

It needs chromium and chromedriver.
"""

from __future__ import annotations

import base64
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

WIDTH, HEIGHT, SCALE, SECONDS = 1000, 1920, 0.65, 60


TRAIN = (
    "train --model cnn --train data/mnist --epochs 3 --eval-every 200 --device cpu "
    "--model-dir runs/mnist/model"
)


def main(data: str, picture: str) -> None:
    """Train on MNIST, and take a picture of the report.

    Args:
        data: The folder of MNIST's files.
        picture: The path of the PNG to write.
    """
    trainer = Path(sys.executable).with_name("trainer")
    with tempfile.TemporaryDirectory() as folder:
        # The page shows the command: its paths should be those of the README.
        (Path(folder) / "data").mkdir()
        (Path(folder) / "data/mnist").symlink_to(Path(data).resolve())
        subprocess.run([trainer, *TRAIN.split()], cwd=folder, check=True)
        take_picture(Path(folder) / "runs/mnist/report.html", Path(picture))


def take_picture(page: Path, picture: Path) -> None:
    """Take a picture of the upper part of a page, in light colours.

    Args:
        page: A report.
        picture: The path of the PNG to write.
    """
    from selenium import webdriver
    from selenium.webdriver.support.ui import WebDriverWait

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-gpu"):
        options.add_argument(f"--{argument}")
    driver = webdriver.Chrome(
        options=options, service=webdriver.ChromeService(shutil.which("chromedriver"))
    )
    try:
        size = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": True}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        driver.get(page.as_uri())
        drawn = "return document.documentElement.dataset.drawn"
        WebDriverWait(driver, SECONDS).until(lambda _: driver.execute_script(drawn) == "light")
        clip = {"x": 0, "y": 0, "width": WIDTH, "height": HEIGHT, "scale": SCALE}
        shot = driver.execute_cdp_cmd(
            "Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip}
        )
        picture.write_bytes(base64.b64decode(shot["data"]))
    finally:
        driver.quit()


if __name__ == "__main__":
    main(*sys.argv[1:])
