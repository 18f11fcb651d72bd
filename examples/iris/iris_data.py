"""Write the Iris data, as scikit-learn has it, to train.csv and test.csv: 120 rows and 30.

python examples/iris/iris_data.py --out data/iris
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split

NAMES = "sepal_length,sepal_width,petal_length,petal_width,species"


def write(out: Path) -> list[Path]:
    """Write both files; the same rows each time, every kind in its share of each."""
    lengths, kinds = load_iris(return_X_y=True)
    rows = np.column_stack([lengths, kinds])
    parts = train_test_split(rows, test_size=30, stratify=kinds, random_state=0)
    out.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, part in zip(("train", "test"), parts, strict=True):
        paths.append(out / f"{name}.csv")
        np.savetxt(paths[-1], part, "%g", delimiter=",", header=NAMES, comments="")
    return paths


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    print(*write(parser.parse_args().out), sep="\n")
