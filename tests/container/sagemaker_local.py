"""SageMaker's own SDKs in local mode, each in an environment of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tarfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from containers import Engine

CLIENTS = Path(__file__).parent / "clients"
JOB_SECONDS = 420


@dataclass(frozen=True)
class Ended:
    """A job that has ended.

    Attributes:
        code: The exit code of the SDK's process.
        log: What the SDK and the containers printed.
        root: The folder that the SDK worked in.
    """

    code: int
    log: str
    root: Path

    def servable(self) -> list[str]:
        """The members of the one model.tar.gz that came back; the job has ended well."""
        assert self.code == 0, self.log
        (archive,) = self.root.rglob("model.tar.gz")
        with tarfile.open(archive) as tar:
            return sorted(member.name for member in tar if member.isfile())

    def failure(self) -> str:
        """The failure file that came back with the output."""
        (archive,) = self.root.rglob("output.tar.gz")
        with tarfile.open(archive) as tar:
            file = tar.extractfile("failure")
            assert file is not None
            return file.read().decode()


@dataclass(frozen=True)
class Local:
    """Starts jobs.

    Args:
        engine: The client, to remove what the SDKs leave behind.
        python: The interpreter of an SDK, by its version.
        root: A folder of the test's own.
    """

    engine: Engine
    python: Callable[[int], Path]
    root: Path

    def train(self, version: int, **job: Any) -> Ended:
        """Train by one of the SDKs; see the client of that version for what a job is."""
        given = json.dumps({"root": str(self.root), **job})
        return self.run([self.python(version), CLIENTS / f"sdk_v{version}.py", given])

    def run(self, argv: Sequence[str | Path]) -> Ended:
        """Run a program that starts jobs, and remove the containers that it leaves."""
        env = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "SM_"))},
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "HOME": str(self.root),
            "PATH": os.pathsep.join([str(Path(self.engine.client).parent), os.environ["PATH"]]),
        }
        with subprocess.Popen(
            argv,
            cwd=self.root,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as sdk:
            try:
                log, _ = sdk.communicate(timeout=JOB_SECONDS)
            except subprocess.TimeoutExpired as late:
                printed = (late.stdout or b"").decode(errors="replace")
                pytest.fail(f"no end within {JOB_SECONDS} s:\n{printed[-6000:]}")
            finally:
                # Compose, too, which would go on without the SDK that started it.
                with suppress(ProcessLookupError):
                    os.killpg(sdk.pid, signal.SIGKILL)
                self._remove()
        return Ended(sdk.returncode, log, self.root)

    def _remove(self) -> None:
        """Containers, which Compose only stops, and the network that has one name for all."""
        label = '{{.ID}} {{.Label "com.docker.compose.project.working_dir"}}'
        lines = self.engine("ps", "-a", "--format", label).stdout.splitlines()
        pairs = [line.partition(" ") for line in lines]
        left = [name for name, _, folder in pairs if Path(folder).is_relative_to(self.root)]
        if left:
            self.engine("rm", "--force", "--volumes", *left)
        self.engine("network", "rm", "sagemaker-local", check=False)
