"""Training on folders of pictures: in memory and streamed, of one size or resized, and damaged."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from processes import trainer

pytestmark = pytest.mark.tensorflow

CLASSES = ("ant", "bee", "cow")
FAST = ("--model", "fast", "--steps", "40", "--batch-size", "32", "--learning-rate", "0.01")


def put_bars(folder: Path, *, count: int, suffix: str, sizes: tuple[int, ...], seed: int) -> None:
    """Write noise with a bright bar at a height of each class, into a folder for each."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        label, size = i % len(CLASSES), sizes[i % len(sizes)]
        pixels = rng.integers(0, 60, (size, size), np.uint8)
        pixels[label * size // 3 : label * size // 3 + size // 5] = 255
        path = folder / CLASSES[label] / f"{i}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)


def metrics_of(folder: Path, *options: str) -> dict:
    """Train, and return metrics.json."""
    ran = trainer(
        "train", "--train", str(folder), *options, "--job-dir", str(folder.parent / "job")
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return json.loads((folder.parent / "job/metrics.json").read_text())


def last_line(*argv: str) -> str:
    ran = trainer("train", *argv)
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr
    return ran.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("cache", ["1024", "0"])
def test_a_folder_of_pngs_trains_in_memory_and_streamed(tmp_path: Path, cache: str):
    data = tmp_path / "data"
    put_bars(data / "train", count=300, suffix=".png", sizes=(28,), seed=0)
    put_bars(data / "test", count=60, suffix=".png", sizes=(28,), seed=1)
    metrics = metrics_of(data, *FAST, "--cache-mb", cache)
    assert metrics["data"]["train"]["kind"] == "images"
    assert metrics["data"]["train"]["examples"] == 300
    assert metrics["data"]["test"]["examples"] == 60
    assert metrics["test_accuracy"] > 0.9


def test_a_damaged_picture_is_one_line_and_code_2(tmp_path: Path):
    put_bars(tmp_path / "train", count=30, suffix=".png", sizes=(28,), seed=0)
    put_bars(tmp_path / "test", count=6, suffix=".png", sizes=(28,), seed=0)
    bad = tmp_path / "train" / "bee" / "4.png"
    bad.write_bytes(bad.read_bytes()[:200])
    job = ("--job-dir", str(tmp_path / "job"), *FAST)
    line = last_line("--train", str(tmp_path), *job)
    assert line.startswith(f"trainer: error: {bad}: damaged PNG (it is cut short: 200 bytes")
    assert metrics_of(tmp_path, *FAST, "--skip-corrupt", "1")["data"]["train"]["examples"] == 29


@pytest.mark.parametrize("cache", ["1024", "0"])
def test_jpegs_of_several_sizes_train_as_one(tmp_path: Path, cache: str):
    data = tmp_path / "data"
    put_bars(data / "train", count=300, suffix=".jpg", sizes=(60, 85, 40), seed=0)
    put_bars(data / "val", count=60, suffix=".jpg", sizes=(50, 32), seed=1)
    metrics = metrics_of(data, *FAST, "--image-size", "32,32", "--cache-mb", cache)
    assert metrics["test_accuracy"] > 0.9
    assert metrics["class_names"] == list(CLASSES)


def test_pictures_of_several_sizes_are_one_line_and_code_2(tmp_path: Path):
    put_bars(tmp_path / "train", count=30, suffix=".jpg", sizes=(40, 50), seed=0)
    put_bars(tmp_path / "test", count=6, suffix=".jpg", sizes=(40, 50), seed=0)
    line = last_line("--train", str(tmp_path), *FAST, "--job-dir", str(tmp_path / "job"))
    assert "pictures differ in size" in line
    assert line.endswith("resize them all: --image-size H,W")
