"""The cost of a run before and after its steps: a 1-step run against `import tensorflow`."""

from __future__ import annotations

import functools
import resource
import tempfile
import time
from pathlib import Path

from benchmarks.common import Table, alternate, one_core, python


def measure(*, data: Path, rounds: int) -> Table:
    """Compare a 1-step run, with data, evaluation, export and its check, with an import."""
    with tempfile.TemporaryDirectory() as folder:
        run = ["-m", "trainer", "train", "--train", str(data), "--steps", "1", "--threads", "1"]
        out = ["--model-dir", f"{folder}/model"]
        commands = {
            '`python -c "import tensorflow"`': python("-c", "import tensorflow"),
            "`trainer train --steps 1` (cnn)": python(*run, *out),
            "`trainer train --steps 1 --model fast`": python(*run, *out, "--model", "fast"),
            "`trainer --help`": python("-m", "trainer", "--help"),
        }
        wall, wall_ratio = alternate(
            {name: functools.partial(_wall, command) for name, command in commands.items()},
            rounds=rounds,
        )
        cpu, cpu_ratio = alternate(
            {name: functools.partial(_cpu, command) for name, command in commands.items()},
            rounds=rounds,
        )
    rows = [
        (n, f"{wall[n]:.2f}", f"{wall_ratio[n]:.2f}", f"{cpu[n]:.2f}", f"{cpu_ratio[n]:.2f}")
        for n in commands
    ]
    head = ("process", "seconds", "× import", "CPU-seconds", "× import")
    return Table("Start-up: whole processes, one core", head, rows)


def _wall(command: list[str]) -> float:
    start = time.perf_counter()
    one_core(command)
    return time.perf_counter() - start


def _cpu(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    one_core(command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
