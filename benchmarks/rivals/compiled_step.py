"""Images per CPU-second of a bare compiled training step: what is left when no loop costs anything.

    python -m benchmarks.rivals.compiled_step --precision bfloat16 --batch 128
        [--model-fn benchmarks.rivals.compiled_step:small_net] [--steps 200] [--repeats 5]

Many steps run inside one tf.function call, over slices of tensors already in memory; no metrics, no
callbacks, no shuffling. `--model-fn` names a function that takes no arguments and returns a Keras
model from (n, 28, 28, 1) images to logits; from Python, `images_per_cpu_second` takes any function
and any optimizer. Images and labels are random: they do not change what a step costs.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import time
from collections.abc import Callable

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


def _two_convolutions(
    first: tuple[int, int], second: tuple[int, int], dense: int, padding: str = "valid"
) -> keras.Model:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(*first, padding=padding),
            layers.MaxPooling2D(2),
            layers.ReLU(),
            layers.Conv2D(*second, padding=padding),
            layers.MaxPooling2D(2),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(dense, activation="relu"),
            layers.Dense(10),
        ]
    )


def small_net() -> keras.Model:
    return _two_convolutions((16, 5), (32, 3), 128)


def fast_net() -> keras.Model:
    return _two_convolutions((24, 5), (32, 3), 256)


def wide_net() -> keras.Model:
    """The net of TensorFlow's old "deep MNIST" tutorial: 'same' padding, so 7 × 7 × 64 features."""
    return _two_convolutions((32, 5), (64, 5), 1024, padding="same")


def adam() -> keras.optimizers.Optimizer:
    return keras.optimizers.Adam(0.001)


def images_per_cpu_second(
    model_fn: Callable[[], keras.Model],
    optimizer_fn: Callable[[], keras.optimizers.Optimizer] = adam,
    *,
    precision: str = "float32",
    batch: int = 128,
    steps: int = 200,
    repeats: int = 5,
) -> float:
    """Returns the median over `repeats` calls of `steps` training steps each.

    Args:
        model_fn: makes the model, which returns logits for ten classes.
        optimizer_fn: makes the optimizer.
        precision: "float32", or "bfloat16" for bfloat16 arithmetic on float32 weights.
        batch: images in a step.
        steps: steps in a call.
        repeats: timed calls, after one that compiles and is not timed.
    """
    earlier = keras.config.dtype_policy()
    keras.config.set_dtype_policy(POLICIES[precision])
    try:
        model, optimizer = model_fn(), optimizer_fn()
    finally:
        keras.config.set_dtype_policy(earlier)
    optimizer.build(model.trainable_variables)
    rng = np.random.default_rng(0)
    # A few batches taken in turn: reading them costs what it does in a real epoch, slice by slice.
    images = tf.constant(rng.standard_normal((64 * batch, 28, 28, 1), np.float32))
    labels = tf.constant(rng.integers(0, 10, 64 * batch))

    @tf.function
    def train(images: tf.Tensor, labels: tf.Tensor) -> None:
        for step in tf.range(steps):
            start = step % 64 * batch
            with tf.GradientTape() as tape:
                logits = model(images[start : start + batch], training=True)
                loss = tf.reduce_mean(
                    tf.nn.sparse_softmax_cross_entropy_with_logits(
                        labels[start : start + batch], tf.cast(logits, tf.float32)
                    )
                )
            variables = model.trainable_variables
            optimizer.apply(tape.gradient(loss, variables), variables)

    train(images, labels)
    rates = []
    for _ in range(repeats):
        begin = time.process_time()
        train(images, labels)
        rates.append(steps * batch / (time.process_time() - begin))
    return statistics.median(rates)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model-fn", default="benchmarks.rivals.compiled_step:small_net")
    parser.add_argument("--precision", choices=list(POLICIES), default="float32")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    module, _, name = args.model_fn.partition(":")
    rate = images_per_cpu_second(
        getattr(importlib.import_module(module), name),
        precision=args.precision,
        batch=args.batch,
        steps=args.steps,
        repeats=args.repeats,
    )
    result = {
        "rival": "bare compiled step",
        "model_fn": args.model_fn,
        "precision": args.precision,
        "batch": args.batch,
        "images_per_cpu_second": round(rate),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
