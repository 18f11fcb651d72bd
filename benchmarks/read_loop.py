"""The loop in which input is measured: compiled, as that of training is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainer.data import Feed


def read_rate(
    tf: Any,
    *,
    feed: Feed | None,
    iterator: Iterator[Any] | None,
    batch: int,
    steps: int,
    examples: int,
    epochs: int,
) -> float:
    """Return how many examples are read in a second of the processor, after an epoch not counted.

    Args:
        tf: TensorFlow.
        feed: Of batches of images and labels.
        iterator: Over them where there is no feed.
        batch: Examples in a batch.
        steps: Batches in a call of the compiled loop.
        examples: Those of an epoch.
        epochs: How many epochs are counted.
    """

    # It uses images and labels, so that neither is optimised away.
    @tf.function(
        autograph=False,
        input_signature=[feed.spec, tf.TensorSpec((), tf.int32)] if feed else None,
    )
    def read(source: Any, steps: Any) -> Any:
        def body(step: Any, total: Any) -> Any:
            rows = feed.batch(*(rows[step] for rows in source)) if feed else next(source)
            images, labels = rows
            used = tf.reshape(images, (batch, -1))[0, 0] + tf.cast(labels[0], tf.float32)
            return step + 1, total + used

        return tf.while_loop(lambda step, _: step < steps, body, (0, 0.0))[1]

    def run(epochs: int) -> float:
        start = time.process_time()
        left = total = epochs * examples // batch
        while left:
            count = min(left, steps, feed.most if feed else steps)
            read(feed.take(count) if feed else iterator, tf.constant(count))
            left -= count
        return total * batch / (time.process_time() - start)

    run(1)
    return run(epochs)
