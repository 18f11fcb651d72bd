"""The notebooks of examples/: each runs from its first cell to its last, as a reader runs it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import tarfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import buckets
import nbformat
import pytest
from aws_endpoints import ACCOUNT, REGION, ROLE, AwsEndpoints, aws_endpoints
from nbclient import NotebookClient
from processes import environment
from vertex_endpoints import VertexEndpoints, vertex_endpoints
from vertex_server import VertexServer, vertex_server

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "examples/notebooks").glob("*.ipynb"))
SECONDS = 300
# A line of the jobs that are followed.
LINE = "step=20 test_accuracy=0.9680"
# A failed command ends the run, where IPython goes on; so each of them is one that works.
STARTUP = """\
from IPython import get_ipython

shell = get_ipython()
run_command = shell.system

def system(command):
    run_command(command)
    if code := shell.user_ns["_exit_code"]:
        raise RuntimeError(f"{command}: exit code {code}")

shell.system = system
"""


def named(number: int) -> Path:
    (found,) = (path for path in NOTEBOOKS if path.name.startswith(f"{number}_"))
    return found


def free_port() -> str:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return str(bound.getsockname()[1])


def texts_of(cell: Any) -> str:
    """What a cell has printed or shown, as text."""
    outputs = cell.get("outputs", ())
    return "".join(o.get("text") or o.get("data", {}).get("text/plain", "") for o in outputs)


class Notebook:
    """A notebook that has run."""

    def __init__(self, value: Any) -> None:
        self.cells = [cell for cell in value.cells if cell.cell_type == "code"]

    def text(self, part: str) -> str:
        """What the cell that has a part in its source has printed."""
        (cell,) = (cell for cell in self.cells if part in cell.source)
        return texts_of(cell)

    def shown(self, kind: str) -> list[str]:
        """What cells have shown of a media type."""
        outputs = [o for cell in self.cells for o in cell.outputs]
        return [o.data[kind] for o in outputs if kind in o.get("data", {})]


@pytest.fixture
def run(tmp_path: Path, mnist_dir: Path, monkeypatch: pytest.MonkeyPatch):
    """Return what runs a notebook in an empty home, by this Python and no kernel of the machine."""
    home, jupyter = tmp_path / "home", tmp_path / "jupyter"
    startup = jupyter / "ipython/profile_default/startup"
    for folder in (home / "data", startup):
        folder.mkdir(parents=True)
    (home / "data/mnist").symlink_to(mnist_dir)
    (startup / "commands.py").write_text(STARTUP)
    for name in ("DATA", "RUNTIME", "CONFIG"):
        monkeypatch.setenv(f"JUPYTER_{name}_DIR", str(jupyter / name.lower()))

    def execute(number: int, **env: str) -> Notebook:
        value = nbformat.read(named(number), as_version=4)
        client = NotebookClient(
            value, kernel_name="python3", timeout=SECONDS, resources={"metadata": {"path": home}}
        )
        more = {
            "HOME": str(home), "IPYTHONDIR": str(jupyter / "ipython"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PORT": free_port(),
        }  # fmt: skip
        try:
            client.execute(env=environment(more | env))
        finally:
            nbformat.write(value, tmp_path / "ran.ipynb")
        return Notebook(value)

    return execute


def test_pictures_become_records_in_a_bucket_and_are_read_back(run):
    with buckets.s3() as (url, store, env):
        ran = run(1, DATA_URL=f"{url}/shapes", **env)
        assert store.find("bucket/shapes") == store.find("bucket/shapes-arrays") == []
    assert "180 examples" in ran.text("--contact-sheet sheet.png")
    assert len(ran.shown("image/png")) == 1
    schema = "[28, 28, 1] uint8 [0.0, 255.0] ['circle', 'square', 'triangle']"
    assert schema in ran.text('manifest["shape"]')
    assert "synced copied=" in ran.text("data sync")
    assert f"files: {url}/shapes/train/train-00000" in ran.text("data inspect {DATA}")
    assert "all 180 examples are there" in ran.text("assert splits")
    request = ran.text("trainer submit")
    assert json.loads(request)["InputDataConfig"][0]["ChannelName"] == "train"


def test_a_model_is_trained_looked_at_and_asked_in_three_ways(run):
    ran = run(2, STEPS="300")
    assert "10000 examples of (28, 28, 1) and 10 classes" in ran.text("load_data")
    training = ran.text("train_and_evaluate")
    assert "step=300 of=300 loss=" in training
    # TensorFlow would name its temporary folder.
    assert "INFO:tensorflow" not in training
    (summary,) = ran.shown("text/html")
    assert "Accuracy" in summary and "<svg" in summary
    accuracy = ran.text("np.fill_diagonal").rpartition("test accuracy: ")[2]
    assert float(accuracy) > 0.97
    predicted = ran.text("result.model.predict").splitlines()[0].partition("[")[2]
    assert predicted == ran.text("saved_model.load").strip().partition("[")[2]
    assert "32 answers, " in ran.text("answers = ")
    assert "the server ended with code 0" in ran.text("server.terminate")


def test_a_model_of_another_program_is_packed_checked_and_served(run):
    ran = run(4)
    assert "taken by SageMaker TensorFlow" in ran.text("--source net.keras")
    assert "serving_default (predict)" in ran.text("--inspect exported")
    assert "the server answers as the model does" in ran.text("assert_allclose")
    request = json.loads(ran.text("--to sagemaker --name flowers"))
    made = [each["operation"] for each in request]
    assert made == ["create_model", "create_endpoint_config", "create_endpoint"]
    assert "taken by SageMaker MXNet" in ran.text("--framework mxnet")


# Of the third, which speaks to the clouds


class Google(VertexEndpoints):
    """Vertex AI's endpoints and, in the same place, its custom jobs.

    Attributes:
        custom_jobs: What answers for the jobs.
    """

    custom_jobs: VertexServer

    def answer(self, method: str, target: str, raw: bytes, kind: str) -> tuple[int, Any]:
        """Answer as the one of the two that has what is asked for."""
        if "/customJobs" in target or target.startswith("/v2/"):
            return self.custom_jobs.answer(method, target, json.loads(raw) if raw else None)
        return super().answer(method, target, raw, kind)


@pytest.fixture
def trained(digits_model: Path, tmp_path: Path) -> Mapping[str, Path]:
    """What a finished job leaves: the model, and the archive of its other files."""
    archives = {name: tmp_path / f"{name}.tar.gz" for name in ("model", "output")}
    with tarfile.open(archives["model"], "w:gz") as tar:
        tar.add(digits_model / "1", "1")
    with tarfile.open(archives["output"], "w:gz") as tar:
        for name in ("metrics.json", "report.html"):
            tar.add(digits_model.parent / name, name)
    return archives


@pytest.fixture
def amazon(trained: Mapping[str, Path], tmp_path: Path) -> Iterator[AwsEndpoints]:
    """Moto with a role, an image, and what the job `notebook` will have written and logged."""
    with aws_endpoints(tmp_path / "containers") as server:
        server.s3.makedirs("bucket", exist_ok=True)
        for name, path in trained.items():
            server.s3.put_file(str(path), f"bucket/runs/notebook/output/{name}.tar.gz")
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}

        def client(service: str) -> Any:
            return boto3.client(service, region_name=REGION, endpoint_url=server.url, **keys)

        # All servers of moto in a process share one memory.
        with contextlib.suppress(client("iam").exceptions.EntityAlreadyExistsException):
            client("iam").create_role(RoleName="SageMakerRole", AssumeRolePolicyDocument="{}")
        ecr = client("ecr")
        with contextlib.suppress(ecr.exceptions.RepositoryAlreadyExistsException):
            ecr.create_repository(repositoryName="trainer")
        with contextlib.suppress(ecr.exceptions.ImageAlreadyExistsException):
            kind = "application/vnd.docker.distribution.manifest.v2+json"
            config = {"mediaType": "x", "size": 1, "digest": "sha256:1"}
            image = {"schemaVersion": 2, "mediaType": kind, "config": config, "layers": []}
            ecr.put_image(repositoryName="trainer", imageManifest=json.dumps(image), imageTag="cpu")
        logs, group = client("logs"), {"logGroupName": "/aws/sagemaker/TrainingJobs"}
        with contextlib.suppress(logs.exceptions.ResourceAlreadyExistsException):
            logs.create_log_group(**group)
        stream = {**group, "logStreamName": "notebook/algo-1-1"}
        logs.create_log_stream(**stream)
        event = {"timestamp": int(time.time() * 1000), "message": LINE}
        logs.put_log_events(**stream, logEvents=[event])
        yield server
        logs.delete_log_stream(**stream)


@pytest.fixture
def google(digits_model: Path, tmp_path: Path) -> Iterator[tuple[Google, dict[str, str]]]:
    """Vertex AI and a bucket with what the job `notebook` will have written."""
    with buckets.gs() as (_, store, env), vertex_server() as jobs:
        jobs.first_state = "JOB_STATE_SUCCEEDED"
        jobs.log("1000", LINE, task="workerpool0-0", time="2026-01-01T00:00:01Z")
        for name in ("metrics.json", "report.html"):
            store.put_file(str(digits_model.parent / name), f"bucket/runs/notebook/{name}")
        store.put(f"{digits_model / '1'}/", "bucket/runs/notebook/model/", recursive=True)
        with vertex_endpoints(env, kind=Google) as server:
            server.custom_jobs = jobs
            apis = ("AIPLATFORM", "LOGGING")
            overrides = {f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{name}": server.url for name in apis}
            yield server, env | overrides
            assert server.mistakes == jobs.mistakes == []


def test_a_job_of_each_cloud_is_followed_and_its_model_deployed_asked_and_taken_down(
    run, amazon, google
):
    vertex, google_env = google
    image = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/trainer:cpu"
    ran = run(
        3, JOB="notebook", IMAGE=image, BUCKET="s3://bucket", SAGEMAKER_ROLE=ROLE,
        GS_BUCKET="gs://bucket", **amazon.env, **google_env,
    )  # fmt: skip
    (request,) = (each for called, each in amazon.calls if called == "CreateTrainingJob")
    assert json.loads(ran.text("--print -- ")) == request
    for cell in ("ml.m5.xlarge --wait", "jobs logs", "n1-standard-4 --wait"):
        assert LINE in ran.text(cell)
    assert len(ran.shown("text/html")) == 2
    answers = ran.text("!trainer predict {JOB} digits.npy --to sagemaker").splitlines()
    assert len([line for line in answers if '"prediction"' in line]) == 4
    assert len(ran.text("invoke_endpoint").splitlines()) == 4
    assert amazon.named("endpoints") == amazon.named("models") == []

    (_, body) = vertex.custom_jobs.created[0]
    assert body["displayName"] == "notebook"
    assert '"prediction"' in ran.text("trainer deploy {GS_BUCKET}")
    assert vertex.names("endpoints") == vertex.names("models") == []
    left = ran.text("--dry-run")
    assert left.count("nothing that was deployed as notebook is there") == 2
