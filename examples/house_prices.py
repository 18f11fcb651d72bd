"""Prices of houses from columns of Parquet files: regression on numbers and a text.

    python examples/house_prices.py --out data/houses
    trainer train --module examples/house_prices.py --train data/houses --test data/houses \
        --metric mean_absolute_error:min --model-dir runs/houses/model

`trainer.load_columns` reads CSV files in the same way. The model asks for its features by their
names: `{"instances": [{"area": 120.0, "age": 8, "city": "Bern"}]}`. The houses are made up.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from trainer import load_columns

TASK = "regression"
RECIPE = {"batch_size": 64, "learning_rate": 0.02, "schedule": "one-cycle", "epochs": 15}
# The price of a square metre, in thousands, and what is lost with each year.
CITIES = {"Basel": 7.0, "Bern": 8.0, "Zürich": 12.0}
LOST = 0.004


def keras_model(hparams: Any) -> keras.Model:
    """Build two dense layers over area, age and the city as one of three."""
    area = keras.Input((), name="area")
    age = keras.Input((), name="age", dtype="int64")
    city = keras.Input((), name="city", dtype="string")
    column = keras.layers.Reshape((1,))
    numbers = [
        keras.layers.Rescaling(1 / 100)(column(area)),
        keras.layers.Rescaling(1 / 50)(column(age)),
    ]
    known = keras.layers.StringLookup(vocabulary=list(CITIES), output_mode="one_hot")(column(city))
    x = keras.layers.Concatenate()([*numbers, known])
    for _ in range(2):
        x = keras.layers.Dense(32, activation="relu")(x)
    price = keras.layers.Dense(1, dtype="float32", name="price")(x)
    return keras.Model({"area": area, "age": age, "city": city}, price, name="house_prices")


def input_fn(paths: Sequence[str], mode: str, batch_size: int, shard: Any, *, seed: Any = 0) -> Any:
    """Read the columns: features by name, and the price in millions."""
    return load_columns(paths, mode, batch_size, shard, label="price", seed=seed)


def write(out: Path) -> list[Path]:
    """Write 4,000 houses to train on and 500 to test on."""
    import pyarrow as pa
    from pyarrow import parquet

    rng = np.random.default_rng(0)
    out.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, count in (("train", 4000), ("test", 500)):
        area, age = rng.uniform(40, 250, count), rng.integers(0, 80, count)
        city = rng.choice(list(CITIES), count)
        price = area * np.vectorize(CITIES.get)(city) * (1 - LOST * age) / 1000
        table = pa.table({"area": area, "age": age, "city": city, "price": price})
        paths.append(out / f"{name}.parquet")
        parquet.write_table(table, paths[-1])
    return paths


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    print(*write(parser.parse_args().out), sep="\n")
