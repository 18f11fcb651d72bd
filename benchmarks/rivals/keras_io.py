"""Time to 99.0 % test accuracy of keras.io's "Simple MNIST convnet".

    python -m benchmarks.rivals.keras_io --data DIR --seed 0 [--max-epochs 15]

The recipe of https://keras.io/examples/vision/mnist_convnet/: Keras `fit`, float32, Adam with its
default settings, batch 128, a tenth of the training images held out for validation. Added here: the
test set is scored after each epoch, and training stops at the target.

Not counted: imports, reading the files, tracing, the validation inside `fit`, the test.
`warm_up_cpu_seconds` is what tracing and the first few steps took before the clock started.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf

from .data import load_mnist

TARGET = 0.99
BATCH = 128


def build_model() -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Conv2D(64, 3, activation="relu"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    return model


class TrainingClock(keras.callbacks.Callback):
    """Adds up the CPU time `fit` spends on training, and scores the test set after each epoch."""

    def __init__(self, x_test: np.ndarray, y_test: np.ndarray) -> None:
        super().__init__()
        self._test = (x_test, y_test)
        self._started = 0.0
        self.cpu_seconds = 0.0
        self.accuracies: list[float] = []

    def start(self) -> None:
        self._started = time.process_time()

    def on_test_begin(self, logs: dict | None = None) -> None:
        # `fit` opens its validation pass here, when the last training step of the epoch is done.
        self.cpu_seconds += time.process_time() - self._started

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        # This inner evaluate() is not given the callbacks of fit(), so on_test_begin stays silent.
        _, accuracy = self.model.evaluate(*self._test, batch_size=1000, verbose=0)
        self.accuracies.append(round(float(accuracy), 4))
        if self.accuracies[-1] >= TARGET:
            self.model.stop_training = True
        self.start()


def warm_up(model: keras.Model, x: np.ndarray, y: np.ndarray) -> float:
    """Traces the training and validation functions, then puts the state back as it was.

    The traced functions belong to the model, so throw-away weights have to live in the same model.
    """
    begin = time.process_time()
    model.optimizer.build(model.trainable_variables)
    variables = [*model.variables, *model.optimizer.variables]
    before = [keras.ops.convert_to_numpy(variable) for variable in variables]
    model.fit(x, y, batch_size=BATCH, epochs=1, validation_split=0.1, verbose=0)
    for variable, value in zip(variables, before, strict=True):
        variable.assign(value)
    return time.process_time() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max-epochs", type=int, default=15)
    args = parser.parse_args()

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    mnist = load_mnist(args.data)
    x_train = mnist.train_images[..., None].astype("float32") / 255
    x_test = mnist.test_images[..., None].astype("float32") / 255
    y_train = keras.utils.to_categorical(mnist.train_labels, 10)
    y_test = keras.utils.to_categorical(mnist.test_labels, 10)

    keras.utils.set_random_seed(args.seed)
    model = build_model()
    # 1000 leaves a short last batch too, as the full set does.
    warm_up_seconds = warm_up(model, x_train[:1000], y_train[:1000])
    keras.utils.set_random_seed(args.seed)
    clock = TrainingClock(x_test, y_test)
    clock.start()
    model.fit(
        x_train,
        y_train,
        batch_size=BATCH,
        epochs=args.max_epochs,
        validation_split=0.1,
        callbacks=[clock],
        verbose=0,
    )
    result = {
        "rival": "keras.io simple_mnist_convnet",
        "seed": args.seed,
        "train_cpu_seconds": round(clock.cpu_seconds, 2),
        "warm_up_cpu_seconds": round(warm_up_seconds, 2),
        "epochs": len(clock.accuracies),
        "test_accuracy": clock.accuracies[-1],
        "test_accuracies": clock.accuracies,
        "reached": clock.accuracies[-1] >= TARGET,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
