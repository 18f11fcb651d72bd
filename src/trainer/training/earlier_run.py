"""The report that an earlier run of the same job has left, if its model is still there."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trainer.config import Job
from trainer.packaging import ARCHIVE_NAME, GRAPH_FILE, VERSIONED_LAYOUTS, versions_in


def find(job: Job) -> dict[str, Any] | None:
    """Return the `metrics.json` of an earlier run whose model is still in the model folder.

    Args:
        job: On local paths.
    """
    try:
        text = (output_dir(job) / "metrics.json").read_bytes()
    except OSError:
        return None
    return checked(
        text, model_dir=job.model_dir, layout=job.layout, is_there=lambda path: Path(path).is_file()
    )


def output_dir(job: Job) -> Path:
    """See `preflight.output_dir`."""
    # Imported late: it needs NumPy, which a process that only moves files does without.
    from trainer.training import preflight

    return preflight.output_dir(job)


def checked(
    text: bytes, *, model_dir: str, layout: str, is_there: Callable[[str], bool]
) -> dict[str, Any] | None:
    """Return a report that is whole and about a model that is there.

    Args:
        text: The contents of `metrics.json`.
        model_dir: Path or url of the model folder.
        layout: How a model lies in it.
        is_there: Returns whether a file or an object exists.
    """
    try:
        metrics: dict[str, Any] = json.loads(text)
        path, digests = metrics["model_path"], metrics["weights_crc32c"]
        ended = metrics["stopped"] is False and type(metrics["steps"]) is int
        if not ended or not all(isinstance(digest, str) for digest in digests):
            return None
        parent, _, name = path.rstrip("/").rpartition("/")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    folder = model_dir.rstrip("/")
    if layout in VERSIONED_LAYOUTS:
        fits = name.isdecimal() and _same(parent, f"{folder}/{versions_in(layout)}".rstrip("/"))
    elif layout == "tar":
        fits = name == ARCHIVE_NAME and _same(parent, folder)
    else:
        fits = _same(path.rstrip("/"), folder)
    file = path if layout == "tar" else f"{path.rstrip('/')}/{GRAPH_FILE}"
    return metrics if fits and is_there(file) else None


def _same(a: str, b: str) -> bool:
    return a == b or os.path.realpath(a or ".") == os.path.realpath(b or ".")
