"""The folders that a platform keeps of its containers, collected in a folder here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from trainer.backends.engine.client import Engine
from trainer.backends.engine.copying import copy_out
from trainer.backends.engine.job import EngineJob
from trainer.storage import unfinished


def collect(
    engine: Engine, job: EngineJob, outputs: Mapping[str, str], folder: Path
) -> Iterator[str]:
    """Copy folders out of all containers of a job; of two files of one name the chief's counts.

    Args:
        engine: The engine.
        job: The job, whose containers have ended.
        outputs: Folders of the containers, with their names in `folder`.
        folder: Where they go.

    Yields:
        A line for each folder that holds something.
    """
    for path, target in outputs.items():
        count = 0
        for container in job.containers:
            folder.mkdir(parents=True, exist_ok=True)
            with unfinished.temporary_folder(folder) as scratch:
                copied = Path(scratch, "copied")
                if copy_out(engine, container.name, path, copied):
                    count += _merge(copied, folder / target)
        if count:
            yield f"{path}: {count} files in {folder / target}"


def _merge(copied: Path, target: Path) -> int:
    """Move files into a folder where none of their names are yet; return how many."""
    moved = 0
    for file in sorted(copied.rglob("*")):
        place = target / file.relative_to(copied)
        if file.is_dir() or place.exists():
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        file.rename(place)
        moved += 1
    return moved
