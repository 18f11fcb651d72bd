"""Suggest an existing name for one that was misspelt."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

# Names of the same flags in other tools, spelt too differently to resemble ours: Keras, PyTorch's
# examples, Hugging Face's Trainer, Lightning, torchrun, horovodrun, TensorFlow Serving, MLflow.
ELSEWHERE = {
    "lr": "learning-rate",
    "eta": "learning-rate",
    "bs": "batch-size",
    "train-batch-size": "batch-size",
    "per-device-train-batch-size": "batch-size",
    "val-batch-size": "eval-batch-size",
    "opt": "optimizer",
    "wd": "weight-decay",
    "num-epochs": "epochs",
    "num-train-epochs": "epochs",
    "max-epochs": "epochs",
    "num-steps": "steps",
    "train-steps": "steps",
    "max-steps": "steps",
    "iterations": "steps",
    "random-state": "seed",
    "dtype": "precision",
    "mixed-precision": "precision",
    "fp16": "precision",
    "bf16": "precision",
    "strategy": "distribution",
    "nproc-per-node": "processes-per-host",
    "num-proc": "processes-per-host",
    "np": "processes-per-host",
    "data": "train",
    "data-dir": "train",
    "dataset": "train",
    "training-data": "train",
    "val": "validation",
    "val-data": "validation",
    "eval-data": "test",
    "output": "output-dir",
    "save-dir": "model-dir",
    "export-dir": "model-dir",
    "saved-model-dir": "model-dir",
    "model-path": "model-dir",
    "model-base-path": "model-dir",
    "tensorboard": "log-dir",
    "logdir": "log-dir",
    "save-steps": "checkpoint-every",
    "resume": "checkpoint-dir",
    "resume-from-checkpoint": "checkpoint-dir",
    "num-threads": "threads",
    "master-port": "port",
    "rest-api-port": "port",
    "http-port": "port",
    "num-shards": "shards",
    "src": "source",
    "out-dir": "out",
}


def closest_name(name: str, names: Iterable[str]) -> str | None:
    """Return the one of `names` that was most likely meant by `name`.

    Args:
        name: The misspelt name, with hyphens or underscores, with or without leading ones.
        names: The names that exist, in any of these forms.

    Returns:
        The name as it stands in `names`, or None if none resembles it.
    """
    by_plain_name = {_plain(each): each for each in names}
    plain_name = _plain(name)
    other = _plain(ELSEWHERE.get(name.lstrip("-").replace("_", "-").lower(), ""))
    if other in by_plain_name:
        return by_plain_name[other]
    found = difflib.get_close_matches(plain_name, by_plain_name, 1, cutoff=0.7)
    return by_plain_name[found[0]] if found else None


def suggestion(name: str, names: Iterable[str]) -> str:
    """Return `, did you mean NAME?` for an error, or nothing where no name resembles it."""
    found = closest_name(name, names)
    return f", did you mean {found}?" if found else ""


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")
