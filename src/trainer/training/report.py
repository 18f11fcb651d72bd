"""The report of a run: its first lines in the log, and `metrics.json` for programs."""

from __future__ import annotations

import dataclasses
import json
import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer import __version__
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
    names = {"train": "training"}
    for name, split in data.items():
        kind = split["kind"]
        kind = "SYNTHETIC digits (no --train given)" if kind == "synthetic" else kind
        count = "" if split["examples"] is None else f", {split['examples']} examples"
        logger.info("%s data: %s%s", names.get(name, name), kind, count)
        for line in split["damaged"]:
            logger.warning("left out: %s", line)
    if "test" not in data:
        logger.info("nothing is evaluated, as there is no test data (--test, or a channel test)")
    elif set(data["train"]["files"]) & set(data["test"]["files"]):
        logger.warning("the test data is part of the training data: its accuracy means little")
    logger.info(trainer.device.line)
    logger.info(
        f"model={trainer.model.name} parameters={trainer.model.count_params()} "
        f"steps={trainer.data.steps} "
        f"batch_size={hparams.batch_size} optimizer={hparams.optimizer} "
        f"learning_rate={hparams.learning_rate:g} schedule={hparams.schedule} "
        f"precision={hparams.precision} seed={hparams.seed}"
    )
    if spec_of(job).is_shared:
        shared = f"processes={strategy.processes} replicas={strategy.replicas}"
        if job.cluster.ps:
            # Each worker takes steps of its own.
            shared = f"workers={len(job.cluster.worker)} servers={len(job.cluster.ps)}"
        logger.info(f"distribution={job.distribution} {shared} scaling={job.scaling}")


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
    evaluation, was_evaluated = state.evaluation, progress.best_step >= 0
    goal, best = trainer.run_task.goal, progress.best_value if was_evaluated else None
    return {
        "schema_version": SCHEMA_VERSION,
        "model": model.name,
        "parameters": model.count_params(),
        "steps": progress.step,
        "epochs": images / examples if examples else None,
        "stopped": not state.is_complete,
        "test_accuracy": evaluation.accuracy if evaluation else None,
        "test_loss": evaluation.loss if evaluation else None,
        "best_test_accuracy": best if goal.name == ACCURACY else None,
        "best_step": progress.best_step if was_evaluated else None,
        "metric": goal.text,
        "best_metric": best,
        "test_metrics": evaluation.values if evaluation else None,
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
