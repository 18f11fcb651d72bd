"""One request to an object store: logged, and tried again where that may help.

The drivers' own errors may contain signed addresses or tokens, so that no more than the short code
of an error is ever passed on.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from trainer.config import UserError
from trainer.storage.errors import StorageError, permanent_problem, store_response
from trainer.storage.store_options import StorageLimits

T = TypeVar("T")

logger = logging.getLogger(__name__)


def request_logged(verb: str, url: str, request: Callable[[], T], result: Callable[[T], str]) -> T:
    """Make a request, and log one line of its outcome at DEBUG.

    Args:
        verb: The method, as in HTTP: GET, PUT, HEAD, LIST, DELETE.
        url: The address of the object or folder, which holds no secret (see `RemotePath`).
        request: Makes it.
        result: Returns the outcome in words, from the value that `request` returned.
    """
    begun = time.monotonic()
    try:
        value = request()
    except Exception as error:
        code, seconds = store_response(error).code, time.monotonic() - begun
        logger.debug("%s %s failed with %s in %.2f s", verb, url, code, seconds)
        raise
    logger.debug("%s %s %s in %.2f s", verb, url, result(value), time.monotonic() - begun)
    return value


def request_retried(
    call: Callable[[], T],
    *,
    subject: str,
    if_missing: str,
    limits: StorageLimits,
    stop: threading.Event,
    explain: Callable[[Exception], Exception],
) -> T:
    """Make requests until they succeed, or until no further try will help.

    Args:
        call: Makes them.
        subject: The flag and url, for errors.
        if_missing: The words for an object that is not there, for errors.
        limits: How often to try, and how long to wait.
        stop: Once set, no further try is made.
        explain: Returns an error that says more than the one that was raised, or the same.

    Raises:
        UserError: A mistake, which no further try mends.
        StorageError: The store or the network failed each time.
    """
    for tried in range(1, limits.tries + 1):
        try:
            return call()
        except (UserError, StorageError):
            raise
        except Exception as error:
            if stop.is_set():
                raise
            error = explain(error)
            code = store_response(error).code
            if mistake := permanent_problem(error, if_missing):
                raise UserError(
                    subject=subject,
                    problem=mistake,
                ) from None
        if tried < limits.tries:
            stop.wait(limits.backoff * 2 ** (tried - 1))
    problem = f"failed {limits.tries} times, at last with {code}"
    raise StorageError(f"{subject}: {problem}", problem=problem)
