"""SageMaker and Vertex AI whose training jobs run for real: the request that came, in containers.

Moto and the recorder of Vertex AI keep what they are asked. `Clouds.run_jobs` then does what the
services do: it brings the data from the bucket, starts the image with the request's own variables,
files and arguments, and puts the results into the bucket.
"""

from __future__ import annotations

import contextlib
import json
import tarfile
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import buckets
from aws_endpoints import ACCOUNT, AwsEndpoints, aws_endpoints
from aws_server import AwsServer, make_role
from vertex_endpoints import VertexEndpoints, vertex_endpoints
from vertex_server import VertexServer

from trainer.backends import BACKENDS
from trainer.backends.engine.client import Engine
from trainer.backends.engine.container import Mount
from trainer.backends.engine.local_run import LocalRun, run_on_engine
from trainer.platforms import SageMakerOptions, TrainingRequest, VertexRequest
from trainer.platforms.sagemaker.input_data import Channel
from trainer.runtime import StopRequest

REGION = "eu-west-1"
ADDRESS = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/trainer:cpu"
MANIFEST = json.dumps({
    "schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
    "config": {"mediaType": "x", "size": 1, "digest": "sha256:1"}, "layers": [],
})  # fmt: skip


class SageMaker(AwsEndpoints):
    """SageMaker in Ireland."""

    @property
    def env(self) -> dict[str, str]:
        """The environment that leads here, in the region of the job."""
        return {**super().env, "AWS_REGION": REGION, "AWS_EC2_METADATA_DISABLED": "true"}

    @property
    def jobs(self) -> list[dict[str, Any]]:
        """The requests of all training jobs."""
        return [arguments for name, arguments in self.calls if name == "CreateTrainingJob"]


class VertexAI(VertexEndpoints):
    """Vertex AI with endpoints and custom jobs, which have succeeded as soon as they are there."""

    def __init__(self, env: Mapping[str, str], stack: contextlib.ExitStack) -> None:
        super().__init__(env, stack)
        self.recorder = VertexServer(0)
        self.recorder.first_state = "JOB_STATE_SUCCEEDED"

    def answer(self, method: str, target: str, raw: bytes, kind: str) -> tuple[int, Any]:
        """Return status and body of the answer to a call."""
        if "/customJobs" in target or target.startswith("/v2/"):
            return self.recorder.answer(method, target, json.loads(raw) if raw else None)
        return super().answer(method, target, raw, kind)


