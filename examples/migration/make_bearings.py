"""Write readings of bearings: TFRecords to train on and to evaluate, and windows to ask about.

python examples/migration/make_bearings.py --out data/bearings
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import tensorflow as tf

WINDOW = 64
# Healthy, unbalanced, worn: the share of a slow wave, and of short knocks, in the noise.
STATES = ((0.1, 0.0), (0.7, 0.0), (0.1, 1.5))


def windows(state: int, count: int, random: np.random.Generator) -> np.ndarray:
    """Draw readings of one state.

    Returns:
        Float32 [count, WINDOW].
    """
    wave, knocks = STATES[state]
    phase = random.uniform(0, 2 * np.pi, (count, 1))
    turns = np.sin(phase + np.arange(WINDOW) * 2 * np.pi / 21)
    hits = (np.arange(WINDOW) + random.integers(0, 8, (count, 1))) % 8 == 0
    noise = random.normal(0, 0.75, (count, WINDOW))
    return np.float32(wave * turns + knocks * hits + noise)


def write(path: Path, each: int, seed: int) -> None:
    """Write one file with as many windows of each state."""
    random = np.random.default_rng(seed)
    labels = random.permutation(np.repeat(range(len(STATES)), each))
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as file:
        for label in labels:
            fields = {
                "window": tf.train.Feature(
                    float_list=tf.train.FloatList(value=windows(label, 1, random)[0])
                ),
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
            }
            example = tf.train.Example(features=tf.train.Features(feature=fields))
            file.write(example.SerializeToString())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    out = parser.parse_args().out
    write(out / "train/train.tfrecords", 600, 1)
    write(out / "eval/eval.tfrecords", 200, 2)
    asked = [windows(state, 1, np.random.default_rng(3)) for state in range(len(STATES))]
    np.save(out / "windows.npy", np.concatenate(asked))
