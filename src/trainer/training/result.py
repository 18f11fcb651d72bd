"""The result of a run for the program that called `train_and_evaluate`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from trainer.runtime import output


@dataclass(frozen=True, eq=False)
class TrainingResult(Mapping[str, Any]):
    """The figures of a run, as a mapping of the keys of `metrics.json`, and the model it trained.

        result = train_and_evaluate(job)
        result["test_accuracy"], result.model.predict(images)

    The last line of a notebook's cell shows it as results, learning curves and confusion matrix.

    Attributes:
        metrics: The contents of `metrics.json`.
        model: The Keras model with the weights that were exported; those it began with if the run
            was stopped before its first step.
        report: The page `report.html`; None if there is none.
    """

    metrics: dict[str, Any]
    model: keras.Model
    report: Path | None = None

    def __getitem__(self, key: str) -> Any:
        return self.metrics[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.metrics)

    def __len__(self) -> int:
        return len(self.metrics)

    def __repr__(self) -> str:
        names = ("model", "steps", "test_accuracy", "validation_accuracy", "best_metric")
        shown = {name: self.metrics.get(name) for name in (*names, "model_path")}
        values = ", ".join(f"{k}={v!r}" for k, v in shown.items() if v is not None)
        return f"TrainingResult({values})"

    def _repr_html_(self) -> str | None:
        """Return the summary that notebooks show; None of a run that has not trained."""
        if "model" not in self.metrics:
            return None
        from trainer.reporting import decode_record, render_summary

        # As `metrics.json` has it: without the secrets among hyperparameters.
        text = json.dumps(output.clean_value(self.metrics))
        record = decode_record(text.encode(), path="metrics.json")
        page, here = self.report, Path.cwd()
        if page and page.is_relative_to(here):
            page = page.relative_to(here)
        return render_summary(record, report=str(page or ""))
