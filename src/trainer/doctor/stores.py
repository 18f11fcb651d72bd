"""Object stores: one listing or lookup each, which changes nothing there."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from trainer.doctor.findings import Finding
from trainer.storage import StorageError, is_remote

if TYPE_CHECKING:
    from trainer.storage import RemotePath

# Seconds for a list of data, and for one lookup of a folder that is written to.
LIST_SECONDS, LOOKUP_SECONDS = 8.0, 4.0
Among = Callable[[Iterable[str]], set[str]]
# Takes a url, the flag that names it, and a filter of names; returns the sizes of objects by name.
ListStore = Callable[[str, str, Among | None], Mapping[str, int]]


def list_data(url: str, flag: str, among: Among | None) -> Mapping[str, int]:
    """Return the objects that a url names, with their sizes.

    Raises:
        UserError: There are none, or the store refuses.
        StorageError: The store gives no answer in time.
    """
    return _place(url, flag, LIST_SECONDS).find(name_filter=among)


def check_folder(url: str, flag: str) -> None:
    """Look up the bucket of a folder.

    Raises:
        UserError: There is no such bucket, or the store refuses.
        StorageError: The store gives no answer in time.
    """
    _place(url, flag, LOOKUP_SECONDS).check_there()


def examine_objects(
    paths: Sequence[str], *, flag: str, among: Among | None, list_store: ListStore
) -> Finding:
    """Report how many objects lie at the urls among some paths, and how large they are.

    Raises:
        UserError: There are none, or the store refuses.
    """
    about, urls = f"{flag} {' '.join(paths)}", [path for path in paths if is_remote(path)]
    facts = {"kind": "address", "paths": list(paths)}
    try:
        found = {
            (url, key): size for url in urls for key, size in list_store(url, flag, among).items()
        }
    except StorageError as error:
        return _no_answer(about, error, facts)
    # Probes name the functions of this file.
    from trainer.doctor.probes import shown_size

    count, total = len(found), sum(found.values())
    text = f"in an object store, {count} object{'s'[: count != 1]}, {shown_size(total)}"
    return Finding(about=about, text=text, facts={**facts, "files": count, "bytes": total})


def examine_bucket(flag: str, url: str, *, check: Callable[[str, str], None]) -> Finding:
    """Report that the bucket of a folder that is written to is there.

    Raises:
        UserError: It is not, or the store refuses.
    """
    about, facts = f"{flag} {url}", {"kind": "address"}
    try:
        check(url, flag)
    except StorageError as error:
        return _no_answer(about, error, facts)
    text = "in an object store that answers; whether it can be written is tried as a run begins"
    return Finding(about=about, text=text, facts=facts)


def _no_answer(about: str, error: StorageError, facts: Mapping[str, object]) -> Finding:
    text = f"in an object store that could not be looked at: {error.problem}"
    return Finding(about=about, text=text, level="note", facts=dict(facts))


def _place(url: str, flag: str, seconds: float) -> RemotePath:
    from trainer.runtime import Patience
    from trainer.storage import RemotePath

    patience = Patience(stopped=lambda: True, seconds=seconds, first=math.inf)
    return RemotePath(url, flag=flag, patience=patience)
