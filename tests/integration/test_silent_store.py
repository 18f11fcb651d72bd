"""A store that takes connections and never answers: the run says so, and stops when told to."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from processes import environment

pytest.importorskip("s3fs")
pytest.importorskip("gcsfs")

ACCESS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes connections, as the kernel does for it, and no more."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_phase_that_waits_for_a_store_says_so_and_obeys(silent, tmp_path):
    jobs = [
        ("s3", "AWS_ENDPOINT_URL", ["--train", "s3://bucket/data"]),
        ("gs", "STORAGE_EMULATOR_HOST", ["--train", "gs://bucket/data"]),
        ("s3", "AWS_ENDPOINT_URL", ["--checkpoint-dir", "s3://bucket/c"]),
        ("gs", "STORAGE_EMULATOR_HOST", ["--job-dir", "gs://bucket/job"]),
    ]
    for i in range(len(jobs)):
        (tmp_path / str(i)).mkdir()
    started = [
        subprocess.Popen(
            [sys.executable, "-u", "-m", "trainer", "train", "--steps", "1", *argv],
            env=environment(ACCESS | {variable: silent}), cwd=tmp_path / str(i), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for i, (_, variable, argv) in enumerate(jobs)
    ]  # fmt: skip
    try:
        for (scheme, _, argv), process in zip(jobs, started, strict=True):
            assert process.stdout is not None
            line = next(line for line in process.stdout if "waiting for an answer" in line)
            assert line.startswith(argv[0].replace("--job-dir", "--"))
            assert f"{scheme}://bucket" in line
            process.send_signal(signal.SIGTERM)
        for process in started:
            # No try of the driver's own would end as soon.
            rest = process.communicate(timeout=20)[0]
            assert process.returncode == 143, rest
            assert "told to stop" in rest
            assert "Traceback" not in rest
    finally:
        for process in started:
            process.kill()
            process.wait()
