"""The task, metrics and goal of a run, from its module, its model and the form of its data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from trainer.config import Job, MetricGoal, UserError
from trainer.models import ModelModule, describe, inputs_of
from trainer.training.metric_goal import goal_of
from trainer.training.metrics import ModuleMetrics, metrics_of
from trainer.training.task import Task, task_of


@dataclass(frozen=True, kw_only=True)
class RunTask:
    """The figures of a run, computed of labels and the model's outputs.

    Attributes:
        task: Its losses and scores.
        metrics: The metrics of its module.
        goal: The figure by which the best model is chosen.
    """

    task: Task
    metrics: ModuleMetrics
    goal: MetricGoal


def run_task_of(job: Job, module: ModelModule, model: keras.Model, spec: Any) -> RunTask:
    """Return the task, metrics and goal of a run.

    Args:
        job: Names the metric.
        module: The model module.
        model: Its model.
        spec: Of a batch: features, labels and perhaps weights.

    Raises:
        UserError: Labels, outputs, metrics and the job do not fit each other.
    """
    if module.is_builtin:
        task, metrics = Task(model), metrics_of(module)
    else:
        labels, outputs = spec[1], outputs_of(model, spec[0])
        task, metrics = task_of(module, model, labels, outputs), metrics_of(module)
        if metrics.names:
            some_labels, some_outputs = (
                tf.nest.map_structure(_zeros, each) for each in (labels, outputs)
            )
            try:
                metrics.build(task.aligned(some_labels, some_outputs), some_outputs)
            except Exception as error:
                raise UserError(
                    subject=f"metrics of {module.name}",
                    problem=f"they do not take the labels and outputs: {describe(error)}",
                ) from error
    score = [] if task.score is None else [task.score]
    names = list(dict.fromkeys(("loss", *score, *metrics.names)))
    if job.target_accuracy is not None and task.score != "accuracy":
        raise UserError(
            subject=f"--target-accuracy {job.target_accuracy:g}",
            problem=f"the task of --module {module.name} has no accuracy",
            remedy="leave it out",
        )
    return RunTask(task=task, metrics=metrics, goal=goal_of(job.metric, names))


def outputs_of(model: keras.Model, features: Any) -> Any:
    """Return the specs of a model's outputs, as it gives them.

    Args:
        model: The model.
        features: The specs of a batch of features.
    """
    if inputs_of(model) is not None:
        try:
            return model.output
        except (AttributeError, ValueError):
            if len(outputs := model.outputs) == 1:
                return outputs[0]
    function = tf.function(lambda batch: model(batch, training=False), autograph=False)
    outputs = function.get_concrete_function(features).structured_outputs
    return tf.nest.map_structure(lambda each: tf.TensorSpec(each.shape, each.dtype), outputs)


def _zeros(spec: Any) -> tf.Tensor:
    """Return one example of the spec of a batch: zeros, or empty texts."""
    shape = [1 if size is None else size for size in tf.TensorShape(spec.shape)]
    return tf.zeros([1, *shape[1:]], tf.as_dtype(spec.dtype))
