"""Who holds a lock: written into its file, for whoever comes second and for who finds it left."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from pathlib import Path
from typing import Any

from trainer.config import UserError


def in_use(name: str, owner: dict[str, Any]) -> UserError:
    """Return the error of a job that comes second."""
    who = ""
    if owner:
        who = f": process {owner.get('pid')} on {owner.get('host')}, since {owner.get('since')}"
    return UserError(
        subject=name,
        problem=f"in use by another job{who}",
        remedy="wait until it ends, or name another folder",
    )


def written(**more: Any) -> bytes:
    """Return what the file of a lock of this process holds.

    Args:
        **more: Held besides.
    """
    owner = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "process": _process(os.getpid()),
    }
    return json.dumps(owner | more).encode()


def parse(data: bytes | None) -> dict[str, Any]:
    """Return what a lock's file says of its owner, as text; empty if that is nothing."""
    with contextlib.suppress(ValueError):
        owner = json.loads(data or b"")
        if isinstance(owner, dict):
            return {k: " ".join(str(v).split())[:200] for k, v in owner.items()}
    return {}


def _process(pid: int) -> str:
    """Return what tells a process from all others there are or were, as far as this host knows."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        # The time at which it started, in ticks; the name before may hold anything.
        told = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        state, started = told[0], told[19]
        space = os.readlink("/proc/self/ns/pid")  # noqa: PTH115
    except OSError:
        return ""
    # One that only waits to be reaped has ended.
    return "" if state in "ZX" else f"{boot} {space} {pid} {started}"


def ended(owner: dict[str, Any]) -> bool:
    """Return whether it is known that a process of this host has ended."""
    told = owner.get("process", "").split()
    if len(told) != 4 or not told[2].isdecimal():
        return False
    here = _process(os.getpid()).split()
    if told[:2] != here[:2]:
        return False
    return _process(int(told[2])).split() != told
