"""The end of a command that failed: the line that says why, and the exit code.

The line is printed and not logged: the modules of a user may have disabled all loggers.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass

from trainer.config import PEER_CODE, RETRY_CODE, PeerError, RetryableError, UserError
from trainer.runtime import (
    error_message,
    host_limits,
    install_command,
    log,
    message_lines,
    output,
)

USER_MISTAKE = 2
FAILURE = 1
# The extra that brings each package.
_EXTRAS = {
    "tensorflow": "cpu", "keras": "cpu", "starlette": "serve", "uvicorn": "serve",
    "orjson": "serve", "httptools": "serve", "prometheus_client": "serve", "optuna": "sweep",
    "pyarrow": "tables", "mlflow": "mlflow", "fsspec": "cloud", "s3fs": "cloud", "gcsfs": "cloud",
    "boto3": "submit", "botocore": "submit", "google": "submit", "yaml": "submit",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Ending:
    """The end of a command that failed.

    Attributes:
        reason: What failed.
        line: The same for standard error, without the program's name.
        code: The exit code.
    """

    reason: str
    line: str
    code: int

    def print(self, error: Exception | None = None) -> None:
        """Print the line to standard error, with the traceback of an error if it is given."""
        log.failure(f"trainer: {self.line}", error)


def ending_of(error: Exception) -> Ending | None:
    """Return the ending for an error that the user or a new try can mend; None for any other."""
    if isinstance(error, RetryableError):
        code = PEER_CODE if isinstance(error, PeerError) else RETRY_CODE
        line = f"failed: {error}; a new try may cure it"
        return Ending(reason=str(error), line=line, code=code)
    mistake = str(error) if isinstance(error, UserError) else host_limits.denied_by_limit(error)
    mistake = mistake or _missing_package(error) or _out_of_memory(error)
    if mistake is None:
        return None
    return Ending(reason=mistake, line=f"error: {mistake}", code=USER_MISTAKE)


def _out_of_memory(error: Exception) -> str | None:
    """Return the line for a tensor that has no room in memory, None for any other error."""
    message = error_message(error)
    if type(error).__name__ != "ResourceExhaustedError" or "OOM" not in message:
        return None
    return f"out of memory: {message}; lower --batch-size, or take a machine with more memory"


def _missing_package(error: Exception) -> str | None:
    """Return the line for a package that an extra of ours brings, None for any other error."""
    name = (getattr(error, "name", None) or "").partition(".")[0]
    if not isinstance(error, ModuleNotFoundError) or name not in _EXTRAS:
        return None
    extra = _EXTRAS[name]
    also = " (or [gpu], for a machine with one)" if extra == "cpu" else ""
    return f"the package {name} is missing; {install_command(extra)}{also}"


def ending_of_failure(error: Exception) -> Ending:
    """Return the ending for an unexpected error, which is a fault of the program."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        text = f"{error.filename2 or error.filename}: {error.strerror}"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            text += "; make room, or name a folder on a larger disk"
    else:
        words = " ".join(message_lines(str(error))) or error
        text = f"{type(error).__name__}: {words}"
    # Mask before cutting: half a secret would not be found.
    text = output.clean(" ".join(text.split()))[:500]
    return Ending(reason=text, line=f"failed: {text} (--debug shows where)", code=FAILURE)
