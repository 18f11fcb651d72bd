"""Texts in two classes, from a CSV file: strings go into the model, and into the served one.

    python examples/reviews.py --out data/reviews
    trainer train --module examples/reviews.py --train data/reviews --model-dir runs/reviews/model

The served model takes texts as they are: `{"instances": [{"text": "what a lovely film"}]}`. The
reviews are made up.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from trainer import load_columns

RECIPE = {"batch_size": 64, "learning_rate": 0.02, "schedule": "one-cycle", "epochs": 4}
GOOD = ("lovely", "great", "moving", "funny", "clever")
BAD = ("dull", "awful", "slow", "silly", "boring")
OTHER = ("a", "film", "the", "story", "was", "and", "what", "it", "quite", "rather", "so", "not")
LONGEST = 16


def keras_model(hparams: Any) -> keras.Model:
    """Build a bag of embedded words, and one dense layer."""
    text = keras.Input((), name="text", dtype="string")
    # The vocabulary is part of the model: whoever serves it needs no file beside it.
    words = keras.layers.TextVectorization(
        output_sequence_length=LONGEST, vocabulary=[*GOOD, *BAD, *OTHER]
    )(text)
    x = keras.layers.Embedding(len(GOOD + BAD + OTHER) + 2, 16)(words)
    x = keras.layers.GlobalAveragePooling1D()(x)
    return keras.Model({"text": text}, keras.layers.Dense(2, dtype="float32")(x), name="reviews")


def input_fn(paths: Sequence[str], mode: str, batch_size: int, shard: Any, *, seed: Any = 0) -> Any:
    """Read the column of texts, and the labels."""
    return load_columns(paths, mode, batch_size, shard, label="label", seed=seed)


def write(out: Path) -> list[Path]:
    """Write 2,000 reviews to train on and 400 to test on."""
    rng = np.random.default_rng(0)
    out.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, count in (("train", 2000), ("test", 400)):
        paths.append(out / f"{name}.csv")
        with paths[-1].open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["text", "label"])
            for label in rng.integers(0, 2, count).tolist():
                words = [*rng.choice(OTHER, 8), *rng.choice((BAD, GOOD)[label], 2)]
                rows.writerow([" ".join(rng.permutation(words)), label])
    return paths


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    print(*write(parser.parse_args().out), sep="\n")
