"""The limits of this container's control group, of version 1 or 2: memory and processor time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from trainer.platforms import Environment

MOUNT = "/sys/fs/cgroup"


def memory(environment: Environment) -> tuple[int, int] | None:
    """Return the limit of memory and how much of it is left, in bytes; None without a limit.

    The kernel counts cached pages of files as used, but gives them up when memory is needed, so
    they count as left here.
    """
    found = []
    for folder in _folders(environment, "memory"):
        for limit_file, used_file, cache in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            limit = _number(folder / limit_file)
            # Version 1 writes a number close to 2**63 where there is no limit.
            if limit is not None and limit < 1 << 60:
                used = _number(folder / used_file) or 0
                used -= min(used, _stat(folder / "memory.stat", cache))
                found.append((max(0, limit - used), limit))
    if not found:
        return None
    left, limit = min(found)
    return limit, left


def cores(environment: Environment) -> float | None:
    """Return how many cores' worth of time may be used; None without a limit."""
    found = []
    for folder in _folders(environment, "cpu"):
        quota, period = (*_words(folder / "cpu.max"), "", "")[:2]
        quota = quota or " ".join(_words(folder / "cpu.cfs_quota_us"))
        period = period or " ".join(_words(folder / "cpu.cfs_period_us"))
        if quota.isdigit() and period.isdigit() and int(period):
            found.append(int(quota) / int(period))
    return min(found, default=None)


def _folders(environment: Environment, controller: str) -> Iterator[Path]:
    """Yield the folders of this process's group and of the groups above it that are mounted."""
    mounts = {"": environment.path(MOUNT), controller: environment.path(f"{MOUNT}/{controller}")}
    yield from mounts.values()
    for line in _text(environment.path("/proc/self/cgroup")).splitlines():
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        mount = next((mounts[n] for n in names.split(",") if n in mounts), None)
        parts = Path(path.lstrip("/")).parts
        if mount is None or ".." in parts:
            continue
        for depth in range(1, len(parts) + 1):
            yield mount.joinpath(*parts[:depth])


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdigit() else None


def _stat(path: Path, name: str) -> int:
    for line in _text(path).splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.isdigit():
            return int(value)
    return 0


def _words(path: Path) -> list[str]:
    return _text(path).split()


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
