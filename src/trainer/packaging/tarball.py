"""Writing `model.tar.gz`: the same bytes for the same files, and whole or not there at all."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from trainer.config import UserError
from trainer.storage import move_file, unfinished

# 9, Python's default, takes three times as long for weights, and saves nothing.
LEVEL = 6
# The first of 1980: of what is as old as 1970, tar warns.
TIME = 315_532_800


def pack(out: Path, files: Mapping[str, Path | bytes]) -> Path:
    """Write a gzipped tar file.

    Names are sorted; times, owners and the order of the disk leave no trace in it.

    Args:
        out: Where; a file there is replaced.
        files: What goes in, by name: a file, or bytes.

    Returns:
        `out`.

    Raises:
        UserError: It cannot be written, or a file cannot be read.
    """
    part = unfinished.name_for(out)
    folders = {str(up) for name in files for up in PurePosixPath(name).parents} - {"."}
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            with (
                gzip.GzipFile("", "wb", LEVEL, file, mtime=0) as zipped,
                tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
            ):
                for name in sorted({*files, *folders}):
                    _add(tar, name, files.get(name))
            file.flush()
            os.fsync(file.fileno())
        move_file(part, out)
    except OSError as error:
        what = error.filename or out
        raise UserError(
            subject=what,
            problem=f"{error.strerror or error}",
            remedy=f"{out} was not written",
        ) from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return out


def _add(tar: tarfile.TarFile, name: str, content: Path | bytes | None) -> None:
    """Add one file, or a folder where there is no content."""
    info = tarfile.TarInfo(name)
    info.mode, info.mtime = 0o644, TIME
    if content is None:
        info.type, info.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(info)
    elif isinstance(content, bytes):
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    else:
        with content.open("rb") as file:
            info.size = os.fstat(file.fileno()).st_size
            tar.addfile(info, file)
