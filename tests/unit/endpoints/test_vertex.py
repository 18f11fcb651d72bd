"""Vertex AI's requests against Google's description, and deployments against a recording server."""

import logging
import types

import buckets
import google_discovery
import pytest
import stub_server
from made_models import saved_model
from vertex_endpoints import VertexEndpoints, vertex_endpoints

from trainer.config import UserError
from trainer.endpoints.client import UnreachableError
from trainer.endpoints.deploy_options import DeployOptions
from trainer.endpoints.deploying import deploy
from trainer.endpoints.deployment import Deployment
from trainer.endpoints.prediction.pieces import JSON_LINES, NPY, Piece
from trainer.endpoints.prediction.predict_options import PredictOptions
from trainer.endpoints.undeploy_options import UndeployOptions
from trainer.endpoints.undeploying import undeploy
from trainer.endpoints.vertex import requests
from trainer.endpoints.vertex.connection import VertexConnection
from trainer.endpoints.vertex.service import VertexEndpointService
from trainer.endpoints.vertex.target import VertexTarget
from trainer.runtime import StopRequest

pytestmark = pytest.mark.slow
PARENT = "projects/p/locations/europe-west4"


def options(**given):
    return DeployOptions(**{"to": "vertex", "image": "i", "region": "europe-west4", **given})


def deployment(name="m", **given):
    return Deployment(
        name=name, stamp="20260131-120000", artifact="gs://b/m", is_uploaded=True,
        options=options(**given),
    )  # fmt: skip


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"max_count": 4, "accelerator": "NVIDIA_L4:2", "role": "a@b", "kms_key": "k"},
        {"network": "projects/1/global/networks/n", "env": ("A=1",), "tags": ("team=v",)},
        {"update": True},
        {"batch": ("gs://b/in", "gs://b/out"), "role": "a@b", "kms_key": "k"},
    ],
)
def test_each_request_is_one_that_google_describes(given):
    for request in requests.requests_of(deployment(**given), PARENT):
        called = google_discovery.method("aiplatform.v1", "POST", request.path)
        assert {*request.params} <= {*called["parameters"]}
        schema = called["request"]["$ref"]
        assert google_discovery.mistakes(request.body, schema, api="aiplatform.v1") == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"image": None}, "--image: not given"),
        ({"name": "Big"}, "--name Big: expected lower case"),
        ({"tags": ("Team=v",)}, "--tags Team: expected lower-case"),
        ({"accelerator": "L4:x"}, "expected TYPE or TYPE:N"),
        ({"batch": ("in", "gs://b/out")}, "expected gs://BUCKET/PATH"),
        ({"batch": ("gs://b/in", "gs://b/out"), "batch_type": "npy"}, "expected one of jsonl, csv"),
    ],
)
def test_what_vertex_would_refuse_is_refused_before(given, words):
    with pytest.raises(UserError) as raised:
        requests.requests_of(deployment(**given), PARENT)
    assert words in str(raised.value)


def test_requests_need_a_region_and_a_connection_a_project(vertex):
    with pytest.raises(UserError, match="--region: not given"):
        VertexTarget().requests(deployment(region=None))
    with pytest.raises(UserError, match="--region: not given"):
        VertexConnection(project="p", region=None, api=vertex.url, logging=None)
    with pytest.raises(UserError, match="--project: the credentials name no project"):
        VertexConnection(project=None, region="r", api=vertex.url, logging=None)


class Stubbed(VertexEndpoints):
    """The service, with a stub behind each endpoint."""

    def server_of(self, endpoint):
        if not self.resources[endpoint].get("deployedModels"):
            return None
        return types.SimpleNamespace(
            ask=lambda method, path, body, headers: stub_server.answer(
                headers["Content-Type"], body
            )
        )


@pytest.fixture(scope="module")
def gs():
    with buckets.gs() as found:
        yield found


@pytest.fixture(scope="module")
def shared():
    with vertex_endpoints({}, kind=Stubbed) as server:
        yield server


@pytest.fixture
def vertex(shared, gs, monkeypatch):
    for name, value in gs[2].items():
        monkeypatch.setenv(name, value)
    shared.clear()
    yield shared
    assert shared.mistakes == []


@pytest.fixture
def model(tmp_path):
    saved_model(tmp_path / "model/3")
    return str(tmp_path / "model")


@pytest.fixture
def run(vertex, model, monkeypatch):
    real = VertexEndpointService.__init__
    monkeypatch.setattr(
        VertexEndpointService, "__init__", lambda self, to: real(self, to, every=0.01)
    )

    def deploy_it(*, stamp="20260131-120000", source=None, **given):
        made = options(**{
            "name": "digits", "project": "p", "artifacts": "gs://bucket/deployed",
            "api_endpoint": vertex.url, "logging_endpoint": vertex.url, **given,
        })  # fmt: skip
        deploy(source or model, made, stamp=stamp, stop=StopRequest())

    return deploy_it


@pytest.fixture
def take_down(vertex, capsys):
    def run(name="digits", **given):
        capsys.readouterr()
        made = UndeployOptions(
            to="vertex", project="p", region="europe-west4", api_endpoint=vertex.url, **given
        )
        undeploy(name, made)
        return capsys.readouterr().out.splitlines()

    return run


