"""Paths that are urls of object stores, and those that are not."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from urllib.parse import unquote

from trainer.errors import UserError

URL = re.compile(r"(s3|gs|gcs)://([A-Za-z0-9][\w.-]*)(?:/(.*))?", re.DOTALL | re.ASCII)
WILD = re.compile(r"[*?[]")


def is_remote(path: str) -> bool:
    """Whether a path is the url of an object store."""
    return path.startswith(("s3://", "gs://", "gcs://"))


def local_path(path: str, *, flag: str) -> str:
    """A local path as it is, or that of a `file://` url; a UserError for any other url."""
    scheme, separator, rest = path.partition("://")
    if not separator:
        return path
    if scheme != "file":
        raise UserError(f"{flag} {scheme}://…: expected s3://, gs://, file:// or a local path")
    return unquote(rest.removeprefix("localhost") if rest.startswith("localhost/") else rest)


def matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a path, or a folder that it lies in, matches; both are split at their slashes."""
    if not pattern:
        return True
    if pattern[0] == "**":
        return any(matches(parts[i:], pattern[1:]) for i in range(len(parts) + 1))
    return (
        bool(parts)
        and fnmatch.fnmatchcase(parts[0], pattern[0])
        and matches(parts[1:], pattern[1:])
    )
