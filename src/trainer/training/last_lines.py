"""The last lines of a run that has a model: how good it is, where all is, and what to do next."""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Mapping
from typing import Any

from trainer.config import Job
from trainer.storage import is_remote

logger = logging.getLogger(__name__)


def log_result(job: Job, metrics: dict[str, Any]) -> None:
    """Log where the model is; of a complete run also its accuracy, time, report and next command.

    Args:
        job: As it was asked for, on local or remote paths.
        metrics: The contents of `metrics.json`.
    """
    # An earlier trainer's report, which a finished run returns, names no metric.
    name = (metrics.get("metric") or "accuracy:max").partition(":")[0]
    shown = "".join(
        f" {split}_{name}={_shown(metrics, split, name)}"
        for split in ("test", "validation")
        if split in metrics["data"]
    )
    folder = job.output_dir or os.path.dirname(job.model_dir.rstrip("/"))  # noqa: PTH120
    metrics_path = os.path.join(folder, "metrics.json")  # noqa: PTH118
    logger.info(f"model={metrics['model_path']}{shown} metrics={metrics_path}")
    if metrics["stopped"]:
        return
    best, step = metrics.get("best_metric", metrics["best_test_accuracy"]), metrics["best_step"]
    if best is not None:
        split = "validation" if "validation" in metrics["data"] else "test"
        logger.info(f"best: {split}_{name}={best:.4f} at step={step} of {metrics['steps']}")
    speed = metrics["images_per_second"]
    logger.info(f"time: {metrics['train_seconds']:.1f} s of training, {speed:.0f} images a second")
    report = os.path.join(folder, "report.html")  # noqa: PTH118
    is_there = os.path.exists(report) or (job.report and is_remote(folder))  # noqa: PTH110
    logger.info(f"report: {report if is_there else metrics_path}")
    if job.layout != "tar":
        logger.info(f"next: trainer serve --model-dir {shlex.quote(_served(job, metrics))}")


def _shown(metrics: Mapping[str, Any], split: str, name: str) -> str:
    """Return a figure of a split as text."""
    accuracy = {"accuracy": metrics.get(f"{split}_accuracy")}
    value = (metrics.get(f"{split}_metrics") or accuracy).get(name)
    return "unknown" if value is None else f"{value:.4f}"


def _served(job: Job, metrics: dict[str, Any]) -> str:
    """Return the folder that a server reads: that of the versions, or the model itself."""
    path = str(metrics["model_path"]).rstrip("/")
    return path if job.layout == "flat" else os.path.dirname(path)  # noqa: PTH120
