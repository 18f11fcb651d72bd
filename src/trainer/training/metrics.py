"""The Keras metrics of a module, added up over batches, replicas and processes.

Each batch is seen by a metric in its first state, without keeping it (`stateless_update_state`);
what that adds to the metric's variables is summed like all other figures of an evaluation. So it
works under every strategy, and for any metric whose variables are sums, as those of Keras are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.config import UserError
from trainer.models import ModelModule
from trainer.training.task import as_weights

RESERVED = ("loss", "accuracy", "mean_absolute_error")


@dataclass(frozen=True, kw_only=True)
class NamedMetric:
    """A metric of a module.

    Attributes:
        name: Its name in the log and the report.
        metric: The metric.
        key: Key of the labels and outputs that it compares; None for all of them.
    """

    name: str
    metric: keras.Metric
    key: str | None


class ModuleMetrics:
    """The metrics of a run.

    Args:
        named: The metrics.

    Attributes:
        names: Their names.
    """

    def __init__(self, named: tuple[NamedMetric, ...] = ()) -> None:
        self._named = named
        self.names = tuple(each.name for each in named)
        self._first: list[list[np.ndarray]] = []

    @property
    def size(self) -> int:
        """The number of values that all variables have."""
        return sum(value.size for values in self._first for value in values)

    def build(self, labels: Any, outputs: Any) -> None:
        """Make the variables of the metrics, some of which need a batch for that."""
        self._first = []
        for each in self._named:
            each.metric.update_state(*_chosen(each, labels, outputs))
            each.metric.reset_state()
            self._first.append([np.asarray(v.value) for v in each.metric.variables])

    def added(self, labels: Any, outputs: Any, weights: Any = None) -> tf.Tensor:
        """Return what a batch adds to the variables of all metrics, float32 [size]."""
        parts: list[tf.Tensor] = []
        for each, first in zip(self._named, self._first, strict=True):
            given = _chosen(each, labels, outputs)
            more = {} if weights is None else {"sample_weight": as_weights(weights)}
            after = each.metric.stateless_update_state(
                [tf.constant(value) for value in first], *given, **more
            )
            parts += [
                tf.reshape(tf.cast(new, tf.float32) - value.astype(np.float32), [-1])
                for new, value in zip(after, first, strict=True)
            ]
        return tf.concat(parts, axis=0) if parts else tf.zeros([0])

    def results(self, sums: np.ndarray) -> dict[str, float]:
        """Return the value of each metric.

        Args:
            sums: Of `added` over all batches of all processes, float64 [size].
        """
        found: dict[str, float] = {}
        rest = np.asarray(sums, np.float64)
        for each, first in zip(self._named, self._first, strict=True):
            values = []
            for value in first:
                own, rest = np.split(rest, [value.size])
                values.append(tf.constant((value + own.reshape(value.shape)).astype(value.dtype)))
            pairs = list(zip(each.metric.variables, values, strict=True))
            with keras.StatelessScope(state_mapping=pairs):
                # Not `stateless_result`: a result that is a variable has its first value after it.
                result = np.asarray(keras.ops.convert_to_tensor(each.metric.result()))
            found[each.name] = float(result.reshape(()))
        return found


NO_METRICS = ModuleMetrics()


def metrics_of(module: ModelModule) -> ModuleMetrics:
    """Return the metrics that a module's `metrics()` makes.

    Raises:
        UserError: It returns something else, or a name twice.
    """
    if not module.metrics:
        return NO_METRICS
    made = module.metrics()
    named = tuple(_named(made, module.name))
    names = [each.name for each in named]
    for name in names:
        if names.count(name) > 1 or name in RESERVED[:1]:
            raise UserError(
                subject=f"metrics of {module.name}",
                problem=f"the name {name} is taken",
                remedy="give each metric a name of its own",
            )
    return ModuleMetrics(named)


def _named(made: Any, module: str) -> Iterator[NamedMetric]:
    if isinstance(made, keras.Metric):
        made = [made]
    if isinstance(made, (list, tuple)):
        for metric in made:
            yield _checked(getattr(metric, "name", "metric"), metric, None, module)
    elif isinstance(made, Mapping):
        for name, metric in made.items():
            if isinstance(metric, Mapping):
                for inner, own in metric.items():
                    yield _checked(f"{name}_{inner}", own, str(name), module)
            else:
                yield _checked(str(name), metric, None, module)
    else:
        _checked("metrics", made, None, module)


def _checked(name: str, metric: Any, key: str | None, module: str) -> NamedMetric:
    if not isinstance(metric, keras.Metric):
        raise UserError(
            subject=f"metrics of {module}",
            problem=f"{name} is {metric!r}"[:150],
            remedy="return Keras metrics by name: {'mae': keras.metrics.MeanAbsoluteError()}",
        )
    return NamedMetric(name=name, metric=metric, key=key)


def _chosen(named: NamedMetric, labels: Any, outputs: Any) -> tuple[Any, Any]:
    """Return the labels and outputs that a metric compares."""
    if named.key is None:
        return labels, outputs
    return labels[named.key], outputs[named.key]
