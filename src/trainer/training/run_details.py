"""The details of a run at its end: answers to the test data, label counts and pictures."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np

from trainer.config import Split
from trainer.data import Stream
from trainer.storage import local
from trainer.training.answer_totals import AnswerTotals, total_answers
from trainer.training.pictures import Naming, class_name, sample_pictures
from trainer.training.run_data import SplitData
from trainer.training.run_state import RunState
from trainer.training.summaries import write_images
from trainer.training.trainer import Trainer

logger = logging.getLogger(__name__)

FILE_NAME = "pictures.json"
SCHEMA_VERSION = 1


def gather_details(
    trainer: Trainer, state: RunState, metrics: dict[str, Any]
) -> AnswerTotals | None:
    """Add to the metrics of a run what all processes know of its data; each of them calls this."""
    strategy, data = trainer.strategy, trainer.data
    if state.answered and (problem := state.answered[1].problem):
        logger.warning(
            "report: nothing of the answers to the %s data: %s", state.answered_split, problem
        )
    answered = data.splits.get(state.answered_split) or data.unseen
    naming = Naming(answered) if trainer.job.report else None
    features = answered.dataset.element_spec[0]
    totals = total_answers(state.answered, strategy, features=features, naming=naming)
    counts = strategy.sum(_label_counts(data.train, classes=data.classes or 0))
    shown: dict[Split, list[int] | None] = {
        "train": _once(counts[:-1], data.train.examples, whole=counts[-1] == 0)
    }
    if totals:
        found = totals.as_json(data.class_names)
        metrics["evaluation"] = {"split": state.answered_split, **found}
        rows = totals.confusion.sum(axis=1).astype(np.float64)
        shown[state.answered_split] = _once(rows, answered.examples, whole=rows.size > 0)
    for split, labels in shown.items():
        # A run without steps left may tell of the data that its weights were trained with.
        if labels and metrics["data"][split]["examples"] in (None, sum(labels)):
            named = {class_name(label, data.class_names): n for label, n in enumerate(labels)}
            metrics["data"][split] = {**metrics["data"][split], "labels": named}
    return totals


def write_pictures(
    folder: Path, trainer: Trainer, totals: AnswerTotals | None, weights: list[str]
) -> None:
    """Write `pictures.json`, and the worst for TensorBoard; warn if that cannot be done.

    Args:
        folder: Of `metrics.json`.
        trainer: Has the data.
        totals: Of `gather_details`.
        weights: `weights_crc32c`, by which a reader knows that the pictures are of the same run.
    """
    try:
        if trainer.job.log_dir and totals and totals.worst:
            write_images(trainer.job.log_dir, totals.step, [one.pixels for one in totals.worst])
        groups = {
            "worst": totals.worst if totals else [],
            "uncertain": totals.uncertain if totals else [],
            "samples": sample_pictures(trainer.data.train, trainer.data.unseen),
        }
        if any(groups.values()):
            names = trainer.data.class_names
            shown = {name: [one.as_json(names) for one in group] for name, group in groups.items()}
            head = {"schema_version": SCHEMA_VERSION, "weights_crc32c": weights}
            local.write_text(folder / FILE_NAME, json.dumps({**head, **shown}) + "\n")
    except Exception as error:
        # The model is trained and written: no picture may fail the run.
        logger.warning("%s: not made: %s", FILE_NAME, error)
        logger.debug(FILE_NAME, exc_info=error)


def _label_counts(train: SplitData, *, classes: int) -> list[float]:
    """Return how often this process has each class in memory, and 1 if it cannot tell, else 0."""
    stream = train.stream if isinstance(train.stream, Stream) else None
    if stream is None or stream.memory is None:
        return [0.0] * classes + [1.0]
    return [*np.bincount(stream.memory[1], minlength=classes).astype(float).tolist(), 0.0]


def _once(counts: np.ndarray, examples: int | None, *, whole: bool) -> list[int] | None:
    """Return counts by label; None where they are not those of all examples.

    Args:
        counts: Summed over the processes, which may each have counted all or only their own part.
        examples: Of all processes together; None if that is unknown.
        whole: False if some examples were not counted.
    """
    times, rest = divmod(int(counts.sum()), examples or int(counts.sum()) or 1)
    if not whole or rest or not times:
        return None
    return [int(count) // times for count in counts.tolist()]
