"""One step of each model in each precision on one device, and what the device can do at best.

    python one_step.py cpu|gpu          a line of JSON

Inputs, weights and steps are the same on every device, so that what comes out can be compared.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

MODELS = ("cnn", "fast", "sagemaker-cnn")
PRECISIONS = ("float32", "bfloat16", "float16")
BATCH = 64


def main(device: str) -> None:
    """Compute on one device, and print what came out."""
    from trainer.runtime import device as devices
    from trainer.runtime.tensorflow import import_tensorflow

    tf = import_tensorflow(device=device, gpu=0)
    # The CPU's numbers are those that the others are compared with.
    precisions = PRECISIONS if device == "gpu" else PRECISIONS[:1]
    steps = {f"{m} {p}": one_step(tf, m, p) for m in MODELS for p in precisions}
    told: dict[str, Any] = {"device": devices.device_in_use(tf).line, "steps": steps}
    told["flops"] = {model: flops(model) for model in MODELS}
    told["peak"] = peak(tf, large=device == "gpu")
    print(json.dumps(told))


def make(model: str, precision: str) -> tuple[Any, Any]:
    """A model with the weights of a seed, and its hyperparameters."""
    import keras

    from trainer.config.hparams import Hparams
    from trainer.config.job import Job
    from trainer.models import loader, recipes
    from trainer.runtime.precision import POLICIES

    job = recipes.complete(
        Job(hparams=Hparams(model=model, precision=precision, dropout=0.0)), precision=precision
    )
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(POLICIES[precision])
    return loader.load(job.module).keras_model(job.hparams), job.hparams


def one_step(tf: Any, name: str, precision: str) -> dict[str, float]:
    """The loss before a step, the size of its gradients, the loss after it."""
    import numpy as np

    from trainer.training.losses import make_loss
    from trainer.training.optimizers import make_optimizer

    model, hparams = make(name, precision)
    optimizer = make_optimizer(hparams, steps=10, scale=1, scale_steps=0)
    optimizer.build(model.trainable_variables)
    scale = getattr(optimizer, "scale_loss", lambda loss: loss)
    loss_of = make_loss(model, label_smoothing=hparams.label_smoothing)
    random = np.random.default_rng(0)
    images = tf.constant(random.random((BATCH, 28, 28, 1), np.float32))
    labels = tf.constant(np.arange(BATCH) % 10)

    @tf.function(autograph=False)
    def losses() -> Any:
        return tf.reduce_mean(loss_of(labels, model(images, training=True)))

    @tf.function(autograph=False)
    def step() -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            loss = losses()
            scaled = scale(loss)
        gradients = tape.gradient(scaled, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        norm = tf.linalg.global_norm([tf.cast(g, tf.float32) for g in gradients])
        return loss, norm * loss / scaled

    loss, norm = step()
    return {"loss": float(loss), "gradients": float(norm), "after": float(losses())}


def flops(name: str) -> float:
    """Multiplications and additions of one image, forward and backward, of the large layers."""
    import keras

    model, _ = make(name, "float32")
    total = 0.0
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Conv2D):
            height, width = layer.output.shape[1:3]
            total += 2.0 * layer.kernel.shape.num_elements() * height * width
        elif isinstance(layer, keras.layers.Dense):
            total += 2.0 * layer.kernel.shape.num_elements()
    # Backward costs twice as much: by the inputs and by the weights.
    return 3 * total


def peak(tf: Any, *, large: bool) -> dict[str, float]:
    """Operations and bytes a second that are reached by what suits the device best."""
    size, times = (8192, 30) if large else (1024, 3)
    square = tf.random.normal((size, size))
    half = tf.cast(square, tf.bfloat16)
    found = {}
    for name, matrix in (("float32", square), ("bfloat16", half)):
        seconds = timed(lambda matrix=matrix: tf.matmul(matrix, matrix), times)
        found[f"flops_{name}"] = 2 * size**3 / seconds
    seconds = timed(lambda: square + 1.0, times)
    found["bytes"] = 2 * 4 * size**2 / seconds
    return found


def timed(call: Any, times: int) -> float:
    """Seconds of one call among many that are waited for together."""
    call().numpy()
    began = time.perf_counter()
    for _ in range(times):
        last = call()
    # What is computed last is waited for, of it one number.
    float(last[0, 0])
    return (time.perf_counter() - began) / times


if __name__ == "__main__":
    main(sys.argv[1])
