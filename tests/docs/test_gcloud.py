"""The documentation's gcloud commands, by gcloud: it reads each, and sends those of Vertex AI.

What it sends comes to servers that check calls by Google's description of the API.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from blocks import blocks
from vertex_endpoints import VertexEndpoints, vertex_endpoints
from vertex_server import VertexServer

GCLOUD = shutil.which("gcloud")
pytestmark = pytest.mark.skipif(GCLOUD is None, reason="needs gcloud")
COMMANDS = [
    (str(block), command)
    for block in blocks("sh")
    for command in block.commands
    if command.startswith("gcloud ")
]
PLACE = "projects/my-project/locations/europe-west4"


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """Return what gcloud reads: no account, no prompts, no settings of this machine."""
    settings = {"CLOUDSDK_CONFIG": str(tmp_path / "gcloud"), "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
                "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
                "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "true"}  # fmt: skip
    return {**os.environ, **settings, "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true"}


def test_gcloud_has_every_command_and_flag(env, tmp_path):
    # AI Platform's commands are still in gcloud, though the service is gone.
    wrong = "gcloud ai custom-jobs create --display-name=x --no-such-flag=1"
    file = tmp_path / "commands.json"
    commands = [*(command for _, command in COMMANDS), wrong]
    file.write_text(json.dumps([{"command_string": command} for command in commands]))
    ran = subprocess.run(
        ["gcloud", "meta", "lint-gcloud-commands", f"--commands-file={file}"],
        env=env, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    found = json.loads(ran.stdout)
    assert len(found) == len(COMMANDS) + 1
    assert not found.pop()["success"]
    mistakes = [
        f"{where}: {each['command_string']}: {each.get('error_message')}"
        for (where, _), each in zip(COMMANDS, found, strict=True)
        if not each["success"]
    ]
    assert mistakes == []


class Vertex(VertexEndpoints):
    """Jobs, models and endpoints at one address."""

    def __init__(self, env: dict[str, str], stack: contextlib.ExitStack) -> None:
        super().__init__(env, stack)
        self.jobs = VertexServer(0)

    def answer(self, method: str, target: str, raw: bytes, kind: str) -> tuple[int, Any]:
        if "/customJobs" in target or "/hyperparameterTuningJobs" in target:
            return self.jobs.answer(method, target, json.loads(raw) if raw else None)
        return super().answer(method, target, raw, kind)


@pytest.fixture
def vertex(env) -> Iterator[Vertex]:
    with vertex_endpoints({}, kind=Vertex) as server:
        env["CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM"] = f"{server.url}/"
        yield server
    assert server.mistakes + server.jobs.mistakes == []


def sent(page: str, begins: str, env: dict[str, str], folder: Path) -> None:
    """Run a page's commands that begin so, in a folder with the page's YAML files."""
    for file in ("job.yaml", "tuning.yaml"):
        (text,) = [b.text for b in blocks("yaml") if b.page == page and YAML[file] in b.text] or [
            ""
        ]
        (folder / file).write_text(text)
    chosen = [c for where, c in COMMANDS if where.startswith(page) and c.startswith(begins)]
    assert chosen
    for command in chosen:
        ran = subprocess.run(
            shlex.split(command), env=env, cwd=folder, capture_output=True, text=True, timeout=120,
            check=False,
        )  # fmt: skip
        assert ran.returncode == 0, f"{command}\n{ran.stderr}"


# What tells a page's files apart.
YAML = {"job.yaml": "args: [--model, cnn, --epochs", "tuning.yaml": "studySpec:"}


def test_a_custom_job_by_gcloud_is_the_one_that_submit_prints(vertex, env, tmp_path):
    sent("vertex.md", "gcloud ai custom-jobs create", env, tmp_path)
    (_, by_file), (_, by_flags) = vertex.jobs.created
    for job in (by_file["jobSpec"], by_flags["jobSpec"]):
        (pool,) = job["workerPoolSpecs"]
        assert pool["containerSpec"]["imageUri"] == "IMAGE"
        assert pool["machineSpec"] == {"machineType": "n1-standard-4"}
    assert by_file["jobSpec"]["baseOutputDirectory"]["outputUriPrefix"] == "gs://bucket/runs/mnist"
    (pool,) = by_flags["jobSpec"]["workerPoolSpecs"]
    assert pool["containerSpec"]["args"] == [
        "--model=cnn", "--epochs=5", "--train=gs://bucket/mnist", "--job-dir=gs://bucket/runs/mnist",
    ]  # fmt: skip


def test_a_tuning_job_by_gcloud_has_its_search(vertex, env, tmp_path):
    sent("vertex-jobs.md", "gcloud ai hp-tuning-jobs create", env, tmp_path)
    ((path, body),) = vertex.jobs.created
    assert path == f"/v1/{PLACE}/hyperparameterTuningJobs"
    assert (body["maxTrialCount"], body["parallelTrialCount"]) == (8, 2)
    names = {each["parameterId"] for each in body["studySpec"]["parameters"]}
    assert names == {"learning_rate", "batch_size"}


def test_a_model_is_uploaded_and_deployed_by_gcloud(vertex, env, tmp_path):
    sent("vertex-jobs.md", "gcloud ai models upload", env, tmp_path)
    model = vertex.resources[f"{PLACE}/models/mnist"]
    assert model["containerSpec"] == {
        "imageUri": "IMAGE", "args": ["serve"], "predictRoute": "/invocations",
        "healthRoute": "/ping", "ports": [{"containerPort": 8080}],
    }  # fmt: skip
    sent("vertex-jobs.md", "gcloud ai endpoints", env, tmp_path)
    (deployed,) = vertex.resources[f"{PLACE}/endpoints/mnist"]["deployedModels"]
    assert deployed["model"] == f"{PLACE}/models/mnist"