def test_an_endpoint_is_made_updated_and_taken_down(vertex, run, take_down, capsys, caplog, gs):
    caplog.set_level(logging.INFO, "trainer")
    run()
    text = capsys.readouterr().out
    assert f"{vertex.url}/v1/{PARENT}/endpoints/digits:predict" in text
    assert "trainer undeploy digits --to vertex --region europe-west4 --project p" in text
    with pytest.raises(UserError, match="there is an endpoint of this name already"):
        run()
    run(update=True, stamp="20260131-120001")
    assert "took digits-20260131-120000 off the endpoint" in caplog.text
    with pytest.raises(UserError, match="there is no endpoint of this name"):
        run(update=True, name="other")
    folder = "gs://bucket/deployed/digits/20260131-12000"
    assert take_down(dry_run=True) == [
        "would take down endpoint digits", "would take down model digits-20260131-120000",
        "would take down model digits-20260131-120001",
        f"left {folder}0 (--delete-data deletes it)", f"left {folder}1 (--delete-data deletes it)",
    ]  # fmt: skip
    assert f"deleted {folder}1" in take_down(delete_data=True)
    assert gs[1].find("bucket/deployed") == []
    vertex.resources[f"{PARENT}/endpoints/digits"] = {"name": f"{PARENT}/endpoints/digits"}
    assert take_down() == ["left endpoint digits: trainer deploy did not make it"]


def test_a_batch_leaves_its_record_and_no_endpoint(vertex, run, take_down, caplog):
    run(name="rows", batch=("gs://bucket/in", "gs://bucket/out"))
    assert vertex.names("endpoints") == []
    lines = take_down("rows")
    assert "the service keeps its record" in lines[-1]
    run(name="rows", batch=("gs://bucket/in", "gs://bucket/out"))
    (job,) = [each for each in vertex.resources.values() if "inputConfig" in each][-1:]
    job["state"] = "JOB_STATE_RUNNING"
    assert any(line.startswith("took down batch prediction job") for line in take_down("rows"))


def test_a_failed_batch_is_explained(vertex, run, monkeypatch):
    real = VertexEndpoints._on

    def fails(self, verb, does, name, body):
        status, found = real(self, verb, does, name, body)
        if "/batchPredictionJobs/" in name:
            found |= {"state": "JOB_STATE_FAILED", "error": {"message": "no such input."}}
        return status, found

    monkeypatch.setattr(VertexEndpoints, "_on", fails)
    with pytest.raises(UserError, match="failed: no such input"):
        run(name="rows", batch=("gs://bucket/in", "gs://bucket/out"))
    assert vertex.names("models") == []


@pytest.mark.parametrize("verb", ["models.upload", "endpoints.create", "endpoints.deployModel"])
def test_a_failure_takes_down_what_was_made(vertex, run, verb, caplog):
    vertex.failures[verb] = "quota of something."
    vertex.lines.append("no model in gs://")
    with pytest.raises(UserError, match="quota of something"):
        run()
    assert vertex.names("endpoints") == vertex.names("models") == []
    assert ("no model in gs://" in caplog.text) == (verb == "endpoints.deployModel")


def test_rows_and_arrays_are_asked_and_a_missing_endpoint_is_final(vertex, run):
    run()
    vertex.calls.clear()
    asked = PredictOptions(api_endpoint=vertex.url)
    client = VertexTarget().client(f"{PARENT}/endpoints/digits", asked)
    lines = Piece(source="x", numbers=(0, 1), media_type=JSON_LINES, body=b"[1]\n[2]\n")
    assert client.ask(lines).status == 200
    assert vertex.calls[-1][2] == {"instances": [[1], [2]]}
    assert client.class_names() == ()
    here = PredictOptions(to="vertex", project="p", region="europe-west4", api_endpoint=vertex.url)
    missing = VertexTarget().client("nobody", here)
    with pytest.raises(UserError, match="is not there; check the name"):
        missing.ask(lines)
    nowhere = VertexTarget().client(
        f"{PARENT}/endpoints/x", PredictOptions(api_endpoint="http://127.0.0.1:9")
    )
    with pytest.raises(UnreachableError):
        nowhere.ask(Piece(source="x", numbers=(0,), media_type=NPY, body=b"x"))


def test_the_model_of_a_finished_job_is_found(vertex):
    to = VertexConnection(project="p", region="europe-west4", api=vertex.url, logging=None)
    service = VertexEndpointService(to)
    name = f"{PARENT}/customJobs/5"
    job = {"name": name, "state": "JOB_STATE_SUCCEEDED", "displayName": "five",
           "jobSpec": {"baseOutputDirectory": {"outputUriPrefix": "gs://b/run/"}}}  # fmt: skip
    vertex.resources[name] = job
    assert service.model_of_job("5") == "gs://b/run/model"
    assert service.model_of_job("five") == "gs://b/run/model"
    job["state"] = "JOB_STATE_RUNNING"
    with pytest.raises(UserError, match="the job is running, and has no model"):
        service.model_of_job("5")
    vertex.resources.clear()
    with pytest.raises(UserError, match="neither a file here nor a custom job"):
        service.model_of_job("nobody")
