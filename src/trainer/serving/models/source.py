"""The model folder on local disk, wherever the models come from."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from trainer.config import UserError
from trainer.storage import fetch, is_remote, local_path

FLAG = "--model-dir"


@contextlib.contextmanager
def local(model_dir: str) -> Iterator[Path]:
    """The folder itself, or a temporary one for what is remote.

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


def fetched(
    model_dir: str, into: Path, *, tell: Callable[[str], None], stopped: Callable[[], bool]
) -> Path:
    """Bring a remote folder here.

    Args:
        model_dir: Its url.
        into: A folder of ours.
        tell: Gets a line every few seconds.
        stopped: Asked every second whether to give up.

    Returns:
        The folder that is here now.

    Raises:
        UserError: Nothing is there, access is denied, or the disk is too small.
        StorageError: The store failed again and again.
        StoppedError: `stopped` said so.
    """
    url = model_dir.rstrip("/") + "/"
    (folder,) = fetch([url], into, tell=tell, stopped=stopped, flag=FLAG, patterns=False)
    return Path(folder)
