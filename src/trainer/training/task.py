"""The task of a model: its loss and its score, by the form of labels and outputs.

| labels | outputs | task |
| --- | --- | --- |
| integers [n, …] or [n, …, 1] | [n, …, classes] | classification, sparse labels |
| integers or floats [n, …, classes] | the same shape | classification, one-hot rows |
| integers [n] or [n, 1] | [n] or [n, 1] | classification of two, one logit |
| floats, and `TASK = "regression"` | the same shape, but for a last 1 | regression |
| anything, and a `loss_fn` | anything | that of the function |
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from trainer.models import ModelModule
from trainer.training.losses import make_logit, make_logits, make_loss, mean_of_rows
from trainer.training.run_state import ACCURACY as ACCURACY

# The score of a regression.
ERROR = "mean_absolute_error"


class Task:
    """Classification of integer labels; a subclass for each other task.

    Args:
        model: The model that is trained.

    Attributes:
        score: The name of the figure besides the loss; None if there is none.
    """

    score: str | None = ACCURACY

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._to_logits = make_logits(model)

    def losses(
        self, labels: Any, outputs: Any, weights: Any = None, *, smoothing: float = 0.0
    ) -> tf.Tensor:
        """Return the loss of each example, float32 [n].

        Args:
            labels: A batch of them.
            outputs: Of the model.
            weights: Of the examples, by which the losses are multiplied; None for 1.
            smoothing: Share of each label's weight that is spread over all classes.
        """
        rows = mean_of_rows(self._losses(self.aligned(labels, outputs), outputs, smoothing))
        return rows if weights is None else rows * as_weights(weights)

    def scores(self, labels: Any, outputs: Any) -> tf.Tensor:
        """Return the score of each example, float32 [n]; zeros if there is none."""
        return mean_of_rows(self._scores(self.aligned(labels, outputs), outputs))

    def sum_of_scores(self, labels: Any, outputs: Any) -> tf.Tensor:
        """Return the sum of the scores of an evaluation's batch, a float32 scalar."""
        labels = self.aligned(labels, outputs)
        found = tf.argmax(outputs, axis=-1, output_type=tf.int32)
        if labels.shape.rank != 1:
            return tf.reduce_sum(self.scores(labels, outputs))
        return tf.math.count_nonzero(found == tf.cast(labels, tf.int32), dtype=tf.float32)

    def aligned(self, labels: Any, outputs: Any) -> Any:
        """Return labels in the shape that losses and metrics take."""
        if labels.shape.rank == outputs.shape.rank and labels.shape.rank > 1:
            labels = tf.squeeze(labels, axis=-1)
        return labels if labels.dtype in (tf.int32, tf.int64) else tf.cast(labels, tf.int32)

    def choices(self, labels: Any, outputs: Any) -> tuple[tf.Tensor, tf.Tensor] | None:
        """Return classes, int [n], and logits, float32 [n, classes], for a report.

        Returns:
            None where an example has not one class of several.
        """
        labels = self.aligned(labels, outputs)
        if labels.shape.rank != 1 or outputs.shape.rank != 2 or not labels.dtype.is_integer:
            return None
        return (labels, self._to_logits(outputs)) if (outputs.shape[-1] or 0) > 1 else None

    def _losses(self, labels: Any, outputs: Any, smoothing: float) -> tf.Tensor:
        return make_loss(self._model, label_smoothing=smoothing)(labels, outputs)

    def _scores(self, labels: Any, outputs: Any) -> tf.Tensor:
        """Return 1 for each example whose class the model finds, else 0."""
        if outputs.shape.rank == 2 and labels.shape.rank == 1:
            # One operation in place of three.
            found = tf.math.in_top_k(tf.cast(labels, tf.int32), tf.cast(outputs, tf.float32), k=1)
        else:
            classes = tf.argmax(outputs, axis=-1, output_type=tf.int32)
            found = tf.equal(classes, tf.cast(labels, tf.int32))
        return tf.cast(found, tf.float32)


class OneHotTask(Task):
    """Classification of rows with a share for each class."""

    def aligned(self, labels: Any, outputs: Any) -> Any:
        return labels

    def sum_of_scores(self, labels: Any, outputs: Any) -> tf.Tensor:
        return tf.reduce_sum(self.scores(labels, outputs))

    def choices(self, labels: Any, outputs: Any) -> tuple[tf.Tensor, tf.Tensor] | None:
        if outputs.shape.rank != 2:
            return None
        return tf.argmax(labels, axis=-1, output_type=tf.int32), self._to_logits(outputs)

    def _losses(self, labels: Any, outputs: Any, smoothing: float) -> tf.Tensor:
        targets = tf.cast(labels, tf.float32)
        if smoothing:
            targets = targets * (1 - smoothing) + smoothing / outputs.shape[-1]
        return tf.nn.softmax_cross_entropy_with_logits(targets, self._to_logits(outputs))

    def _scores(self, labels: Any, outputs: Any) -> tf.Tensor:
        return tf.cast(tf.equal(tf.argmax(labels, -1), tf.argmax(outputs, -1)), tf.float32)


