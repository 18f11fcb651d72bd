"""Paths that are urls of object stores, and those that are not."""

from __future__ import annotations

import re
from urllib.parse import unquote

from trainer.config import UserError

URL = re.compile(r"(s3|gs|gcs)://([A-Za-z0-9][\w.-]*)(?:/(.*))?", re.DOTALL | re.ASCII)
# What is left of a url that went through `Path` or `os.path.normpath`.
COLLAPSED = re.compile(r"(s3|gs|gcs):/(?!/)")


def is_remote(path: str) -> bool:
    """Whether a path is the url of an object store."""
    return path.startswith(("s3://", "gs://", "gcs://"))


def local_path(path: str, *, flag: str) -> str:
    """A local path as it is, or that of a `file://` url; a UserError for any other url."""
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
