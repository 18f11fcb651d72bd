"""The options of a job that tell how its data is read, and the file that names its classes."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from trainer.config import (
    Job,
    UserError,
    class_count,
    feature_names,
    image_size,
    pixel_range,
)
from trainer.data.formats.read_options import ReadOptions
from trainer.data.formats.table import MOST_CLASSES
from trainer.storage import is_remote, remote


def read_options(job: Job, *, class_names: Sequence[str] = ()) -> ReadOptions:
    """Return how the data of a job is read.

    Args:
        job: Names the options.
        class_names: The names of the classes in the order of their labels, where something else
            than the data decides on them; `--classes` comes before.

    Raises:
        UserError: The file of `--classes` is not as it should be.
    """
    classes = None
    if job.classes is not None:
        classes = class_count(job.classes)
        if classes is None:
            class_names = names_in(job.classes)
    return ReadOptions(
        skip_corrupt=job.skip_corrupt > 0,
        image_size=image_size(job.image_size) if job.image_size else None,
        pixel_range=pixel_range(job.pixel_range) if job.pixel_range else None,
        features=feature_names(job.feature),
        classes=len(class_names) or classes,
        class_names=tuple(class_names),
    )


def names_in(path: str | Path, *, flag: str = "--classes") -> tuple[str, ...]:
    """Return the names in a file, one a line in the order of their labels.

    Args:
        path: The file; s3:// and gs://, too.
        flag: The flag that named it, for errors.

    Raises:
        UserError: There is no such file, it is no text, or names are missing or double.
    """
    subject = f"{flag} {path}"
    try:
        lines = _content(str(path), flag).decode().splitlines()
    except OSError as error:
        raise UserError(subject=subject, problem=f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(subject=subject, problem="is no text in UTF-8") from None
    while lines and not lines[-1].strip():
        lines.pop()
    names = tuple(line.strip() for line in lines)
    problem = None
    if not 2 <= len(names) <= MOST_CLASSES:
        problem = f"has {len(names)} names, expected 2 to {MOST_CLASSES}, one a line"
    elif "" in names:
        problem = f"line {names.index('') + 1} is empty, expected a name"
    elif len(set(names)) < len(names):
        double = next(name for number, name in enumerate(names) if name in names[:number])
        problem = f"has the name {double} twice"
    if problem:
        raise UserError(subject=subject, problem=problem)
    return names


def _content(path: str, flag: str) -> bytes:
    return _object(path, flag) if is_remote(path) else Path(path).read_bytes()


@cache
def _object(url: str, flag: str) -> bytes:
    """Return an object of a store, which each split asks for, once a process."""
    found = remote.read_file(url, flag=flag)
    if found is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), url)
    return found
