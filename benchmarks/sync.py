"""Files sent to and fetched from two local servers, by `trainer data sync` and their own clients.

Both servers are written in Python and take most of the time: what counts is how much of what a
server gives to its own client it gives to ours. `s5cmd` is measured where it is on the PATH.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common import LONGEST, ROOT, Table, python

# Files and bytes each. Google's emulator writes a list of all objects with each one.
MANY = {"s3": (5000, 4_000), "gs": (1000, 4_000)}
FEW = (4, 256_000_000)
TITLES = {"s3": "moto (S3)", "gs": "gcp-storage-emulator (Google)"}
OWN = {"s3": "boto3", "gs": "google-cloud-storage"}


@dataclass
class _Figures:
    """Wall seconds and CPU-seconds of each round."""

    wall: list[float]
    cpu: list[float]


def measure(*, rounds: int) -> Table:
    """Compare all clients at both servers, by turns."""
    rows: list[tuple[str, ...]] = []
    with tempfile.TemporaryDirectory() as folder:
        cases = [(kind, case) for kind in TITLES for case in (MANY[kind], FEW)]
        for kind, (count, size) in cases:
            title = TITLES[kind]
            source = _made(Path(folder) / f"{count}", count, size)
            for way, figures in _measured(kind, source, Path(folder), rounds).items():
                rows += _rows(f"{title}, {count:,} × {_bytes(size)}, {way}", figures, count * size)
    return Table(
        "Data sync: what a server gives to each client",
        ("server, files, way", "client", "seconds", "MB/s", "× own client", "CPU-seconds"),
        rows,
    )


def _rows(what: str, figures: dict[str, _Figures], size: int) -> list[tuple[str, ...]]:
    first = next(iter(figures.values()))
    rows: list[tuple[str, ...]] = []
    for name, each in figures.items():
        wall = statistics.median(each.wall)
        ratio = statistics.median(a / b for a, b in zip(first.wall, each.wall, strict=True))
        cpu = statistics.median(each.cpu)
        cells = (f"{wall:.1f}", f"{size / wall / 1e6:,.1f}", f"{ratio:.2f}", f"{cpu:.1f}")
        rows.append((what, name, *cells))
    return rows


def _measured(kind: str, source: Path, folder: Path, rounds: int) -> dict[str, dict[str, _Figures]]:
    """Return the figures of each client, up and down."""
    found: dict[str, dict[str, _Figures]] = {"up": {}, "down": {}}
    for _ in range(rounds):
        for client in _clients(kind):
            # A new server each time: it gets slower with all that it keeps.
            with _serving(kind) as env:
                for way in ("up", "down"):
                    target = folder / "out"
                    target.mkdir()
                    wall, cpu = _timed(
                        _argv(client, kind, way, source if way == "up" else target, "x"), env
                    )
                    shutil.rmtree(target)
                    figures = found[way].setdefault(client, _Figures([], []))
                    figures.wall.append(wall)
                    figures.cpu.append(cpu)
    return found


def _clients(kind: str) -> list[str]:
    s5cmd = ["`s5cmd cp`"] if kind == "s3" and shutil.which("s5cmd") else []
    return [OWN[kind], *s5cmd, "`trainer data sync`"]


def _argv(client: str, kind: str, way: str, folder: Path, prefix: str) -> Sequence[str]:
    url = f"{kind}://bucket/{prefix}"
    if client == "`trainer data sync`":
        pair = (str(folder), url) if way == "up" else (url, str(folder))
        return python("-m", "trainer", "data", "sync", *pair)
    if client == "`s5cmd cp`":
        pair = (f"{folder}/", f"{url}/") if way == "up" else (f"{url}/*", f"{folder}/")
        return ["s5cmd", "--log", "error", "cp", *pair]
    return python("-m", "benchmarks.rivals.store_clients", kind, way, str(folder), prefix)


def _timed(argv: Sequence[str], env: dict[str, str]) -> tuple[float, float]:
    """Run a client on all cores; return wall seconds and CPU-seconds."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        argv, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, preexec_fn=_all_cores
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, argv)
    return time.perf_counter() - begun, usage.ru_utime + usage.ru_stime


@contextlib.contextmanager
def _serving(kind: str) -> Iterator[dict[str, str]]:
    """Start a server, and yield the environment that leads there."""
    server = subprocess.Popen(
        python("-m", "benchmarks.rivals.store_server", kind), cwd=ROOT, preexec_fn=_all_cores,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert server.stdin
    assert server.stdout
    try:
        url = server.stdout.readline().strip()
        keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_REGION": "us-east-1"}
        keys |= {"AWS_ENDPOINT_URL": url, "S3_ENDPOINT_URL": url, "AWS_DEFAULT_REGION": "us-east-1"}
        yield os.environ | (keys if kind == "s3" else {"STORAGE_EMULATOR_HOST": url})
    finally:
        server.stdin.close()
        server.wait(LONGEST)


def _made(folder: Path, count: int, size: int) -> Path:
    if not folder.exists():
        folder.mkdir()
        for number in range(count):
            (folder / f"{number:05}").write_bytes(os.urandom(size))
    return folder


def _bytes(size: int) -> str:
    return f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


def _all_cores() -> None:
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
