"""Urls of object stores and of local files, distinguished from plain paths."""

from __future__ import annotations

import re
from urllib.parse import unquote

from trainer.config import UserError

URL = re.compile(r"(s3|gs|gcs)://([A-Za-z0-9][\w.-]*)(?:/(.*))?", re.DOTALL | re.ASCII)
# `Path` and `os.path.normpath` make one slash of the two in a url.
COLLAPSED = re.compile(r"(s3|gs|gcs):/(?!/)")


def is_remote(path: str) -> bool:
    """Return whether a path is the url of an object store."""
    return path.startswith(("s3://", "gs://", "gcs://"))


def local_path(path: str, *, flag: str) -> str:
    """Return the local path that a path or `file://` url names.

    Args:
        path: A path, or a url that is not of an object store.
        flag: The flag that named it, for errors.

    Raises:
        UserError: It is a url of another kind, or has lost a slash.
    """
    if COLLAPSED.match(path):
        scheme, _, rest = path.partition(":/")
        raise UserError(
            subject=f"{flag} {path}",
            problem="a slash is missing",
            remedy=f"did you mean {scheme}://{rest}?",
        )
    if path.startswith("file:/") and not path.startswith("file://"):
        return unquote(path.removeprefix("file:"))
    scheme, separator, rest = path.partition("://")
    if not separator:
        return path
    if scheme != "file":
        raise UserError(
            subject=f"{flag} {scheme}://…",
            problem="expected s3://, gs://, file:// or a local path",
        )
    return unquote(rest.removeprefix("localhost") if rest.startswith("localhost/") else rest)
