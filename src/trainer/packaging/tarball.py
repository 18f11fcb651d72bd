"""Write `model.tar.gz`: the same bytes for the same files, whole or not at all."""

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

# Python's default, 9, takes three times as long for weights and makes no smaller file.
LEVEL = 6
# The first day of 1980; tar warns of files from 1970.
TIME = 315_532_800


def write_tarball(out: Path, files: Mapping[str, Path | bytes]) -> Path:
    """Write a gzipped tar file.

    Names are sorted; times, owners and the order on disk leave no trace in it.

    Args:
        out: The file to write, or to replace.
        files: A file or bytes for each name in the archive.

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
        path = error.filename or out
        raise UserError(
            subject=path,
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
