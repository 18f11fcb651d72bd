"""The gain of a second process: 2 against 1, on as many cores, whole jobs side by side.

    MNIST_DIR=DIR python -m benchmarks scaling

Each job is run with few steps and with many: the difference of the two is the steps alone, of all
processes with their launcher, and what the short one takes more than one process's is the price of
the others' start and end. One process is pinned to one core, two have two.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common import Table

TRAIN = (sys.executable, "-m", "trainer", "train", "--threads", "1")
# It does not matter what the model learns, but the loss has to stay finite.
RATE = ("--learning-rate", "0.001")
TWO = ("--processes-per-host", "2")
APART = "two that have nothing to do with each other"
# The flags of each, and the number of processes that take a step of a batch each.
WAYS: dict[str, tuple[tuple[str, ...], int]] = {
    "one process": ((), 1),
    # What this machine has to give.
    APART: ((), 2),
    "horovod, 2 ranks": (("--distribution", "horovod", *TWO, "--scaling", "linear"), 2),
    "multi_worker_mirrored, 2 workers": (
        ("--distribution", "multi_worker_mirrored", *TWO, "--scaling", "linear"),
        2,
    ),
    # Each of its steps is one worker's.
    "parameter_server, 2 workers, 1 ps": (("--distribution", "parameter_server", *TWO), 1),
}
FEW, MANY = 50, 350


@dataclass(frozen=True)
class Cost:
    """Of one whole job: seconds, and CPU-seconds of all its processes."""

    seconds: float
    cpu_seconds: float

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.seconds - other.seconds, self.cpu_seconds - other.cpu_seconds)


def measure(*, data: Path, rounds: int, batch_size: int) -> Table:
    """Compare the ways to share the work with one process, in the same rounds."""
    steps: dict[str, list[Cost]] = {name: [] for name in WAYS}
    for _ in range(rounds):
        for name, (flags, share) in WAYS.items():
            # As many examples each, whoever takes the steps.
            counts = [n * (2 if name.startswith("parameter") else 1) for n in (FEW, MANY)]
            cores = [{0}, {1}] if name == APART else [{0} if name == "one process" else {0, 1}]
            few, many = (
                _job(data, cores, (*flags, "--steps", str(n), "--batch-size", str(batch_size)))
                for n in counts
            )
            cost = many - few
            images = (counts[1] - counts[0]) * batch_size * share
            steps[name].append(Cost(cost.seconds / images, cost.cpu_seconds / images))
    rows = []
    alone = steps["one process"]
    for name, costs in steps.items():
        pairs = list(zip(alone, costs, strict=True))
        faster = statistics.median(one.seconds / cost.seconds for one, cost in pairs)
        work = statistics.median(cost.cpu_seconds / one.cpu_seconds for one, cost in pairs)
        rate = statistics.median(1 / cost.seconds for cost in costs)
        each = statistics.median(cost.cpu_seconds for cost in costs)
        rows.append((name, f"{rate:,.0f}", f"{faster:.2f}", f"{each * 1e6:.1f}", f"{work:.2f}"))
    head = ("processes", "images/s", "× one", "CPU-µs an image", "× one")
    return Table(f"Scaling: cnn, batches of {batch_size} each, 1 process to 2", head, rows)


def measure_hosts(*, data: Path, rounds: int) -> Table:
    """Compare jobs of one step: one process, and a launcher and a process on each of two hosts."""
    jobs = {
        "one process": lambda: _job(data, [{0, 1}], ("--steps", "1")),
        "horovod, 2 hosts": lambda: _hosts(data, "horovod"),
        "multi_worker_mirrored, 2 hosts": lambda: _hosts(data, "multi_worker_mirrored"),
    }
    costs: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            costs[name].append(job().seconds)
    rows = []
    for name, seconds in costs.items():
        more = statistics.median(
            two - one for one, two in zip(costs["one process"], seconds, strict=True)
        )
        rows.append((name, f"{statistics.median(seconds):.1f}", f"{more:.1f}"))
    return Table("Start and end: jobs of one step", ("job", "seconds", "more than one"), rows)


def _job(data: Path, cores: Sequence[set[int]], flags: Sequence[str]) -> Cost:
    """One command on each of some sets of cores."""
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder, str(number)) for number in range(len(cores))]
        started = [
            _start(data, those, flags, place, {})
            for those, place in zip(cores, places, strict=True)
        ]
        return _cost(started)


def _hosts(data: Path, distribution: str) -> Cost:
    """Two hosts, both on this machine: each with a launcher of its own, as two containers are."""
    addresses = {"workerpool0": ["127.0.0.1:7201"], "workerpool1": ["127.0.0.1:7202"]}
    with tempfile.TemporaryDirectory() as folder:
        running = []
        for pool in addresses:
            spec = {"cluster": addresses, "task": {"type": pool, "index": 0}}
            more = {"CLUSTER_SPEC": json.dumps(spec)}
            flags = ("--distribution", distribution, "--steps", "1")
            running.append(_start(data, {0, 1}, flags, Path(folder), more))
        return _cost(running)


def _start(
    data: Path, cores: set[int], flags: Sequence[str], folder: Path, more: dict[str, str]
) -> tuple[subprocess.Popen[bytes], float]:
    argv = [*TRAIN, *RATE, "--train", str(data), "--model-dir", str(folder / "model"), *flags]
    began = time.perf_counter()
    return subprocess.Popen(
        argv,
        env={**os.environ, **more},
        stdout=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    ), began


def _cost(running: list[tuple[subprocess.Popen[bytes], float]]) -> Cost:
    """Wait for the processes of one job."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for process, _ in running:
        if process.wait(timeout=600):
            raise SystemExit(f"{process.args!r}: exit code {process.returncode}")
    seconds = time.perf_counter() - running[0][1]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(seconds, used)
