"""`examples/vertex_custom_job.py`, by Google's SDK, against servers that check each call."""

import contextlib
import json
from pathlib import Path

import pytest
import vertex_sdk
from processes import trainer
from vertex_endpoints import VertexEndpoints, vertex_endpoints
from vertex_server import VertexServer

EXAMPLE = Path(__file__).parents[2] / "examples/vertex_custom_job.py"
WHERE = ("--project", "my-project", "--location", "europe-west4", "--image", "IMAGE")
ARGS = ("--", "--model", "cnn", "--epochs", "5", "--train", "gs://bucket/mnist")
SUBMIT = ("submit", "--to", "vertex", "--project", "my-project", "--region", "europe-west4",
          "--image", "IMAGE", "--name", "mnist", "--output", "gs://bucket/runs")  # fmt: skip


class Vertex(VertexEndpoints):
    """Jobs, models and endpoints at one address; a job has ended when it is first looked at."""

    def __init__(self, env: dict[str, str], stack: contextlib.ExitStack) -> None:
        super().__init__(env, stack)
        self.jobs = VertexServer(0)
        self.jobs.first_state = "JOB_STATE_SUCCEEDED"

    def answer(self, method: str, target: str, raw: bytes, kind: str) -> tuple[int, object]:
        if "/customJobs" in target:
            return self.jobs.answer(method, target, json.loads(raw) if raw else None)
        return super().answer(method, target, raw, kind)


@pytest.fixture
def vertex():
    with vertex_endpoints({}, kind=Vertex) as server:
        yield server
    assert server.mistakes + server.jobs.mistakes == []


@pytest.mark.slow
def test_the_example_sends_the_job_that_submit_sends_and_registers_its_model(vertex):
    argv = [*WHERE, "--bucket", "gs://bucket", "--hosts", "3", "--register",
            "--accelerator-type", "NVIDIA_TESLA_T4", *ARGS]  # fmt: skip
    ran = vertex_sdk.run_program(EXAMPLE, argv, vertex.url)
    assert ran.returncode == 0, ran.stderr
    place = "projects/my-project/locations/europe-west4"
    lines = ran.stdout.splitlines()
    assert f"{place}/customJobs/1000" in lines
    assert lines[-1] == f"{place}/models/mnist"
    ((path, body),) = vertex.jobs.created
    assert path == f"/v1/{place}/customJobs"
    more = ("--hosts", "3", "--accelerator-type", "NVIDIA_TESLA_T4", "--print", "request")
    printed = json.loads(trainer(*SUBMIT, *more, *ARGS).stdout)
    pools, expected = (each["jobSpec"]["workerPoolSpecs"] for each in (body, printed))
    assert [int(pool["replicaCount"]) for pool in pools] == [1, 2]
    for pool, same in zip(pools, expected, strict=True):
        assert pool["containerSpec"]["imageUri"] == same["containerSpec"]["imageUri"]
        assert pool["machineSpec"]["machineType"] == same["machineSpec"]["machineType"]
        assert pool["machineSpec"]["acceleratorCount"] == 1
    for field in ("baseOutputDirectory", "scheduling"):
        assert body["jobSpec"][field] == printed["jobSpec"][field]
    model = vertex.resources[f"{place}/models/mnist"]
    assert model["artifactUri"] == "gs://bucket/runs/mnist/model"
    deploy = ("deploy", model["artifactUri"], "--to", "vertex", "--project", "my-project",
              "--region", "europe-west4", "--image", "IMAGE", "--print", "request")  # fmt: skip
    upload = json.loads(trainer(*deploy).stdout)[0]["request"]["model"]
    assert model["containerSpec"] == upload["containerSpec"]