class BinaryTask(Task):
    """Classification of two classes by one logit, or by one probability of a sigmoid."""

    def __init__(self, model: keras.Model) -> None:
        super().__init__(model)
        self._to_logit = make_logit(model)

    def aligned(self, labels: Any, outputs: Any) -> Any:
        return tf.reshape(labels, tf.shape(outputs))

    def sum_of_scores(self, labels: Any, outputs: Any) -> tf.Tensor:
        return tf.reduce_sum(self.scores(labels, outputs))

    def choices(self, labels: Any, outputs: Any) -> tuple[tf.Tensor, tf.Tensor] | None:
        logit = self._to_logit(outputs)
        classes = tf.cast(tf.reshape(labels, [-1]), tf.float32) > 0.5
        return tf.cast(classes, tf.int32), tf.stack([tf.zeros_like(logit), logit], axis=-1)

    def _losses(self, labels: Any, outputs: Any, smoothing: float) -> tf.Tensor:
        targets = tf.cast(tf.reshape(labels, [-1]), tf.float32)
        targets = targets * (1 - smoothing) + smoothing / 2 if smoothing else targets
        return tf.nn.sigmoid_cross_entropy_with_logits(targets, self._to_logit(outputs))

    def _scores(self, labels: Any, outputs: Any) -> tf.Tensor:
        is_second = tf.cast(tf.reshape(labels, [-1]), tf.float32) > 0.5
        return tf.cast(tf.equal(self._to_logit(outputs) > 0, is_second), tf.float32)


class RegressionTask(Task):
    """Numbers near the labels: the mean squared error, and the mean absolute one to look at."""

    score = ERROR

    def aligned(self, labels: Any, outputs: Any) -> Any:
        return tf.reshape(tf.cast(labels, tf.float32), tf.shape(outputs))

    def sum_of_scores(self, labels: Any, outputs: Any) -> tf.Tensor:
        return tf.reduce_sum(self.scores(labels, outputs))

    def choices(self, labels: Any, outputs: Any) -> None:
        return None

    def _losses(self, labels: Any, outputs: Any, smoothing: float) -> tf.Tensor:
        return tf.square(tf.cast(outputs, tf.float32) - labels)

    def _scores(self, labels: Any, outputs: Any) -> tf.Tensor:
        return tf.abs(tf.cast(outputs, tf.float32) - labels)


class OwnTask(Task):
    """The loss of a module's `loss_fn`, of any structure of labels and outputs.

    Args:
        model: The model that is trained.
        loss_fn: Returns the loss of each example, or one loss of the batch.
        like: The task whose score fits labels and outputs; None if none does.
    """

    def __init__(self, model: keras.Model, loss_fn: Any, like: Task | None) -> None:
        super().__init__(model)
        self._loss_fn, self._like = loss_fn, like
        self.score = like.score if like else None

    def losses(
        self, labels: Any, outputs: Any, weights: Any = None, *, smoothing: float = 0.0
    ) -> tf.Tensor:
        values = tf.cast(self._loss_fn(labels, outputs, weights), tf.float32)
        if values.shape.rank == 0:
            # It counts for each example, so that batches of other sizes count as they should.
            return tf.fill([rows_of(labels)], values)
        return mean_of_rows(values)

    def scores(self, labels: Any, outputs: Any) -> tf.Tensor:
        return self._like.scores(labels, outputs) if self._like else tf.zeros([rows_of(labels)])

    def sum_of_scores(self, labels: Any, outputs: Any) -> tf.Tensor:
        return self._like.sum_of_scores(labels, outputs) if self._like else tf.constant(0.0)

    def aligned(self, labels: Any, outputs: Any) -> Any:
        return self._like.aligned(labels, outputs) if self._like else labels

    def choices(self, labels: Any, outputs: Any) -> tuple[tf.Tensor, tf.Tensor] | None:
        return self._like.choices(labels, outputs) if self._like else None


def task_of(module: ModelModule, model: keras.Model, labels: Any, outputs: Any) -> Task:
    """Return the task that a module's labels and its model's outputs make.

    Args:
        module: The module, which may say what it is for.
        model: Its model.
        labels: A structure of specs or tensors of a batch.
        outputs: The same of the model's outputs.

    Raises:
        UserError: They do not fit each other, or need a word of the module.
    """
    # Imported here, as the messages of each mistake are many lines.
    from trainer.training import task_forms

    if module.is_builtin:
        return Task(model)
    if module.loss_fn:
        kind = task_forms.form_of(module, labels, outputs)
        like = kind and _TASKS[kind](model)
        return OwnTask(model, module.loss_fn, like or None)
    return _TASKS[task_forms.checked_form(module, model, labels, outputs)](model)


def as_weights(weights: Any) -> tf.Tensor:
    """Return the weights of examples, [n] or [n, 1], as float32 [n]."""
    return tf.reshape(tf.cast(weights, tf.float32), [-1])


def rows_of(batch: Any) -> tf.Tensor:
    """Return the number of examples in a batch, an int32 scalar."""
    first = tf.nest.flatten(batch)[0]
    if isinstance(first, tf.RaggedTensor):
        return tf.cast(first.nrows(), tf.int32)
    return tf.shape(first)[0]


_TASKS: dict[str, type[Task]] = {
    "sparse": Task,
    "one-hot": OneHotTask,
    "binary": BinaryTask,
    "regression": RegressionTask,
}
