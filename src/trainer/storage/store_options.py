"""Settings of object stores: what their drivers are given, and the limits of requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class StorageLimits:
    """Times, sizes and numbers that bound requests to a store.

    Attributes:
        answer: Seconds for one answer.
        listing: Seconds for a list of all that is there.
        slowest: Bytes a second; a transfer that is slower is given up.
        tries: How often a request is made before it has failed.
        backoff: Seconds before the second try, twice as long before each further one.
        workers: Transfers at a time.
        progress: Seconds between lines of progress.
        poll: Seconds between looks at what runs.
        ending: Seconds for transfers to end that are given up.
        sending: Seconds without a byte after which results are not sent on by a run that was asked
            to stop.
    """

    answer: float = 60.0
    listing: float = 600.0
    slowest: int = 2**16
    tries: int = 4
    backoff: float = 1.0
    workers: int = 8
    progress: float = 5.0
    poll: float = 0.5
    ending: float = 2.0
    sending: float = 10.0


@dataclass(frozen=True, kw_only=True)
class StorageOptions:
    """Settings with which stores are reached.

    Attributes:
        s3: Arguments of s3fs, beyond what it finds for itself.
        gs: Arguments of gcsfs.
        limits: Times, sizes and numbers.
    """

    s3: Mapping[str, Any] = field(default_factory=dict)
    gs: Mapping[str, Any] = field(default_factory=dict)
    limits: StorageLimits = StorageLimits()


# Drivers find their own credentials and endpoints; limits are the defaults.
NO_OPTIONS = StorageOptions()
