"""Each model's best recipe: the hyperparameters it is trained with unless a flag says otherwise.

How they were found, and what else was tried, is in docs/performance.md.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from trainer.config import Job

COMMON: dict[str, Any] = {
    "optimizer": "adam",
    "schedule": "one-cycle",
    "warmup": 0.1,
    "beta_1": 0.8,
    "beta_2": 0.9,
    "label_smoothing": 0.1,
    "epochs": 1.0,
}
RECIPES: dict[str, dict[str, Any]] = {
    # Three quarters of an epoch do for most seeds, but not for all.
    "fast": {**COMMON, "batch_size": 128, "learning_rate": 0.01, "dropout": 0.0},
    "cnn": {**COMMON, "batch_size": 64, "learning_rate": 0.006, "dropout": 0.4},
    "sagemaker-cnn": {**COMMON, "batch_size": 128, "learning_rate": 0.003, "dropout": 0.4},
}


def complete(job: Job, *, precision: str) -> Job:
    """Fill in what the job leaves open.

    Args:
        job: With None where nothing was asked for.
        precision: What the device computes fastest with.

    Returns:
        A job whose hyperparameters are all set, and which has either `steps` or `epochs`.
    """
    recipe = dict(RECIPES[job.hparams.model], precision=precision)
    epochs = recipe.pop("epochs")
    missing = {k: v for k, v in recipe.items() if getattr(job.hparams, k) is None}
    hparams = dataclasses.replace(job.hparams, **missing)
    if job.steps is None and job.epochs is None:
        job = dataclasses.replace(job, epochs=epochs)
    return dataclasses.replace(job, hparams=hparams)
