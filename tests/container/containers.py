"""Running containers as the platforms and people do: the real engine, and nothing left behind."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
DEADLINE = 180.0
PREFIX = "trainer-test-"
RANK = re.compile(r"^\[[^]]+\] ")


def message(line: str) -> str:
    """Return the message of a line of JSON, and any other line as it is."""
    return str(json.loads(line).get("message", line)) if line.startswith('{"severity"') else line


class Engine:
    """One docker client.

    Args:
        client: The program.
    """

    def __init__(self, client: str) -> None:
        self.client = client

    def __call__(
        self, *argv: str, timeout: float = DEADLINE, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run one command of the client; what fails and may not is told with all it printed."""
        ran = subprocess.run(
            [self.client, *argv], capture_output=True, text=True, timeout=timeout, check=False
        )
        if check and ran.returncode:
            pytest.fail(
                f"{shlex.join(argv)}: exit code {ran.returncode}\n{ran.stdout}\n{ran.stderr}"
            )
        return ran

    def inspect(self, image: str) -> dict[str, Any]:
        """What is known of an image."""
        return json.loads(self("image", "inspect", image).stdout)[0]

    @contextmanager
    def network(self) -> Iterator[str]:
        """A network of its own, with names and no way out of it, and with it what is in it."""
        name = f"{PREFIX}{uuid.uuid4().hex[:8]}"
        self("network", "create", "--internal", name)
        try:
            yield name
        finally:
            # A network with containers in it cannot be removed.
            held = self("ps", "-aq", "--filter", f"network={name}", check=False).stdout.split()
            if held:
                self("rm", "--force", "--volumes", *held, check=False)
            self("network", "rm", name, check=False)


class Container:
    """A container in the background; removed at the end, whatever happens.

    Args:
        engine: The client.
        image: What to run.
        argv: Its arguments.
        options: Of `docker run`.
    """

    def __init__(
        self, engine: Engine, image: str, argv: Sequence[str] = (), options: Sequence[str] = ()
    ) -> None:
        self.engine = engine
        self.name = f"{PREFIX}{uuid.uuid4().hex[:8]}"
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._ended = False
        try:
            engine("create", "--name", self.name, *options, image, *argv)
            self.start()
        except BaseException:
            # Late, it may have been created all the same.
            engine("rm", "--force", "--volumes", self.name, check=False)
            raise

    def __enter__(self) -> Container:
        return self

    def __exit__(self, *_: object) -> None:
        self.engine("rm", "--force", "--volumes", self.name, check=False)
        self._reader.join(30)

    def start(self) -> None:
        """Start it, or start it again."""
        self._ended = False
        self._process = subprocess.Popen(
            [self.engine.client, "start", "--attach", self.name],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._news:
                self.lines.append(line.rstrip("\n"))
                self._news.notify_all()
        self._process.wait()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def until(self, begins: str, *, after: int = 0, timeout: float = DEADLINE) -> str:
        """Wait for a line that begins so, after `[host rank]`, beyond the first `after` lines.

        A line of JSON, as on Google's services, begins as its message does.
        """
        end = time.monotonic() + timeout
        with self._news:
            while True:
                lines = (RANK.sub("", message(line)) for line in self.lines[after:])
                found = [line for line in lines if line.startswith(begins)]
                if found:
                    return found[0]
                left = end - time.monotonic()
                if self._ended or left <= 0:
                    pytest.fail(f"no line begins with {begins!r} in\n{self.text}")
                self._news.wait(left)

    def wait(self, *, timeout: float = DEADLINE) -> int:
        """Its exit code, once it has ended and all that it printed is here."""
        end = time.monotonic() + timeout
        with self._news:
            while not self._ended:
                left = end - time.monotonic()
                if left <= 0:
                    pytest.fail(f"{self.name} did not end within {timeout:g} s\n{self.text}")
                self._news.wait(left)
        return int(self.engine("wait", self.name).stdout)

    def stop(self, *, grace: int = 120) -> float:
        """`docker stop`, and how many seconds it took."""
        began = time.monotonic()
        self.engine("stop", "--time", str(grace), self.name, timeout=grace + 30)
        return time.monotonic() - began

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self._ended

    @property
    def text(self) -> str:
        """All that it has printed."""
        return "\n".join(self.lines)


def opt_ml(
    folder: Path,
    *,
    hosts: Sequence[str] = ("algo-1",),
    host: str = "algo-1",
    interface: str = "eth0",
    **hyperparameters: object,
) -> Path:
    """A folder as SageMaker gives it to a training container at /opt/ml, without channels."""
    config = folder / "input/config"
    config.mkdir(parents=True)
    for name in ("input/data", "model", "output/data"):
        (folder / name).mkdir(parents=True)
    files = {
        "hyperparameters": {key: str(value) for key, value in hyperparameters.items()},
        "inputdataconfig": {"train": {"TrainingInputMode": "File"}},
        "resourceconfig": {
            "current_host": host,
            "hosts": list(hosts),
            "network_interface_name": interface,
        },
    }
    for name, content in files.items():
        (config / f"{name}.json").write_text(json.dumps(content))
    return folder


def in_ci() -> bool:
    """Whether what is missing is a failure, not a reason to skip."""
    return bool(os.environ.get("CI"))


def missing(problem: str) -> None:
    """Skip for want of something that a developer's machine need not have."""
    if in_ci():
        pytest.fail(problem)
    pytest.skip(problem)
