"""What the blocks of a page find: stores and services in the place of the clouds'."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import buckets
from aws_endpoints import AwsEndpoints
from aws_server import AwsServer, aws_server, make_role
from blocks import ROOT
from processes import environment
from vertex_endpoints import VertexEndpoints, vertex_endpoints
from vertex_server import VertexServer

from trainer.data.formats.idx import pack

REGION, PROJECT, ROLE = "eu-west-1", "my-project", "SageMakerRole"
REGISTRY = f"123456789012.dkr.ecr.{REGION}.amazonaws.com/trainer:cpu"
HERE = Path(__file__).parent
SECONDS = 300
# A proxy that is not there, for all that would leave this machine.
NOWHERE = "http://127.0.0.1:9"
# What a fork server has imported before it is asked.
IMPORTED = {
    ".venv": ("tensorflow", "keras", "trainer.training", "trainer.serving", "trainer.sweep"),
    ".venv-sdk2": ("sagemaker",),
    ".venv-sdk3": ("sagemaker.train", "sagemaker.core.resources"),
    ".venv-vertex": ("google.cloud.aiplatform",),
}
MANIFEST = json.dumps({
    "schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
    "config": {"mediaType": "x", "size": 1, "digest": "sha256:1"}, "layers": [],
})  # fmt: skip


@dataclass
class Pythons:
    """Fork servers, one for each environment that a page's block needs, begun when it does.

    Attributes:
        folder: Of their sockets, and of the programs `trainer` and `python` that ask them.
    """

    folder: Path
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def bin(self, venv: str = ".venv") -> Path:
        """Return the folder with `trainer` and `python` of an environment."""
        folder = self.folder / venv.removeprefix(".")
        if venv not in self._running:
            folder.mkdir()
            for name in ("trainer", "python", "docker"):
                text = (HERE / "forked.py").read_text()
                (folder / name).write_text(f"#!{real_python()} -IS\n{text}")
                (folder / name).chmod(0o755)
            self._running[venv] = self._begin(venv, folder)
        return folder

    def env(self, venv: str = ".venv") -> dict[str, str]:
        """Return what the programs of an environment read."""
        folder = self.bin(venv)
        return {"DOCS_FORKS": str(folder / "asked"), "DOCS_PYTHON": str(python_of(venv))}

    def _begin(self, venv: str, folder: Path) -> subprocess.Popen[bytes]:
        argv = [python_of(venv), HERE / "fork_server.py", folder / "asked", *IMPORTED[venv]]
        # It forks with one thread; what is forked sets its own number.
        quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "OPENBLAS_NUM_THREADS": "1", "HOME": str(folder)}
        process = subprocess.Popen(
            argv, env=environment(quiet), stdin=subprocess.DEVNULL,
            stdout=(folder / "log").open("wb"), stderr=subprocess.STDOUT,
        )  # fmt: skip
        end = time.monotonic() + SECONDS
        while not (folder / "asked.ready").exists():
            if process.poll() is not None or time.monotonic() > end:
                raise AssertionError((folder / "log").read_text())
            time.sleep(0.02)
        return process

    def stop(self) -> None:
        """End the servers."""
        for process in self._running.values():
            process.kill()
            process.wait()


def real_python() -> str:
    """Return the Python of these tests, past its environment: it starts sooner."""
    return str(Path(sys.executable).resolve())


def python_of(venv: str) -> Path:
    """Return the Python of an environment."""
    return Path(sys.executable) if venv == ".venv" else ROOT / venv / "bin/python"


def small_mnist(mnist_dir: Path, out: Path) -> Path:
    """Write the first of MNIST's digits, in files of the same kind."""
    from trainer.data import open_tables

    out.mkdir(parents=True)
    for split, name, count in (("train", "train", 2000), ("test", "t10k", 500)):
        (table,) = open_tables([str(mnist_dir)], split=split)
        images, labels = table.read(0, count)
        (out / f"{name}-images-idx3-ubyte").write_bytes(pack(images.reshape(-1, 28, 28)))
        (out / f"{name}-labels-idx1-ubyte").write_bytes(pack(labels.astype("uint8")))
    return out


class Jobs(VertexServer):
    """Vertex AI's jobs, which are done at once and leave a run in their buckets."""

    def __init__(self, run: Path, fs: Any) -> None:
        super().__init__(0)
        self.first_state = "JOB_STATE_SUCCEEDED"
        self._run, self._fs = run, fs

    def answer(self, method: str, target: str, body: Any) -> tuple[int, Any]:
        """See `VertexServer.answer`."""
        status, value = super().answer(method, target, body)
        spec = (body or {}).get("jobSpec", {}) if status == 200 else {}
        output = spec.get("baseOutputDirectory", {}).get("outputUriPrefix")
        if output:
            self._fs.put(f"{self._run}/", output.rstrip("/") + "/", recursive=True)
        return status, value


