"""The report of a run: its first lines in the log, and `metrics.json` for programs."""

from __future__ import annotations

import dataclasses
import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer import __version__
from trainer.config import Split
from trainer.data import selection
from trainer.distribution import spec_of
from trainer.runtime import installed_version, output
from trainer.storage import local
from trainer.training.run_state import ACCURACY

if TYPE_CHECKING:
    from trainer.training.curves import CurveRecorder
    from trainer.training.run_state import RunState
    from trainer.training.trained_with import History
    from trainer.training.trainer import Trainer

logger = logging.getLogger(__name__)

# A column of a curve as json.dumps writes it: a line for each number would hide all the rest.
_NUMBERS = re.compile(r"\[\n[-+0-9.eE,\s]+\]")
# Counted up when a key of metrics.json gets another meaning or goes away.
SCHEMA_VERSION = 1
# The splits as the log has them, where that is another word.
NAMES = {"train": "training"}


def write_metrics(folder: Path, metrics: dict[str, Any]) -> Path:
    """Write `metrics.json`, whole or not at all, without the secrets among hyperparameters."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "metrics.json"
    text = json.dumps(output.clean_value(metrics), indent=2)
    local.write_text(path, _NUMBERS.sub(_on_one_line, text) + "\n")
    return path


def write_page(folder: Path) -> None:
    """Write `report.html` from the `metrics.json` in a folder; warn if it cannot be made."""
    # Imported late, as a run has ended when it makes its page.
    from trainer.reporting import read_pictures, read_record, render_report

    try:
        record = read_record(str(folder))
        pictures = read_pictures(str(folder), record)
        page = render_report(record, name=folder.absolute().name, pictures=pictures)
        local.write_text(folder / "report.html", page)
    except Exception as error:
        # The model is trained and written: no mistake in a page may fail the run.
        logger.warning("report.html: not made: %s", error)
        logger.debug("report.html", exc_info=error)


def _on_one_line(numbers: re.Match[str]) -> str:
    return re.sub(r"\s+", " ", numbers[0]).replace("[ ", "[").replace(" ]", "]")


def log_start(trainer: Trainer) -> None:
    """Log what is trained on what, and warn of what looks like a mistake."""
    job, strategy, hparams = trainer.job, trainer.strategy, trainer.job.hparams
    data = trainer.data.descriptions
    for name, split in data.items():
        kind = split["kind"]
        kind = "SYNTHETIC digits (no --train given)" if kind == "synthetic" else kind
        count = "" if split["examples"] is None else f", {split['examples']} examples"
        logger.info("%s data: %s%s", NAMES.get(name, name), kind, count)
        for line in split["damaged"]:
            logger.warning("left out: %s", line)
    _log_overlaps(data, held_out=job.validation_split is not None)
    if not trainer.data.watched:
        logger.info(
            "nothing is evaluated, as there is no test data: name some by --test, or hold out a "
            "part of the training data by --validation-split 0.1"
        )
    elif "test" not in data:
        logger.info("nothing is tested at the end, as there is no test data (--test)")
    logger.info(trainer.device.line)
    logger.info(
        f"model={trainer.model.name} parameters={trainer.model.count_params()} "
        f"steps={trainer.data.steps} "
        f"batch_size={hparams.batch_size} {_optimizer(trainer)} "
        f"precision={hparams.precision} seed={hparams.seed}"
    )
    if spec_of(job).is_shared:
        shared = f"processes={strategy.processes} replicas={strategy.replicas}"
        if job.cluster.ps:
            # Each worker takes steps of its own.
            shared = f"workers={len(job.cluster.worker)} servers={len(job.cluster.ps)}"
        logger.info(f"distribution={job.distribution} {shared} scaling={job.scaling}")


def _optimizer(trainer: Trainer) -> str:
    hparams = trainer.job.hparams
    if trainer.module.optimizer:
        return f"optimizer={trainer.optimizer.name} learning_rate={trainer.learning_rate():g}"
    rate = f"learning_rate={hparams.learning_rate:g} schedule={hparams.schedule}"
    return f"optimizer={hparams.optimizer} {rate}"


def _log_overlaps(data: Mapping[Split, Mapping[str, Any]], *, held_out: bool) -> None:
    """Warn of files that are read for two splits."""
    files = {split: {*found["files"]} for split, found in data.items()}
    overlaps: list[tuple[Split, Split, str]] = [
        ("test", "train", "its accuracy means little"),
        ("validation", "train", "its accuracy means little"),
        ("test", "validation", "nothing is kept for the end"),
    ]
    for split, other, why in overlaps:
        if split == "validation" and held_out:
            continue
        if files.get(split, set()) & files.get(other, set()):
            name = NAMES.get(other, other)
            logger.warning("the %s data is part of the %s data: %s", split, name, why)


def _evaluated(trainer: Trainer, state: RunState) -> dict[str, Any]:
    """Return what `metrics.json` says of the evaluations."""
    found, progress, goal = state.evaluations, state.progress, trainer.run_task.goal
    was_evaluated = progress.best_step >= 0
    best = progress.best_value if was_evaluated else None
    shown: dict[str, Any] = {}
    for split in selection.EVALUATED:
        each, is_watched = found.get(split), split == trainer.data.watched
        shown[f"{split}_accuracy"] = each.accuracy if each else None
        shown[f"{split}_loss"] = each.loss if each else None
        by_accuracy = is_watched and goal.name == ACCURACY
        shown[f"best_{split}_accuracy"] = best if by_accuracy else None
        shown[f"{split}_metrics"] = each.values if each else None
    return {
        **shown,
        "best_step": progress.best_step if was_evaluated else None,
        "metric": goal.text,
        "best_metric": best,
    }


def metrics_of(
    trainer: Trainer, state: RunState, history: History, curves: CurveRecorder
) -> dict[str, Any]:
    """Return everything that `metrics.json` says, but for the model's place.

    Times are in seconds, and of the training steps alone, from the first, compiling included;
    processor time is that of all processes, or None where others than these do the work.
    Hyperparameters and data are those that the weights were trained with, where a run that went on
    from a checkpoint had none left to train.
    """
    model, strategy, progress = trainer.model, trainer.strategy, state.progress
    data = trainer.data.descriptions
    data["train"] = history.described(data["train"], step=progress.step)
    *before, last = history.at(progress.step) or (None,)
    images, examples = progress.examples, data["train"]["examples"]
    seconds = progress.train_seconds
    cpu_seconds = progress.train_cpu_seconds if strategy.counts_cpu else None
    return {
        "schema_version": SCHEMA_VERSION,
        "model": model.name,
        "parameters": model.count_params(),
        "steps": progress.step,
        "epochs": images / examples if examples else None,
        "stopped": not state.is_complete,
        "stopped_early": state.stopped_early,
        **_evaluated(trainer, state),
        "train_loss": state.train_loss,
        "train_accuracy": state.train_accuracy,
        "train_seconds": seconds,
        "train_cpu_seconds": cpu_seconds,
        "images_per_second": images / seconds,
        "images_per_cpu_second": images / cpu_seconds if cpu_seconds else None,
        "device": dataclasses.asdict(trainer.device),
        "distribution": trainer.job.distribution or "none",
        "processes": strategy.processes,
        "replicas": strategy.replicas,
        "classes": trainer.data.classes,
        "class_names": trainer.data.all_class_names,
        "data": data,
        "hparams": dict(last.hparams) if last else None,
        "curves": curves.as_json(),
        "ranks": [
            {"rank": rank, "images_per_second": speed}
            for rank, speed in enumerate(state.all_rank_speeds)
        ],
        # Where a run went on with other settings than it began with.
        "trained_before": [dataclasses.asdict(steps) for steps in before if steps],
        "versions": {
            "trainer": __version__,
            "tensorflow": installed_version("tensorflow", "tensorflow-cpu"),
            "keras": installed_version("keras"),
        },
    }
