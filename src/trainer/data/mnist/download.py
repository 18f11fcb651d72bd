"""The download of MNIST's four IDX files from public mirrors, checked and resumable.

A file grows as `<name>.part` and gets its own name only when its checksum is right, so
a file under its own name is whole. What a broken download left is taken up again with
a Range request (RFC 9110, section 14), at whatever mirror answers next.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import http
import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from trainer.config import DataError, UserError
from trainer.data.mnist.mirror import (
    DEFAULTS,
    DownloadLimits,
    MirrorError,
    MirrorResponse,
    StartOverError,
)
from trainer.storage import move_file, unfinished

logger = logging.getLogger(__name__)

MIRRORS = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)
SUMS = """
440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609  train-images-idx3-ubyte.gz
3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c  train-labels-idx1-ubyte.gz
8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6  t10k-images-idx3-ubyte.gz
f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6  t10k-labels-idx1-ubyte.gz
"""  # as sha256sum prints them
FILES: Mapping[str, str] = {line[66:]: line[:64] for line in SUMS.strip().splitlines()}
"""The files' names and SHA-256."""


def download_mnist(
    out: Path,
    *,
    mirrors: Sequence[str] = MIRRORS,
    files: Mapping[str, str] = FILES,
    limits: DownloadLimits = DEFAULTS,
) -> list[Path]:
    """Bring the files into a folder; those already there and whole are not fetched.

    Several programs may do this in one folder at once: one fetches, the others wait.

    Args:
        out: The folder, made if need be.
        mirrors: Base addresses, http or https, tried in order for each file; the one
            that gave a file is asked first for the next.
        files: File names and their SHA-256 in hexadecimal digits.
        limits: Times and sizes.

    Returns:
        The files' paths, in the order of `files`.

    Raises:
        DataError: No mirror gave a file with the right checksum.
        UserError: The folder cannot be written, or a mirror's address is of no use.
    """
    for mirror in mirrors:
        if not mirror.startswith(("http://", "https://")):
            raise UserError(
                subject=f"mirror {mirror!r}",
                problem="expected an address with http:// or https://",
            )
    paths = []
    order = list(mirrors)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with _alone(out, limits.deadline * max(len(files), 1)) as handle:
            for name, checksum in files.items():
                path = out / name
                paths.append(path)
                if path.is_file():
                    if _checksum(path) == checksum:
                        logger.info("%s: already there", name)
                        continue
                    logger.info("%s: there, but damaged", name)
                mirror = _from_mirrors(path, checksum, order, limits=limits)
                order = [mirror, *(other for other in order if other != mirror)]
            with contextlib.suppress(OSError):  # a few file systems sync no folders
                os.fsync(handle)
    except BrokenPipeError:
        raise  # the reader of the log has gone; nothing is wrong with the folder
    except OSError as error:
        raise UserError(
            subject=f"folder {out}",
            problem=f"cannot be written ({error.strerror or error})",
            remedy="give another folder",
        ) from error
    return paths


@contextlib.contextmanager
def _alone(folder: Path, seconds: float) -> Iterator[int]:
    """Open the folder and hold its lock, as two writers of one .part file would spoil it."""
    handle = os.open(folder, os.O_RDONLY)
    end = time.monotonic() + seconds
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > end:
                    raise UserError(
                        subject=f"folder {folder}",
                        problem=f"another program has been downloading into it for {seconds:.0f} s",
                        remedy="end that one or give another folder",
                    ) from None
                time.sleep(0.05)
                continue
            except OSError:
                # Some network file systems lock no folders; the checksums still hold.
                pass
            break
        yield handle
    finally:
        os.close(handle)


def _from_mirrors(
    path: Path, checksum: str, mirrors: Sequence[str], *, limits: DownloadLimits
) -> str:
    """Fetch one file from the first mirror that has it whole; return that mirror."""
    part = unfinished.resumable_name_for(path)
    end = time.monotonic() + limits.deadline
    reasons = []
    for turn, mirror in enumerate(mirrors):
        url = f"{mirror.rstrip('/')}/{path.name}"
        # A slow mirror may use its share of the time only, and the next goes on where it ended.
        until = time.monotonic() + max(end - time.monotonic(), 0) / (len(mirrors) - turn)
        logger.info("%s: from %s", path.name, url)
        try:
            try:
                _fetch(url, path, part, checksum, limits=limits, until=until)
            except StartOverError as reason:
                part.unlink(missing_ok=True)
                logger.info("%s: %s; starting over", path.name, reason)
                _fetch(url, path, part, checksum, limits=limits, until=until)
        except MirrorError as reason:
            logger.info("%s: %s", path.name, reason)
            reasons.append(f"{mirror} {reason}")
            if part.exists() and part.stat().st_size == 0:
                part.unlink()
        else:
            return mirror
    raise DataError(
        subject=f"{path.name} could not be downloaded",
        problem=f"{'; '.join(reasons) or 'no mirror was given'}",
        remedy="check the network, or give the folder of the four files with --train",
    )


def _fetch(
    url: str, path: Path, part: Path, checksum: str, *, limits: DownloadLimits, until: float
) -> None:
    """Fetch what the .part file lacks, and give it its name if the checksum is right."""
    with part.open("ab") as file:
        had = part.stat().st_size
        # A program that ended just before its rename left the whole file.
        if had == 0 or _checksum(part) != checksum:
            response = MirrorResponse(url, had, limits=limits, until=until)
            try:
                _append(response, file, had, name=path.name, limits=limits)
            finally:
                response.close()
        file.flush()
        os.fsync(file.fileno())
    size = part.stat().st_size
    if (found := _checksum(part)) != checksum:
        part.unlink()
        # The wrong bytes may be the ones from an earlier download.
        kind = StartOverError if had else MirrorError
        raise kind(f"gave {size} bytes with the wrong SHA-256 {found[:12]}…")
    move_file(part, path)
    logger.info("%s: %d bytes, checksum right", path.name, size)


def _append(
    response: MirrorResponse, file: BinaryIO, had: int, *, name: str, limits: DownloadLimits
) -> None:
    """Append the rest of a body to a file that has `had` bytes of it."""
    head = response.head()
    if had and head.status != http.HTTPStatus.PARTIAL_CONTENT:
        file.truncate(0)
        had = 0
    elif had and not (head.content_range or "").startswith(f"bytes {had}-"):
        raise StartOverError(f"gave the range {head.content_range} for bytes {had}-")
    elif had:
        logger.info("%s: going on after %d bytes", name, had)
    got = 0
    reported = time.monotonic()
    while piece := response.piece():
        file.write(piece)
        got += len(piece)
        if time.monotonic() - reported >= limits.progress:
            reported = time.monotonic()
            whole = f" of {had + head.length}" if head.length else ""
            logger.info("%s: %d bytes%s", name, had + got, whole)
    if head.length is not None and got < head.length:
        raise MirrorError(f"broke off after {had + got} of {had + head.length} bytes")


def _checksum(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
