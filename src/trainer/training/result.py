"""The result of a run for the program that called `train_and_evaluate`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras


@dataclass(frozen=True, eq=False)
class TrainingResult(Mapping[str, Any]):
    """The figures of a run, as a mapping of the keys of `metrics.json`, and the model it trained.

        result = train_and_evaluate(job)
        result["test_accuracy"], result.model.predict(images)

    Attributes:
        metrics: The contents of `metrics.json`.
        model: The Keras model with the weights that were exported; those it began with if the run
            was stopped before its first step.
    """

    metrics: dict[str, Any]
    model: keras.Model

    def __getitem__(self, key: str) -> Any:
        return self.metrics[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.metrics)

    def __len__(self) -> int:
        return len(self.metrics)
