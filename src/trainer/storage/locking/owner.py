"""The owner of a lock, as written into its file: read by a second job, and after a crash."""

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
    holder = ""
    if owner:
        holder = f": process {owner.get('pid')} on {owner.get('host')}, since {owner.get('since')}"
    return UserError(
        subject=name,
        problem=f"in use by another job{holder}",
        remedy="wait until it ends, or name another folder",
    )


def written(**more: Any) -> bytes:
    """Return the content of a lock file that this process owns.

    Args:
        **more: Further fields.
    """
    owner = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "process": _process(os.getpid()),
    }
    return json.dumps(owner | more).encode()


def parse(data: bytes | None) -> dict[str, Any]:
    """Return the fields of a lock file, as text; empty if it cannot be read."""
    with contextlib.suppress(ValueError):
        owner = json.loads(data or b"")
        if isinstance(owner, dict):
            return {k: " ".join(str(v).split())[:200] for k, v in owner.items()}
    return {}


def _process(pid: int) -> str:
    """Return a text that only this process of all times has on its host; empty if it has ended."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        # The name in parentheses may contain anything; field 22 is the start time, in ticks.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        state, started = fields[0], fields[19]
        space = os.readlink("/proc/self/ns/pid")  # noqa: PTH115
    except OSError:
        return ""
    # A zombie has ended, and only waits to be reaped.
    return "" if state in "ZX" else f"{boot} {space} {pid} {started}"


def ended(owner: dict[str, Any]) -> bool:
    """Return whether it is known that a process of this host has ended."""
    process = owner.get("process", "").split()
    if len(process) != 4 or not process[2].isdecimal():
        return False
    here = _process(os.getpid()).split()
    if process[:2] != here[:2]:
        return False
    return _process(int(process[2])).split() != process
