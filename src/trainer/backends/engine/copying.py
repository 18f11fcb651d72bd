"""Files that go into a container before it starts, and come out of it after it has ended."""

from __future__ import annotations

import errno
import io
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from trainer.backends.engine.client import Engine
from trainer.backends.engine.problems import engine_error
from trainer.backends.idle import IDLE, killed_when_idle
from trainer.config import RetryableError
from trainer.storage import ArchiveLimits, local, unfinished, unpack_archive

# A container is a person's own, but what a job wrote into it may be damaged.
LIMITS = ArchiveLimits(members=1_000_000, size=2**42)
FULL = "no space left on device"
NOT_THERE = re.compile("could not find the file|no such file or directory", re.IGNORECASE)


def copy_in(
    engine: Engine, container: str, files: Mapping[str, str], folders: Sequence[str] = ()
) -> None:
    """Write files and empty folders into a container that has not started.

    Any user of the container may read the files and write to the folders.

    Args:
        engine: The engine.
        container: The container's name.
        files: Their content by absolute path.
        folders: Absolute paths.
    """
    if not files and not folders:
        return
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for folder in folders:
            member = tarfile.TarInfo(folder.strip("/"))
            member.type, member.mode = tarfile.DIRTYPE, 0o777
            tar.addfile(member)
        for path, content in files.items():
            data = content.encode()
            member = tarfile.TarInfo(path.lstrip("/"))
            member.size, member.mode = len(data), 0o644
            tar.addfile(member, io.BytesIO(data))
    engine("cp", "-", f"{container}:/", data=packed.getvalue())


def copy_out(engine: Engine, container: str, path: str, to: Path) -> bool:
    """Copy a folder or a file out of a container, whole or not at all.

    Args:
        engine: The engine.
        container: The container's name; it may have ended.
        path: An absolute path in it.
        to: Its place here, which is not there yet, in a folder that is.

    Returns:
        False if the container has nothing there, or an empty folder.

    Raises:
        UserError: The engine refuses.
        OSError: The disk is full.
    """
    name = f"{container}:{path}"
    with unfinished.temporary_folder(to.parent) as scratch, local.naming_full_disk(to):
        packed, unpacked = Path(scratch, "packed.tar"), Path(scratch, "unpacked")
        code, text = _copy_to(packed, [engine.client, "cp", name, "-"], subject=name)
        if code:
            if NOT_THERE.search(text):
                return False
            if FULL in text:
                # It is this disk that is full, not the engine's.
                raise OSError(errno.ENOSPC, FULL, str(to))
            raise engine_error(text, subject=name)
        unpack_archive(packed, unpacked, name=name, limits=LIMITS)
        (member,) = unpacked.iterdir()
        if member.is_dir() and not any(member.iterdir()):
            # A job that runs has made the folder of its model; what comes into it is fetched later.
            return False
        member.rename(to)
    return True


def _copy_to(
    packed: Path, command: Sequence[str], *, subject: str, seconds: float = IDLE
) -> tuple[int, str]:
    """Write what a program sends to a file, and return its exit code and its errors.

    Raises:
        RetryableError: It sent nothing for some seconds.
    """
    with packed.open("wb") as file, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=errors)
        with killed_when_idle(process, lambda: packed.stat().st_size, seconds=seconds) as was_idle:
            code = process.wait()
        if was_idle():
            raise RetryableError(f"{subject}: the engine sent nothing for {seconds:.0f} s")
        errors.seek(0)
        return code, errors.read().decode(errors="replace")
