"""`trainer serve` against the bare call, Flask with gunicorn, and MLServer: latency and throughput.

All servers are up at the same time and are asked in turn. Unlike the other benchmarks this one uses
all cores: clients, HTTP and model run side by side, as they do in use.

Flask, gunicorn and MLServer are measured where they are: in this environment, or in that of
$RIVALS_PYTHON, an interpreter that has TensorFlow and `flask gunicorn mlserver 'uvloop<0.22'`
(MLServer 1.7.1 cannot start its workers with a newer uvloop, nor share one with our Starlette).
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.common import LONGEST, ROOT, Table, python

CONNECTIONS = (1, 8, 64)
IMAGES = (1, 50)
SECONDS = 4.0  # of one load
READY = 120.0
OURS, FLASK, BARE = "`trainer serve`", "Flask, gunicorn", "bare call"
RIVALS = os.environ.get("RIVALS_PYTHON", sys.executable)


@dataclass(frozen=True)
class Server:
    """A server that is measured.

    Attributes:
        name: Its name in the table.
        argv: The command that starts it, with {port}.
        path: The path of predictions.
        health: The path that answers 200 when the server is ready.
        bodies: Files of requests, by the number of images.
        cwd: The folder that it runs in.
    """

    name: str
    argv: tuple[str, ...]
    path: str
    health: str
    bodies: dict[int, Path]
    cwd: Path = ROOT


def measure(*, data: Path, rounds: int) -> list[Table]:
    """Measure all servers, and how soon ours is ready.

    Args:
        data: The folder of the original MNIST.
        rounds: Number of measurements of each figure; the table has their median.
    """
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        train = ["-m", "trainer", "train", "--model", "cnn", "--train", str(data), "--steps", "100"]
        run(python(*train, "--model-dir", str(work / "model")))
        model = work / "model/1"
        servers = _servers(work, data)
        figures: dict[tuple[str, int, int], list[dict[str, float]]] = {}
        with contextlib.ExitStack() as stack:
            ports = {s.name: stack.enter_context(up(s, model))[0] for s in servers}
            for _ in range(rounds):
                for images in IMAGES:
                    argv = ["-m", "benchmarks.serving", "--bare", str(model)]
                    bare = _last_json(python(*argv, "--images", str(images), "--data", str(data)))
                    figures.setdefault((BARE, images, 0), []).append(bare)
                    for connections in CONNECTIONS:
                        for s in servers:
                            found = _load(s, ports[s.name], images, connections)
                            figures.setdefault((s.name, images, connections), []).append(found)
        return [_table(figures, [s.name for s in servers]), _startup(model, rounds)]


def _table(figures: dict, names: list[str]) -> Table:
    def median(key: tuple[str, int, int], what: str) -> float:
        return statistics.median(each[what] for each in figures[key])

    rows = []
    for images in IMAGES:
        for name, connections in [(BARE, 0), *((n, c) for c in CONNECTIONS for n in names)]:
            key = (name, images, connections)
            rate, flask = median(key, "rate"), (FLASK, images, connections)
            rows.append(
                (
                    str(images),
                    str(connections or "–"),
                    name,
                    f"{median(key, 'p50') * 1000:.2f}",
                    f"{median(key, 'p99') * 1000:.2f}",
                    f"{rate:,.0f}",
                    f"{rate / median(flask, 'rate'):.1f}" if flask in figures else "–",
                )
            )
    head = ("images a request", "connections", "", "p50 ms", "p99 ms", "requests/s", "× Flask")
    return Table(f"Serving: `cnn`, JSON, {os.cpu_count()} cores", head, rows)


def _startup(model: Path, rounds: int) -> Table:
    """Measure from the start of the process to the first 200, against import and load alone."""
    code = f"import tensorflow as tf; tf.saved_model.load({str(model)!r})"
    bare, ready = [], []
    server = _ours(model.parent, {})
    for _ in range(rounds):
        begun = time.perf_counter()
        run(python("-c", code))
        bare.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        with up(server, model):
            ready.append(time.perf_counter() - begun)
    ratio = statistics.median(b / a for a, b in zip(bare, ready, strict=True))
    rows = [
        ("`import tensorflow` and load, whole process", f"{statistics.median(bare):.2f}", "1.00"),
        ("`trainer serve`, to the first 200", f"{statistics.median(ready):.2f}", f"{ratio:.2f}"),
    ]
    return Table("Serving: start to ready", ("process", "seconds", "× import and load"), rows)


def _servers(work: Path, data: Path) -> list[Server]:
    images = _images(data)
    rows, tensors = {}, {}
    for count in IMAGES:
        rows[count], tensors[count] = work / f"rows-{count}.json", work / f"v2-{count}.json"
        some = images[:count].round(4)
        rows[count].write_text(json.dumps({"instances": some.tolist()}))
        tensor = {"name": "image_input", "shape": list(some.shape), "datatype": "FP32"}
        v2 = {"inputs": [tensor | {"data": some.ravel().tolist()}]}
        tensors[count].write_text(json.dumps(v2))
    servers = [_ours(work / "model", rows)]
    if _has("gunicorn") and _has("flask"):
        argv: tuple[str, ...] = (
            RIVALS,
            "-m",
            "gunicorn",
            "-b",
            "127.0.0.1:{port}",
            "benchmarks.rivals.flask_server:app",
        )
        servers.append(Server(FLASK, argv, "/predict", "/ping", rows))
        more = (*argv[:3], "-w", str(os.cpu_count()), *argv[3:])
        name = f"{FLASK} -w {os.cpu_count()}"
        servers.append(Server(name, more, "/predict", "/ping", rows))
    if _has("mlserver"):
        folder = work / "mlserver"
        folder.mkdir()
        model_settings = {
            "name": "digits",
            "implementation": "benchmarks.rivals.mlserver_model.Digits",
        }
        batching = {"max_batch_size": 64, "max_batch_time": 0.002}
        (folder / "model-settings.json").write_text(json.dumps(model_settings | batching))
        argv = (RIVALS, "-m", "benchmarks.rivals.mlserver_model", "{port}")
        path, health = "/v2/models/digits/infer", "/v2/health/ready"
        servers.append(Server("MLServer", argv, path, health, tensors, folder))
    return servers


def _ours(folder: Path, bodies: dict[int, Path]) -> Server:
    argv = python("-m", "trainer", "serve", "--model-dir", str(folder), "--port", "{port}")
    return Server(OURS, tuple(argv), "/v1/models/model:predict", "/ping", bodies)


@contextlib.contextmanager
def up(server: Server, model: Path) -> Iterator[tuple[int, int]]:
    """Run a server while a block runs; yield its port and process id when it is ready."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    process = subprocess.Popen(
        [argument.format(port=port) for argument in server.argv],
        cwd=server.cwd,
        env=os.environ | {"MODEL": str(model), "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=all_cores,
        start_new_session=True,
    )
    try:
        _await(f"http://127.0.0.1:{port}{server.health}", process, server.name)
        yield port, process.pid
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        # Its whole process group, as some servers leave their workers behind.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=10)


