"""Files and folders that appear whole, or not at all.

A folder appears by one rename. Where folders cannot be renamed, as on mounted object stores, it is
filled elsewhere and its files are copied, last the one by which readers know that it is whole:
`saved_model.pb` of a model, `state.json` of a checkpoint.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from trainer.config import UserError
from trainer.storage import unfinished

# Readers take a folder without its marker for one that is not there: markers are written last and
# removed first.
MARKERS = ("saved_model.pb", "state.json")
# Stands in a folder whose files are moved one by one, until the last has arrived.
UNFINISHED = f".unfinished{unfinished.SUFFIX}"
# Errors of a rename that a copy would meet as well.
_NOT_OF_RENAMING = {
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG,
}  # fmt: skip
# Errors of file systems that cannot sync folders.
_NO_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EPERM, errno.EACCES, errno.EBADF}


def write_text(path: Path, text: str) -> None:
    """Write a file of UTF-8 as `write_bytes` does."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file under a temporary name, and rename it when it is on disk."""
    part = unfinished.name_for(path)
    try:
        with naming_full_disk(path), part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        move_file(part, path)
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Fill a folder under a temporary name; rename it when the block ends without an error.

    Args:
        path: The final name, not yet there; its parent is made.

    Yields:
        The temporary folder, beside it and hidden. It is removed if the block raises.

    Raises:
        OSError: `path` is there already, or the disk refuses.
    """
    with part_folder(path) as part:
        with naming_full_disk(path):
            yield part
            sync(part)
            move_folder(part, path)
        _sync(path.parent)


@contextlib.contextmanager
def part_folder(path: Path) -> Iterator[Path]:
    """Make a temporary folder for a path; it is removed when the block ends.

    It lies beside the path, hidden, or on the machine's own disk where no folder can be renamed:
    TensorFlow renames files, which such a mount may refuse as well.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        if _renames_folders(path.parent):
            part = unfinished.name_for(path)
        else:
            scratch = tempfile.TemporaryDirectory(prefix="trainer-", ignore_cleanup_errors=True)
            part = Path(stack.enter_context(scratch), path.name)
        part.mkdir()
        stack.callback(shutil.rmtree, part, ignore_errors=True)
        yield part


def _renames_folders(folder: Path) -> bool:
    """Return whether a folder that holds something can be renamed here."""
    made, renamed = (unfinished.name_for(folder / name) for name in ("rename", "renamed"))
    (made / "folder").mkdir(parents=True, exist_ok=True)
    try:
        made.rename(renamed)
    except OSError as error:
        return error.errno in _NOT_OF_RENAMING
    finally:
        for left in (made, renamed):
            shutil.rmtree(left, ignore_errors=True)
    return True


def sync(folder: Path) -> None:
    """Wait until all that is in a folder is on disk."""
    for file in sorted(folder.rglob("*")):
        _sync(file)
    _sync(folder)


def move_folder(part: Path, path: Path) -> None:
    """Give a folder its name, by one rename or file by file.

    Args:
        part: The folder; empty or gone afterwards.
        path: Its name, not yet there, on the same file system.

    Raises:
        OSError: `path` is there already, or the disk refuses; nothing is left there.
    """
    try:
        part.rename(path)
        return
    except OSError as error:
        if os.path.lexists(path) or error.errno in _NOT_OF_RENAMING:
            raise
    path.mkdir()
    try:
        (path / UNFINISHED).touch()
        found = sorted(part.rglob("*"), key=lambda file: (file.name in MARKERS, file))
        for file in found:
            place = path / file.relative_to(part)
            if file.is_dir():
                place.mkdir(parents=True, exist_ok=True)
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                move_file(file, place)
        _take_mark_away(path)
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise


def move_file(part: Path, path: Path) -> None:
    """Give a file its name, by a rename or, where there is none, by a copy.

    Args:
        part: The file.
        path: Its name; a file of that name is replaced.

    Raises:
        OSError: The disk refuses.
    """
    try:
        part.replace(path)
    except OSError as error:
        if error.errno in _NOT_OF_RENAMING or path.is_dir():
            raise
        shutil.copyfile(part, path)
        _sync(path)


@contextlib.contextmanager
def naming_full_disk(path: Path) -> Iterator[None]:
    """Raise an OSError that names the path when a block finds the disk full.

    TensorFlow raises an error of its own on a full disk, which names operations of its graph.

    Args:
        path: The file or folder that is being written.

    Raises:
        OSError: There is no space or quota left; any other error is raised as it is.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        for number in (errno.ENOSPC, errno.EDQUOT):
            text = os.strerror(number)
            if getattr(error, "errno", None) == number or text in str(error):
                raise OSError(number, text, str(path)) from error
        raise


def remove_folder(path: Path) -> None:
    """Remove a folder, or a file of its name; readers never find it with some files gone."""
    gone = unfinished.name_for(path)
    try:
        path.rename(gone)
    except OSError as error:
        if error.errno in _NOT_OF_RENAMING:
            raise
        if not path.is_symlink():
            for marker in [file for file in path.rglob("*") if file.name in MARKERS]:
                marker.unlink()
        gone = path
    _remove(gone)


def remove_leftovers(folder: Path) -> None:
    """Remove the unfinished files and folders that a killed process left in `folder`."""
    for part in unfinished.left_in(folder):
        _remove(part)
    for mark in folder.glob(f"*/{UNFINISHED}"):
        if any((mark.parent / marker).exists() for marker in MARKERS):
            _take_mark_away(mark.parent)
        else:
            _remove(mark.parent)


def _take_mark_away(folder: Path) -> None:
    # Some mounts forbid deleting; the folder is whole all the same.
    with contextlib.suppress(OSError):
        (folder / UNFINISHED).unlink()


def _remove(path: Path) -> None:
    # Remove a link itself, not the folder it points to.
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if not path.is_dir() or error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(handle)
