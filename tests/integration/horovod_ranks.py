"""Ranks of Horovod as real processes, started without ssh: by variables and a rendezvous server."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import warm
from processes import environment

SCRIPTS = Path(__file__).parent / "horovod_scripts"


@contextmanager
def rendezvous(size: int) -> Iterator[list[dict[str, str]]]:
    """Serve the rendezvous of `size` ranks on this host.

    Yields:
        What each rank needs in its environment to meet the others.
    """
    from horovod.runner.common.util.hosts import get_host_assignments, parse_hosts
    from horovod.runner.http.http_server import RendezvousHandler, RendezvousHTTPServer

    slots = get_host_assignments(parse_hosts(f"localhost:{size}"), size)
    server = RendezvousHTTPServer(("127.0.0.1", 0), RendezvousHandler, 0)
    server.init(slots)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield [
            {
                "HOROVOD_HOSTNAME": slot.hostname,
                "HOROVOD_RANK": str(slot.rank),
                "HOROVOD_SIZE": str(slot.size),
                "HOROVOD_LOCAL_RANK": str(slot.local_rank),
                "HOROVOD_LOCAL_SIZE": str(slot.local_size),
                "HOROVOD_CROSS_RANK": str(slot.cross_rank),
                "HOROVOD_CROSS_SIZE": str(slot.cross_size),
                "HOROVOD_CONTROLLER": "gloo",
                "HOROVOD_CPU_OPERATIONS": "gloo",
                "HOROVOD_GLOO_RENDEZVOUS_ADDR": "127.0.0.1",
                "HOROVOD_GLOO_RENDEZVOUS_PORT": str(server.server_port),
                "HOROVOD_GLOO_IFACE": "lo",
            }
            for slot in slots
        ]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def run_ranks(script: str, size: int, out: Path, *, timeout: float = 120) -> list[dict]:
    """Run a script of horovod_scripts/ as that many ranks, to its end.

    Args:
        script: Its name.
        size: How many ranks.
        out: A folder: where the scripts leave `rank<n>.npz`, and their output.
        timeout: Seconds until those that still run are killed and the test fails.

    Returns:
        What each rank left, in their order: arrays by name.
    """
    with rendezvous(size) as variables:
        _run(script, variables, out, timeout)
    return [dict(np.load(out / f"rank{rank}.npz")) for rank in range(size)]


def run_one(script: str, out: Path, *, timeout: float = 120) -> None:
    """Run a script of horovod_scripts/ as one process without a launcher, to its end."""
    _run(script, [{}], out, timeout)


def _run(script: str, variables: list[dict[str, str]], out: Path, timeout: float) -> None:
    """A process for each of the environments."""
    # Under a launcher of its own this process would hand down its rank.
    inherited = {k: v for k, v in environment().items() if not k.startswith("HOROVOD_")}
    inherited |= {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",
        # Ranks that wait for each other's different tensors say for which, and end.
        "HOROVOD_STALL_CHECK_TIME_SECONDS": "10",
        "HOROVOD_STALL_SHUTDOWN_TIME_SECONDS": "40",
    }
    deadline = time.monotonic() + timeout
    logs = [out / f"rank{rank}.log" for rank in range(len(variables))]
    processes = []
    try:
        for log, own in zip(logs, variables, strict=True):
            with log.open("w") as stream:
                processes.append(
                    warm.Popen(
                        [sys.executable, "-u", str(SCRIPTS / script), str(out)],
                        env=inherited | own,
                        stdout=stream,
                        stderr=subprocess.STDOUT,
                    )
                )
        codes = _wait(processes, deadline)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    if any(code != 0 for code in codes):
        output = "\n".join(f"--- {log.name}\n{log.read_text()[-4000:]}" for log in logs)
        pytest.fail(f"{script} on {len(variables)} ranks ended with {codes}\n{output}")


def _wait(processes: list[subprocess.Popen], deadline: float) -> list[int | None]:
    """Until all have ended, one has failed, or it is too late: their exit codes."""
    while time.monotonic() < deadline:
        codes = [process.poll() for process in processes]
        if None not in codes or any(codes):
            return codes
        time.sleep(0.05)
    return [process.poll() for process in processes]


def has_horovod() -> None:
    """Skip where Horovod is not installed; in CI it must be."""
    try:
        import horovod.runner.http.http_server  # noqa: F401
    except ImportError as error:
        problem = f"no Horovod in {sys.executable}: `make horovod` builds it ({error})"
        if os.environ.get("CI"):
            pytest.fail(problem)
        pytest.skip(problem)
