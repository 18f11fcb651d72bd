"""Latency of `/ping` while a server reads the largest bodies that it takes.

    python -m benchmarks health

A load balancer that gets no response in time sends requests elsewhere, or restarts the server.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.common import ROOT, Table, python
from benchmarks.serving import OURS, Server, all_cores, run, up

SECONDS = 20.0  # of each load
BODY = 99 * 2**20  # bytes; the server takes 100 MiB
CONNECTIONS = 4  # at a time
EVERY = 0.02  # seconds between pings
SLOW = BODY / 40  # bytes a second of an upload that takes its time
ROW = 784
LOADS = {
    "none": "–",
    "json": f"{CONNECTIONS} × 100 MB of JSON, again and again",
    "lists": f"{CONNECTIONS} × 100 MB of JSON in columns and lists of another shape",
    "csv": f"{CONNECTIONS} × 100 MB of CSV, again and again",
    "slow": f"{CONNECTIONS} × 100 MB, slowly",
}


def measure(*, data: Path) -> Table:
    """Measure the latency of `/ping` under each load, and the server's peak memory.

    Args:
        data: The folder of the original MNIST.
    """
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        train = ["-m", "trainer", "train", "--model", "fast", "--train", str(data), "--steps", "20"]
        run(python(*train, "--model-dir", str(work / "model")))
        argv = python("-m", "trainer", "serve", "--model-dir", str(work / "model"))
        server = Server(OURS, (*argv, "--port", "{port}"), "/invocations", "/ping", {})
        for load, name in LOADS.items():
            with up(server, work / "model/1") as (port, pid):
                with _under(load, port):
                    times = _pings(port)
                rows.append((name, *_figures(times), f"{_peak(pid) / 2**20:,.0f}"))
    head = ("load", "p50 ms", "p99 ms", "longest ms", "most memory MiB")
    return Table("Serving: `/ping` beside large bodies", head, rows)


def _figures(times: list[float]) -> tuple[str, str, str]:
    ordered = sorted(times)
    places = (len(ordered) // 2, int(len(ordered) * 0.99), -1)
    p50, p99, longest = (f"{ordered[at] * 1000:.1f}" for at in places)
    return p50, p99, longest


def _pings(port: int) -> list[float]:
    times = []
    end = time.perf_counter() + SECONDS
    while (begun := time.perf_counter()) < end:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as asked:
            asked.request("GET", "/ping")
            if asked.getresponse().status != 200:
                raise SystemExit("/ping is not 200")
        times.append(time.perf_counter() - begun)
        time.sleep(EVERY)
    return times


def _peak(pid: int) -> int:
    """Return the peak memory of a process, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


@contextlib.contextmanager
def _under(load: str, port: int) -> Iterator[None]:
    """Have another process send the load while a block runs."""
    if load == "none":
        yield
        return
    argv = ["-m", "benchmarks.health", "--load", load, "--port", str(port)]
    process = subprocess.Popen(
        python(*argv), cwd=ROOT, stdout=subprocess.PIPE, text=True, preexec_fn=all_cores
    )
    try:
        assert process.stdout is not None
        # It prints a line once it sends the first body.
        process.stdout.readline()
        yield
    finally:
        process.kill()
        process.wait(timeout=10)


def _body(load: str) -> tuple[str, bytes]:
    values = np.random.default_rng(0).random((64, ROW)).round(4)
    if load == "csv":
        lines = "".join(",".join(map(str, row)) + "\n" for row in values.tolist()).encode()
        return "text/csv", lines * (BODY // len(lines))
    if load == "lists":
        rows = json.dumps(values.tolist())[1:-1].encode() + b","
        inner = (rows * (BODY // len(rows)))[:-1]
        return "application/json", b'{"inputs":{"image_input":[' + inner + b"]}}"
    rows = json.dumps(values.reshape(-1, 28, 28, 1).tolist())[1:-1].encode() + b","
    return "application/json", b'{"instances":[' + (rows * (BODY // len(rows)))[:-1] + b"]}"


def _send(port: int, kind: str, body: bytes, *, slowly: bool) -> None:
    head = f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n"
    while True:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(head.encode())
            print("sending", flush=True)
            view = memoryview(body)
            for start in range(0, len(body), 2**18):
                with contextlib.suppress(OSError):
                    connection.sendall(view[start : start + 2**18])
                if slowly:
                    time.sleep(2**18 / SLOW)
            with contextlib.suppress(OSError):
                while connection.recv(2**16):
                    pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--load", choices=[*LOADS], required=True)
    parser.add_argument("--port", type=int, required=True)
    args = parser.parse_args()
    kind, body = _body(args.load)
    for _ in range(CONNECTIONS):
        how = {"slowly": args.load == "slow"}
        threading.Thread(target=_send, args=(args.port, kind, body), kwargs=how).start()


if __name__ == "__main__":
    main()
