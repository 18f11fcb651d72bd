"""What can go wrong with an object store, and who can mend it."""

from __future__ import annotations

import errno
import re

from trainer.errors import RetryableError

NO_BUCKET = "there is no such bucket"


class StorageError(RetryableError):
    """A store or the network failed again and again; a later run may be luckier."""


class SizeError(Exception):
    """A file arrived with another size than it was sent with."""


def mistake_of(error: Exception, lost: str) -> str | None:
    """What no further try mends, in half a line; None for what one may."""
    code, status = answer_of(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the local disk is full; take a larger one"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, FileNotFoundError):
        return NO_BUCKET if code == "NoSuchBucket" else lost
    if status == 401 or re.search("Credential|Profile|Token", type(error).__name__):
        return f"no valid credentials were found ({code}); give this job a role or service account"
    if status == 403 or isinstance(error, PermissionError):
        return f"access is denied ({code}); let this job's role or service account in"
    return None


def answer_of(error: Exception) -> tuple[str, int | None]:
    """The store's short code of an error, or else the error's name; and the HTTP status."""
    if isinstance(error, SizeError):
        return str(error), None
    if isinstance(error, TimeoutError):
        return "no answer in time", None
    # As gcsfs says it.
    if str(error).startswith("Forbidden"):
        return "403", 403
    code, status = getattr(error, "code", None), getattr(error, "code", None)
    # As botocore says it, which s3fs gives as the cause of its own error.
    for at in (error, error.__cause__):
        response = getattr(at, "response", None)
        if isinstance(response, dict):
            code = response.get("Error", {}).get("Code")
            status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return re.sub(r"\W", "", str(code or type(error).__name__))[:40], status
