"""What a run tells: lines for people and log filters, and `metrics.json` for programs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer import __version__
from trainer.config import Job
from trainer.distribution import spec_of
from trainer.runtime import Device, Reporter, installed_version, output
from trainer.storage import local

if TYPE_CHECKING:
    from trainer.data import Stream
    from trainer.distribution import Strategy
    from trainer.training.checkpoint import Progress
    from trainer.training.steps import Tested
    from trainer.training.trained_with import Stretch


def write_metrics(folder: Path, metrics: dict[str, Any]) -> Path:
    """Write `metrics.json`, whole or not at all, without the secrets among hyperparameters."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "metrics.json"
    local.write_text(path, json.dumps(output.clean_value(metrics), indent=2) + "\n")
    return path


def describe(data: Any) -> dict[str, Any]:
    """Kind, count and files of a data set, for the log and `metrics.json`."""
    stream: Stream | None = getattr(data, "stream", None)
    if stream is None:
        return {"kind": "module", "examples": None, "files": [], "damaged": []}
    return {
        "kind": stream.kind,
        "examples": stream.total,
        "files": [table.name for table in stream.tables if table.kind != "synthetic"],
        "damaged": stream.damage,
    }


def tell_start(
    job: Job,
    reporter: Reporter,
    *,
    model: Any,
    steps: int,
    data: dict[str, Any],
    strategy: Strategy,
    device: Device,
) -> None:
    """Say what is trained on what, and warn of what looks like a mistake."""
    hparams = job.hparams
    for split, of in (("training", data["train"]), ("test", data["test"])):
        kind = of["kind"]
        kind = "SYNTHETIC digits (no --train given)" if kind == "synthetic" else kind
        count = "" if of["examples"] is None else f", {of['examples']} examples"
        reporter.info(f"{split} data: {kind}{count}")
        for line in of["damaged"]:
            reporter.warn(f"left out: {line}")
    if set(data["train"]["files"]) & set(data["test"]["files"]):
        reporter.warn("the test data is part of the training data: its accuracy means little")
    reporter.info(device.line)
    reporter.info(
        f"model={model.name} parameters={model.count_params()} steps={steps} "
        f"batch_size={hparams.batch_size} optimizer={hparams.optimizer} "
        f"learning_rate={hparams.learning_rate:g} schedule={hparams.schedule} "
        f"precision={hparams.precision} seed={hparams.seed}"
    )
    if spec_of(job).is_shared:
        shared = f"processes={strategy.processes} replicas={strategy.replicas}"
        if job.cluster.ps:
            # Each of which takes steps of its own.
            shared = f"workers={len(job.cluster.worker)} servers={len(job.cluster.ps)}"
        reporter.info(f"distribution={job.distribution} {shared} scaling={job.scaling}")


def metrics_of(
    model: Any,
    *,
    job: Job,
    progress: Progress,
    data: dict[str, Any],
    history: tuple[Stretch, ...],
    tested: Tested | None,
    loss: float | None,
    stopped: bool,
    strategy: Strategy,
    device: Device,
) -> dict[str, Any]:
    """Everything that `metrics.json` says, but for the model's place.

    Times are in seconds, and of the training steps alone, from the first, compiling included;
    processor time is that of all processes, or None where others than these do the work.
    Hyperparameters and data are those that the weights were trained with, where a run that went on
    from a checkpoint had none left to train.
    """
    last = history[-1] if history else None
    images, examples = progress.examples, data["train"]["examples"]
    seconds = progress.train_seconds
    cpu_seconds = progress.train_cpu_seconds if strategy.counts_cpu else None
    return {
        "model": model.name,
        "parameters": model.count_params(),
        "steps": progress.step,
        "epochs": images / examples if examples else None,
        "stopped": stopped,
        "test_accuracy": tested.accuracy if tested else None,
        "test_loss": tested.loss if tested else None,
        "best_test_accuracy": progress.best_accuracy if progress.best_step >= 0 else None,
        "best_step": progress.best_step if progress.best_step >= 0 else None,
        "train_loss": loss,
        "train_seconds": seconds,
        "train_cpu_seconds": cpu_seconds,
        "images_per_second": images / seconds,
        "images_per_cpu_second": images / cpu_seconds if cpu_seconds else None,
        "device": dataclasses.asdict(device),
        "distribution": job.distribution or "none",
        "processes": strategy.processes,
        "replicas": strategy.replicas,
        "data": data,
        "hparams": dict(last.hparams) if last else None,
        # Where a run went on with other settings than it began with.
        "trained_before": [dataclasses.asdict(stretch) for stretch in history[:-1]],
        "versions": {
            "trainer": __version__,
            "tensorflow": installed_version("tensorflow", "tensorflow-cpu"),
            "keras": installed_version("keras"),
        },
    }
