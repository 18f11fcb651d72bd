"""A folder of photos by class, and a small MobileNetV2: images of any size, classes by folder name.

    python examples/photos.py --out data/shapes
    trainer data split data/shapes --out data/parts --validation 0.1 --test 0.1
    trainer train --module examples/photos.py --train data/parts --model-dir runs/shapes/model

Your own folder does as well, `--image-size 160,160` where its photos differ in size. The pictures
written here are made up: circles, squares and triangles.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import keras
import numpy as np

RECIPE = {"batch_size": 32, "learning_rate": 0.003, "schedule": "cosine", "epochs": 20}
HPARAMS = {"alpha": {"default": 0.35, "low": 0.1, "high": 1.4, "help": "width of MobileNetV2"}}
SHAPES = {"circle": 60, "square": 4, "triangle": 3}
SIZE = 96


def keras_model(hparams: Any) -> keras.Model:
    """Build MobileNetV2 without weights of another data set, and one dense layer."""
    image = keras.Input(hparams.input_shape, name="image")
    # It expects pixels from -1 to 1.
    x = keras.layers.Rescaling(2.0, -1.0)(image)
    body = keras.applications.MobileNetV2(
        hparams.input_shape, alpha=hparams.alpha, include_top=False, weights=None, pooling="avg"
    )
    logits = keras.layers.Dense(hparams.classes, dtype="float32", name="logits")(body(x))
    return keras.Model(image, logits, name="photos")


def write(out: Path, count: int) -> None:
    """Write so many JPEGs of each shape, in colours and places of their own."""
    from PIL import Image, ImageDraw

    rng = np.random.default_rng(0)
    for name, corners in SHAPES.items():
        (out / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            dark, bright = (
                tuple(rng.integers(*span, 3).tolist()) for span in ((0, 90), (150, 256))
            )
            picture = Image.new("RGB", (SIZE, SIZE), dark)
            centre, radius = rng.uniform(0.4, 0.6, 2) * SIZE, rng.uniform(0.2, 0.35) * SIZE
            turn = rng.uniform(0, 2 * math.pi)
            angles = turn + 2 * math.pi * np.arange(corners) / corners
            points = centre + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
            ImageDraw.Draw(picture).polygon([tuple(p) for p in points.tolist()], fill=bright)
            picture.save(out / name / f"{number:04}.jpg", quality=90)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--count", type=int, default=400, help="pictures of each class")
    args = parser.parse_args()
    write(args.out, args.count)
    print(args.out)