class Google(VertexEndpoints):
    """Vertex AI: jobs and their lines by one of our servers, the others by the other one."""

    jobs: Jobs

    def answer(self, method: str, target: str, raw: bytes, kind: str) -> tuple[int, Any]:
        """See `VertexEndpoints.answer`."""
        path = target.partition("?")[0]
        if any(part in path for part in ("/customJobs", "TuningJobs", "/entries:list")):
            return self.jobs.answer(method, target, json.loads(raw) if raw else None)
        return super().answer(method, target, raw, kind)

    def _called(self, verb: str, name: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        if verb == "trainingPipelines.create":
            own = f"{name}/{1000 + len(self.resources)}"
            self.resources[own] = {**body, "name": own, "state": "PIPELINE_STATE_SUCCEEDED"}
            return 200, self.resources[own]
        return super()._called(verb, name, query, body)


@dataclass(frozen=True, kw_only=True)
class World:
    """The services of one page.

    Attributes:
        env: What leads a program to them.
        aws: What came to Amazon's, and what they are to answer.
        google: The same of Google's.
    """

    env: dict[str, str]
    aws: AwsServer
    google: Google


@contextlib.contextmanager
def world(files: Path, forks: dict[str, str]) -> Iterator[World]:
    """Run the services while a page's blocks do.

    Args:
        files: What `make_files` has written.
        forks: Of a fork server, for the containers behind endpoints.
    """
    with contextlib.ExitStack() as stack:
        aws = stack.enter_context(aws_server())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = int(aws.url.rpartition(":")[2])
        endpoints = stack.enter_context(AwsEndpoints(port, folder, stack))
        endpoints.region, endpoints.env_of_servers = REGION, forks
        threading.Thread(target=endpoints.serve_forever, daemon=True).start()
        stack.callback(endpoints.shutdown)
        fill_aws(aws, endpoints, files)
        _, fs, gs = stack.enter_context(buckets.gs())
        fs.put(f"{files}/mnist-records/", "bucket/mnist/", recursive=True)
        google = stack.enter_context(vertex_endpoints(gs | forks, kind=Google))
        google.jobs = Jobs(files / "runs/mnist", fs)
        env = aws.environment | gs | {
            "AWS_ENDPOINT_URL": endpoints.url, "AWS_DEFAULT_REGION": REGION, "AWS_REGION": REGION,
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM": google.url,
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING": google.url,
            "GOOGLE_CLOUD_PROJECT": PROJECT,
        }  # fmt: skip
        yield World(env=env, aws=aws, google=google)


def fill_aws(aws: AwsServer, endpoints: AwsEndpoints, files: Path) -> None:
    """Make a role, a bucket with MNIST and a repository with an image; jobs leave a model."""
    import boto3

    # Moto simulates no policies; those who ask go on where they may not.
    aws.fail("SimulatePrincipalPolicy", "AccessDenied", "not allowed", status=403)
    make_role(aws, ROLE)
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    session = boto3.Session(region_name=REGION, **keys)
    s3 = session.client("s3", endpoint_url=aws.url)
    s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
    ecr = session.client("ecr", endpoint_url=aws.url)
    ecr.create_repository(repositoryName="trainer")
    for tag in ("cpu", "gpu"):
        ecr.put_image(repositoryName="trainer", imageManifest=MANIFEST, imageTag=tag)
    records = files / "mnist-records"
    for file in sorted(records.rglob("*")):
        if file.is_file():
            s3.upload_file(str(file), "bucket", f"mnist/{file.relative_to(records)}")

    def created(job: dict[str, Any]) -> None:
        output = job["OutputDataConfig"]["S3OutputPath"].removeprefix("s3://").rstrip("/")
        bucket, _, key = f"{output}/{job['TrainingJobName']}/output/model.tar.gz".partition("/")
        s3.upload_file(str(files / "model.tar.gz"), bucket, key)

    aws.replies["CreateTrainingJob"] = created


def make_files(mnist_dir: Path, folder: Path, pythons: Pythons) -> Path:
    """Write what services and pages share: small MNIST in both forms, a run, its model packed."""
    from trainer.data.create import create_dataset

    small = small_mnist(mnist_dir, folder / "mnist")
    create_dataset(source=str(small), out=folder / "mnist-records", shards=2)
    ran = subprocess.run(
        [pythons.bin() / "trainer", "train", "--model", "fast", "--train", small, "--steps", "20",
         "--model-dir", "runs/mnist/model"],
        env=environment(pythons.env()), cwd=folder, capture_output=True, text=True,
        timeout=SECONDS, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    with tarfile.open(folder / "model.tar.gz", "w:gz") as archive:
        archive.add(folder / "runs/mnist/model/1", "1")
    return folder


def make_home(home: Path, mnist_dir: Path) -> Path:
    """Make a page's home: the original MNIST, and what a checkout has."""
    (home / "data/mnist").mkdir(parents=True)
    for file in mnist_dir.glob("*-ubyte.gz"):
        (home / "data/mnist" / file.name).symlink_to(file)
    for name in ("examples", "entrypoints"):
        shutil.copytree(ROOT / name, home / name)
    # Measurements of the house, by which nothing is written.
    (home / "benchmarks").symlink_to(ROOT / "benchmarks")
    return home


def without_cloud() -> dict[str, str]:
    """Return this process's environment without addresses and keys of clouds."""
    prefixes = ("AWS_", "GOOGLE_", "CLOUDSDK_", "STORAGE_", "TRAINER_", "MLFLOW_", "VIRTUAL_ENV")
    plain = environment({})
    nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), NOWHERE)
    here = dict.fromkeys(("NO_PROXY", "no_proxy"), "localhost,127.0.0.1")
    return {k: v for k, v in plain.items() if not k.startswith(prefixes)} | nowhere | here
