"""The model that is deployed: fetched, checked, and packed as a place wants it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from trainer.config import UserError
from trainer.packaging import (
    CODE_FOLDER,
    PreparedModel,
    choose_model,
    copy_files,
    files_below,
    prepare_model,
    read_contents,
    write_tarball,
)
from trainer.runtime import StopRequest
from trainer.storage import download_objects, is_remote, local_path, unfinished

ARCHIVE, FLAT, VERSIONS = "model.tar.gz", "flat", "versions"


@dataclass(frozen=True, kw_only=True)
class ModelSource:
    """A model on this machine, checked.

    Attributes:
        url: Where it came from: a local path or a url.
        model: Its SavedModel.
        form: `model.tar.gz`, `flat` or `versions` if it is packed so already; else None.
    """

    url: str
    model: PreparedModel
    form: str | None


@contextlib.contextmanager
def opened_model(
    name: str,
    *,
    version: int | None,
    url_of_job: Callable[[str], str],
    stop: StopRequest,
) -> Iterator[ModelSource]:
    """Bring a model to this machine, and check that servers can load it.

    Args:
        name: A folder, an archive, a `.keras` file, a url, or the name of a job.
        version: The version to take; None for the newest.
        url_of_job: Returns the url of the model that a finished job left.
        stop: Set to end a download.

    Yields:
        The model, as long as the block lasts.

    Raises:
        UserError: There is no such model or job, or it is not whole.
    """
    url = name
    if not is_remote(name) and not Path(local_path(name, flag="MODEL")).exists():
        if "/" in name or name.endswith((".gz", ".tgz", ".keras")):
            raise UserError(subject=f"MODEL {name}", problem="there is no such file or folder")
        url = url_of_job(name)
    with contextlib.ExitStack() as stack:
        path = Path(local_path(url, flag="MODEL")) if not is_remote(url) else None
        if path is None:
            folder = Path(stack.enter_context(unfinished.temporary_folder(None)))
            (found,) = download_objects(
                [url.rstrip("/")], folder, flag="MODEL", patterns=False, stopped=stop
            )
            path = Path(found)
        prepared = prepare_model(path, name=f"MODEL {name}", version=version)
        model = stack.enter_context(prepared)
        yield ModelSource(url=url, model=model, form=None if version else form_of(path))


def form_of(path: Path) -> str | None:
    """Return how a model is packed, or None for a form that no place wants as it is."""
    contents = read_contents(path, name=str(path))
    found = choose_model(contents)
    if found.kind != "saved_model":
        return None
    if contents.form == "tar.gz":
        return ARCHIVE if found.version is not None else None
    if contents.form != "folder":
        return None
    if not found.place:
        return FLAT
    return VERSIONS if found.version is not None and "/" not in found.place else None


def write_model(source: ModelSource, folder: Path, form: str, *, code: Path | None) -> Path:
    """Write a model as a place wants it into a folder that is there.

    Args:
        source: The model.
        folder: Gets `model.tar.gz`, the SavedModel itself, or `<version>/`.
        form: `model.tar.gz`, `flat` or `versions`.
        code: A folder with code in place of the model's own.

    Returns:
        The archive, or the folder.
    """
    files = dict(source.model.files)
    version = "1" if source.model.version is None else str(source.model.version)
    if form != FLAT:
        files = {f"{version}/{name}": file for name, file in files.items()}
    beside = code or source.model.code
    if beside:
        files |= {f"{CODE_FOLDER}/{name}": file for name, file in files_below(beside).items()}
    if form == ARCHIVE:
        return write_tarball(folder / ARCHIVE, files)
    copy_files(files, folder)
    return folder