@dataclass
class Clouds:
    """Both clouds, each with a bucket `bucket`.

    Attributes:
        aws: Amazon's services.
        vertex: Vertex AI.
        gs: A driver of Google's store.
        gs_env: The environment that leads there.
        folder: Where jobs have their files.
        image: What they run.
        engine: Runs them.
    """

    aws: SageMaker
    vertex: VertexAI
    gs: Any
    gs_env: dict[str, str]
    folder: Path
    image: str
    engine: Engine
    _done: set[str] = field(default_factory=set)

    @property
    def env(self) -> dict[str, str]:
        """The environment that leads to both."""
        apis = ("AIPLATFORM", "LOGGING")
        vertex = {f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{api}": self.vertex.url for api in apis}
        aws = {**self.aws.env, "AWS_CONFIG_FILE": "/nowhere", "IMAGE": ADDRESS}
        return {**aws, **self.gs_env, **vertex}

    @property
    def mistakes(self) -> list[str]:
        """What Google's descriptions do not have."""
        return self.vertex.mistakes + self.vertex.recorder.mistakes

    def run_jobs(self) -> None:
        """Run the jobs that have been asked for and have not run."""
        for request in self.aws.jobs:
            if request["TrainingJobName"] not in self._done:
                self._done.add(request["TrainingJobName"])
                self._sagemaker(request)
        for number, request in self.vertex.recorder.jobs.items():
            if number not in self._done:
                self._done.add(number)
                self._vertex(request)

    def _sagemaker(self, request: dict[str, Any]) -> None:
        name = request["TrainingJobName"]
        here = self.folder / name
        there = request["OutputDataConfig"]["S3OutputPath"].removeprefix("s3://")
        channels = tuple(
            Channel(name=each["ChannelName"], uri=each["DataSource"]["S3DataSource"]["S3Uri"])
            for each in request["InputDataConfig"]
        )
        for each in channels:
            self.aws.s3.get(each.uri.rstrip("/") + "/", f"{here}/in/{each.name}/", recursive=True)
        job = TrainingRequest(
            name=name, image=self.image, role=request["RoleArn"], output=f"s3://{there}",
            hosts=request["ResourceConfig"]["InstanceCount"], channels=channels,
            options=SageMakerOptions(region=REGION), hyperparameters=request["HyperParameters"],
        )  # fmt: skip
        mounts = (Mount(source=f"{here}/in/{each.name}", target=each.folder) for each in channels)
        self._run("sagemaker", job, here / "out", tuple(mounts))
        for archive, folder in (("model", "model"), ("output", "output/data")):
            path = here / f"{archive}.tar.gz"
            with tarfile.open(path, "w:gz") as tar:
                for each in sorted((here / "out" / folder).iterdir()):
                    tar.add(each, each.name)
            self.aws.s3.put(str(path), f"{there}/{name}/output/{path.name}")

    def _vertex(self, job: dict[str, Any]) -> None:
        name = job["displayName"]
        here = self.folder / f"vertex-{name}"
        bucket = here / "bucket"
        self.gs.get("bucket/", f"{bucket}/", recursive=True)
        before = set(bucket.rglob("*"))
        body = {"displayName": name, "jobSpec": job["jobSpec"]}
        request = VertexRequest(project=None, region="", kind="customJobs", body=body)
        mounts = (Mount(source=str(bucket), target="/gcs/bucket", read_only=False),)
        self._run("vertex", request, here / "out", mounts)
        for path in sorted(set(bucket.rglob("*")) - before):
            if path.is_file():
                self.gs.pipe_file(f"bucket/{path.relative_to(bucket)}", path.read_bytes())

    def _run(self, place: str, request: Any, out: Path, mounts: tuple) -> None:
        starts = BACKENDS[place].containers
        assert starts
        run = LocalRun(
            name=f"trainer-test-{uuid.uuid4().hex[:8]}", place=place, image=self.image,
            starts=starts(request), folder=out, mounts=mounts, grace=30,
        )  # fmt: skip
        status = run_on_engine(self.engine, run, stop=StopRequest())
        assert (status.state, status.exit_code) == ("completed", 0), status


@contextlib.contextmanager
def clouds(folder: Path, image: str, engine: str) -> Iterator[Clouds]:
    """Serve both while a block runs."""
    with contextlib.ExitStack() as stack:
        aws = stack.enter_context(aws_endpoints(folder / "endpoints", kind=SageMaker))
        aws.region = REGION
        _, gs, gs_env = stack.enter_context(buckets.gs())
        vertex = stack.enter_context(vertex_endpoints(gs_env, kind=VertexAI))
        s3 = boto3.client(
            "s3", region_name=REGION, endpoint_url=aws.url, aws_access_key_id="test",
            aws_secret_access_key="test",
        )  # fmt: skip
        where = {"LocationConstraint": REGION}
        s3.create_bucket(Bucket="bucket", CreateBucketConfiguration=where)
        ecr = boto3.client(
            "ecr", region_name=REGION, endpoint_url=aws.url, aws_access_key_id="test",
            aws_secret_access_key="test",
        )  # fmt: skip
        ecr.create_repository(repositoryName="trainer")
        ecr.put_image(repositoryName="trainer", imageManifest=MANIFEST, imageTag="cpu")
        make_role(AwsServer(url=aws.url), "SageMakerRole")
        yield Clouds(aws, vertex, gs, gs_env, folder / "jobs", image, Engine(engine))
