"""Probes of an examination: facts that only the running machine can give, no file."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.doctor import stores
from trainer.runtime import cuda, installed_version


def usable_cores() -> int:
    """Return the number of cores that this process may run on."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def look_up(host: str) -> Any:
    """Return the addresses of a host.

    Raises:
        OSError: The name does not resolve.
    """
    return socket.getaddrinfo(host, None)


@dataclass(frozen=True, kw_only=True)
class Probes:
    """The questions, which tests answer themselves, and the limits of an examination.

    Attributes:
        statvfs: Returns the size of a file system and how much of it is free.
        cores: Returns the number of cores that this process may run on.
        look_up: Resolves a host's name, or raises an OSError.
        now: Returns the time since the epoch in seconds.
        installed_version: Returns the version of the first of some packages that is installed, or
            None.
        gpu_causes: Returns what keeps TensorFlow from using the GPUs.
        unlinked: Returns the folder of the library that TensorFlow does not look for, if any.
        list_store: See `stores.list_data`.
        check_store: See `stores.check_folder`.
        host_seconds: How long all names of hosts may take to resolve.
        driver_seconds: How long `nvidia-smi` may take.
        disk_seconds: How long one folder may take.
        data_seconds: How long the data may take.
        whole_bytes: Data up to this size is opened as training does, which finds damage; of more,
            only headers and the sample are read, and the examples are estimated.
        whole_files: The same as a number of files.
        sample_bytes: The size of the sample of each file.
    """

    statvfs: Callable[[Path], os.statvfs_result] = os.statvfs
    cores: Callable[[], int] = usable_cores
    look_up: Callable[[str], Any] = look_up
    now: Callable[[], float] = time.time
    installed_version: Callable[..., str | None] = installed_version
    gpu_causes: Callable[[], Sequence[cuda.Cause]] = cuda.causes
    unlinked: Callable[[], Path | None] = cuda.unlinked
    list_store: stores.ListStore = stores.list_data
    check_store: Callable[[str, str], None] = stores.check_folder
    host_seconds: float = 2.0
    driver_seconds: float = 10.0
    disk_seconds: float = 5.0
    data_seconds: float = 20.0
    whole_bytes: int = 64 << 20
    whole_files: int = 64
    sample_bytes: int = 1 << 20


def shown_size(number: float) -> str:
    """Return a number of bytes in its best unit."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.4g} TB"
