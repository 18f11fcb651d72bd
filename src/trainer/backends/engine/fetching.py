"""The results of a job on an engine, brought into a folder."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trainer.backends.backend import Fetched
from trainer.backends.engine.client import Engine
from trainer.backends.engine.copying import copy_out
from trainer.backends.engine.job import MODEL, OUTPUTS, REPORT, labels_of, name_of
from trainer.storage import is_remote

logger = logging.getLogger(__name__)
REPORTS = ("metrics.json", "report.html")


def fetch_results(
    engine: Engine, containers: Sequence[Mapping[str, Any]], folder: Path
) -> list[Fetched]:
    """Copy model and report out of the chief's container; what is there already stays as it is.

    Args:
        engine: The engine.
        containers: What it says of the job's containers, the chief's first.
        folder: A folder that is there.

    Returns:
        What lies in an object store, for others to fetch.
    """
    chief = dict(containers[0])
    name, labels = name_of(chief), labels_of(chief)
    model, report = labels.get(MODEL, ""), labels.get(REPORT, "")
    paths = {"model": model} | {file: f"{report}/{file}" for file in REPORTS if report}
    for path, target in json.loads(labels.get(OUTPUTS, "{}")).items():
        paths[target or Path(path).name] = path
    for target, path in paths.items():
        place = folder / target
        if not path or is_remote(path):
            continue
        if place.exists():
            logger.info("%s: is there already, and stays as it is", place)
        elif copy_out(engine, name, path, place):
            logger.info("fetched %s of %s to %s", path, name, place)
    return [Fetched(source=p, target=t) for t, p in paths.items() if is_remote(p)]
