"""Errors of object stores: which of them are mistakes, which may pass, and what mends each."""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass
from typing import Any

from trainer.config import RetryableError

NO_BUCKET = "there is no such bucket"
# Error codes of S3 and of compatible stores that no further try mends, with the remedy of each.
MISTAKES: dict[str, str] = {
    **dict.fromkeys(
        ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"),
        "the credentials have expired ({code}); give this job fresh ones, or a role",
    ),
    **dict.fromkeys(
        ("InvalidAccessKeyId", "InvalidToken", "InvalidClientTokenId", "InvalidSecurity"),
        "the store does not know the access key ({code}); check the credentials and whose they are",
    ),
    "SignatureDoesNotMatch": "the secret key is not the access key's ({code}); check both",
    **dict.fromkeys(
        (
            "AuthorizationHeaderMalformed", "PermanentRedirect", "Redirect", "IncorrectEndpoint",
            "IllegalLocationConstraintException", "InvalidLocationConstraint",
        ),
        "the bucket is in another region{region} ({code}); set AWS_DEFAULT_REGION to it",
    ),
    "InvalidObjectState": "it is archived ({code}); restore it, or copy it to a storage class that "
    "can be read at once",
    "RequestTimeTooSkewed": "this machine's clock is wrong ({code}); set it (NTP)",
    "InvalidBucketName": "no bucket can have this name ({code})",
    "ParamValidationError": "no bucket or object can have this name ({code})",
    "NoSuchBucket": NO_BUCKET,
}  # fmt: skip
# Error codes with a status of 400 to 499 after which another try may succeed.
PASSING = re.compile(
    r"RequestTimeout|SlowDown|.*Throttl.*|TooManyRequests.*|RequestLimitExceeded|OperationAborted|"
    r"BadDigest|IncompleteBody|XAmzContentSHA256Mismatch|PriorRequestNotComplete|"
    r"BandwidthLimitExceeded|ConditionalRequestConflict|TemporaryRedirect|"
    r"(user)?[Rr]ateLimitExceeded"
)
PASSING_STATUSES = {307, 408, 409, 425, 429}


class StorageError(RetryableError):
    """A store or the network failed again and again; a later run may succeed.

    Attributes:
        problem: The failure alone, where the text begins with what it happened to.
    """

    def __init__(self, text: str, *, problem: str | None = None) -> None:
        super().__init__(text)
        self.problem = text if problem is None else problem


class SizeError(Exception):
    """A file has another size at its destination than at its source."""


@dataclass(frozen=True)
class StoreResponse:
    """A store's response to a request that failed.

    Attributes:
        code: The short code of the error, or the error's name if the store gave none.
        status: The status of HTTP, if there was a response.
        region: The region that the store names as the bucket's.
    """

    code: str
    status: int | None = None
    region: str | None = None

    @property
    def is_bare(self) -> bool:
        """True if the response had no body, so that its code is the status."""
        return self.code.isdigit() and self.status is not None and self.status < 500


def permanent_problem(error: Exception, if_missing: str) -> str | None:
    """Return what is wrong if no further try can succeed, in half a line.

    Args:
        error: The error that a driver raised.
        if_missing: The words for an object that is not there.

    Returns:
        The problem and its remedy; None if a new try may succeed.
    """
    answer = store_response(error)
    code, status = answer.code, answer.status
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the local disk is full; take a larger one"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if code in MISTAKES or status == 301:
        region = f", {answer.region}" if answer.region else ""
        words = MISTAKES.get(code, MISTAKES["PermanentRedirect"])
        return words.format(code=code, region=region)
    if PASSING.fullmatch(code) or status in PASSING_STATUSES:
        return None
    if isinstance(error, FileNotFoundError):
        return if_missing
    if isinstance(error, ValueError) and re.search("[Ii]nvalid endpoint", str(error)):
        return "the store's address is none; check AWS_ENDPOINT_URL"
    if code == "UserProjectMissing":
        return f"its requester pays ({code}), which is not done; copy it to a bucket of your own"
    name = type(error).__name__
    revoked = name == "RefreshError" and not getattr(error, "retryable", True)
    if status == 401 or revoked or re.search("Credential|Profile|Token", name):
        return (
            f"no valid credentials were found ({code}); sign in (aws configure, gcloud auth "
            "application-default login), or give this job a role or service account"
        )
    if code.startswith("KMS."):
        return f"its key of KMS cannot be used ({code}); let this job's role use it, or enable it"
    if status == 403 or (status is None and isinstance(error, PermissionError)):
        return f"access is denied ({code}); let this job's role or service account in"
    if status is not None and 400 <= status < 500:
        return f"the store refuses it ({code})"
    return None


def store_response(error: Exception) -> StoreResponse:
    """Return the store's response, from the error that a driver made of it."""
    if isinstance(error, SizeError):
        return StoreResponse(str(error))
    # s3fs raises an error of its own, whose cause is botocore's, which has the response.
    for at in (error, error.__cause__):
        response = getattr(at, "response", None)
        if isinstance(response, dict):
            return _of_s3(response)
    if isinstance(error, TimeoutError):
        return StoreResponse("no answer in time")
    return _of_google(error)


def _of_s3(response: dict[str, Any]) -> StoreResponse:
    details, meta = response.get("Error", {}), response.get("ResponseMetadata", {})
    headers = meta.get("HTTPHeaders", {})
    region = details.get("Region") or headers.get("x-amz-bucket-region")
    status = meta.get("HTTPStatusCode")
    return StoreResponse(
        _short(details.get("Code") or status), status, _short(region) if region else None
    )


def _of_google(error: Exception) -> StoreResponse:
    """Read an error of gcsfs, which keeps the message of a response, but not its code."""
    text = str(error)
    # Only these phrases of Google's are used: any other text may hold addresses or tokens.
    if "requester pays" in text:
        return StoreResponse("UserProjectMissing", 400)
    if re.search(r"[Rr]ate ?[Ll]imit ?[Ee]xceeded|exceeded the rate limit", text):
        return StoreResponse("rateLimitExceeded", 429)
    if text.startswith("Forbidden"):
        right = re.search(r"\bstorage\.[a-z]+\.[a-zA-Z]+\b", text)
        more = f" {right[0]}" if right else " billing is disabled" if "billing" in text else ""
        return StoreResponse(f"403{more}", 403)
    if text.startswith("Bad Request"):
        return StoreResponse("400", 400)
    number = getattr(error, "code", None) or getattr(error, "status", None)
    status = int(number) if number is not None and str(number).isdigit() else None
    return StoreResponse(_short(status or type(error).__name__), status)


def _short(code: Any) -> str:
    return re.sub(r"[^\w.-]", "", str(code))[:40]
