"""Short questions about a url of an object store, or about a local path where both will do."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from trainer.runtime import ALWAYS_PATIENT, Patience
from trainer.storage.local import MARKERS
from trainer.storage.remote_path import RemotePath
from trainer.storage.store_options import NO_OPTIONS, StorageOptions
from trainer.storage.urls import is_remote


def children(
    url: str,
    *,
    options: StorageOptions = NO_OPTIONS,
    flag: str = "--model-dir",
    patience: Patience = ALWAYS_PATIENT,
) -> list[str]:
    """Return the names of the folders directly in a remote folder."""
    names = RemotePath(url, flag=flag, options=options, patience=patience).contents()
    return sorted({name.split("/")[0] for name in names if "/" in name})


def versions(
    url: str,
    *,
    options: StorageOptions = NO_OPTIONS,
    flag: str = "--model-dir",
    patience: Patience = ALWAYS_PATIENT,
) -> list[int]:
    """Return the numbers among the names of a remote folder's folders."""
    names = children(url, options=options, flag=flag, patience=patience)
    return sorted(int(name) for name in names if name.isdecimal())


def read_file(
    path: str,
    *,
    flag: str = "--output-dir",
    options: StorageOptions = NO_OPTIONS,
    patience: Patience = ALWAYS_PATIENT,
) -> bytes | None:
    """Return the bytes of a small object or local file, or None if it is not there."""
    if not is_remote(path):
        file = Path(path)
        return file.read_bytes() if file.is_file() else None
    folder, _, name = path.rpartition("/")
    place = RemotePath(folder, flag=flag, options=options, patience=patience)
    return place.read_small(name)


def is_file(
    path: str, *, options: StorageOptions = NO_OPTIONS, patience: Patience = ALWAYS_PATIENT
) -> bool:
    """Return whether there is an object or a local file."""
    if not is_remote(path):
        return Path(path).is_file()
    folder, _, name = path.rpartition("/")
    place = RemotePath(folder, flag="--model-dir", options=options, patience=patience)
    return name in place.contents()


def remove(
    url: str,
    *,
    options: StorageOptions = NO_OPTIONS,
    flag: str = "--model-dir",
    patience: Patience = ALWAYS_PATIENT,
) -> None:
    """Delete all that is in a remote folder, first the files that make it whole for readers."""
    place = RemotePath(url, flag=flag, options=options, patience=patience)
    if not place.key:
        raise ValueError(f"{url}: a whole bucket is not removed")
    for name in sorted(place.contents(), key=lambda n: PurePosixPath(n).name not in MARKERS):
        place.delete(name)
