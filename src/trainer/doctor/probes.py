"""What an examination asks the machine itself, beyond what its files say."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.doctor import stores
from trainer.runtime import cuda


def usable_cores() -> int:
    """The cores that this process may run on."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def look_up(host: str) -> Any:
    """The addresses of a host.

    Raises:
        OSError: The name does not resolve.
    """
    return socket.getaddrinfo(host, None)


@dataclass(frozen=True, kw_only=True)
class Probes:
    """The questions, which tests answer themselves, and how long an answer may take (seconds)."""

    statvfs: Callable[[Path], os.statvfs_result] = os.statvfs
    cores: Callable[[], int] = usable_cores
    look_up: Callable[[str], Any] = look_up
    now: Callable[[], float] = time.time
    gpu_causes: Callable[[], Sequence[cuda.Cause]] = cuda.causes
    unlinked: Callable[[], Path | None] = cuda.unlinked
    list_store: stores.ListStore = stores.list_data
    check_store: Callable[[str, str], None] = stores.check_folder
    host_seconds: float = 2.0
    driver_seconds: float = 10.0
    disk_seconds: float = 5.0
    data_seconds: float = 20.0


def size(number: float) -> str:
    """Bytes in words."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.4g} TB"