def _await(url: str, process: subprocess.Popen, name: str) -> None:
    end = time.monotonic() + READY
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.01)
    raise SystemExit(f"{name} is not ready after {READY:g} s; its exit code: {process.poll()}")


def _load(server: Server, port: int, images: int, connections: int) -> dict[str, float]:
    argv = ["-m", "benchmarks.load", "--port", str(port), "--path", server.path]
    argv += ["--body", str(server.bodies[images]), "--connections", str(connections)]
    return _last_json(python(*argv, "--seconds", str(SECONDS)))


def _last_json(argv: list[str]) -> dict[str, float]:
    return json.loads(run(argv).splitlines()[-1])


def run(argv: list[str]) -> str:
    """Run a program on all cores, and return what it printed."""
    return subprocess.run(
        argv, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, timeout=LONGEST,
        preexec_fn=all_cores,
    ).stdout  # fmt: skip


def all_cores() -> None:
    """Let this process use all cores."""
    # The caller may have bound the benchmarks to one core.
    os.sched_setaffinity(0, set(range(os.cpu_count() or 1)))


def _has(module: str) -> bool:
    found = [RIVALS, "-c", f"import importlib.util as u; assert u.find_spec({module!r})"]
    return subprocess.run(found, check=False, stderr=subprocess.DEVNULL).returncode == 0


def _images(data: Path) -> np.ndarray:
    with gzip.open(data / "t10k-images-idx3-ubyte.gz") as file:
        return np.frombuffer(file.read()[16:], np.uint8).reshape(-1, 28, 28, 1) / 255


def _bare(model: str, images: np.ndarray) -> dict[str, float]:
    """Measure calls of the signature alone, in this process."""
    from trainer.runtime import import_tensorflow

    tf = import_tensorflow()
    loaded = tf.saved_model.load(model)
    call = loaded.signatures["serving_default"]
    array = images.astype(np.float32)
    times = []
    end = time.perf_counter() + SECONDS
    while (begun := time.perf_counter()) < end:
        {name: value.numpy() for name, value in call(image_input=tf.constant(array)).items()}
        times.append(time.perf_counter() - begun)
    times = sorted(times[len(times) // 5 :])
    middle, late = times[len(times) // 2], times[int(len(times) * 0.99)]
    return {"p50": middle, "p99": late, "rate": len(times) / sum(times)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bare", required=True)
    parser.add_argument("--images", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True)
    args = parser.parse_args()
    print(json.dumps(_bare(args.bare, _images(args.data)[: args.images])))


if __name__ == "__main__":
    main()
