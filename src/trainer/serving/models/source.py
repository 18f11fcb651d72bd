"""The model folder on local disk, wherever the models come from."""

from __future__ import annotations

import contextlib
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from trainer.config import UserError
from trainer.storage import download_objects, is_remote, local_path

logger = logging.getLogger(__name__)

FLAG = "--model-dir"


class Fetch(Protocol):
    """Interface of `fetch_folder`."""

    def __call__(self, model_dir: str, into: Path, *, stopped: Callable[[], bool]) -> Path:
        """Download a remote folder."""


@contextlib.contextmanager
def local_folder(model_dir: str) -> Iterator[Path]:
    """Yield the folder itself, or a temporary one to fetch a remote folder into.

    Raises:
        UserError: There is no such folder.
    """
    if not is_remote(model_dir):
        path = Path(local_path(model_dir, flag=FLAG))
        if not path.is_dir():
            raise UserError(
                subject=f"{FLAG} {path}",
                problem="no such folder",
            )
        yield path
        return
    scratch = Path(tempfile.mkdtemp(prefix="trainer-serve-"))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def fetch_folder(model_dir: str, into: Path, *, stopped: Callable[[], bool]) -> Path:
    """Download a remote folder.

    Args:
        model_dir: Its url.
        into: The local folder that gets it.
        stopped: Called every second; True gives up.

    Returns:
        The local folder that holds the same.

    Raises:
        UserError: Nothing is there, access is denied, or the disk is too small.
        StorageError: The store failed again and again.
        StoppedError: `stopped` returned True.
    """
    url = model_dir.rstrip("/") + "/"
    (folder,) = download_objects([url], into, stopped=stopped, flag=FLAG, patterns=False)
    return Path(folder)
