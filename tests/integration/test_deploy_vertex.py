"""`trainer deploy`, `predict` and `undeploy` on Vertex AI: its API described, containers real."""

import json
import subprocess
import sys

import buckets
import numpy as np
import pytest
from processes import environment, trainer
from servers import SECONDS
from vertex_endpoints import VertexEndpoints, vertex_endpoints

pytestmark = pytest.mark.tensorflow
PLACE = ("--to", "vertex", "--project", "p", "--region", "europe-west4")
PARENT = "projects/p/locations/europe-west4"


@pytest.fixture(scope="module")
def gs():
    with buckets.gs() as found:
        yield found


@pytest.fixture(scope="module")
def shared(gs):
    with vertex_endpoints(gs[2]) as server:
        yield server


@pytest.fixture
def vertex(shared) -> VertexEndpoints:
    shared.clear()
    yield shared
    assert shared.mistakes == []


@pytest.fixture
def env(gs, shared):
    return {
        **gs[2],
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM": shared.url,
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING": shared.url,
    }


@pytest.fixture
def deploy(env):
    def run(model, *argv, name="digits"):
        return trainer(
            "deploy", str(model), *PLACE, "--image", "image:cpu", "--name", name,
            "--artifacts", "gs://bucket/deployed", *argv, env=env,
        )  # fmt: skip

    return run


def undeploy(env, *argv, name="digits"):
    return trainer("undeploy", name, *PLACE, *argv, env=env)


def objects(gs):
    return sorted(gs[1].find("bucket"))


def test_a_folder_becomes_an_endpoint_that_is_asked_and_taken_down(
    vertex, env, gs, deploy, digits_model, tmp_path
):
    ran = deploy(digits_model, "--max-count", "3", "--tags", "team=vision")
    assert ran.returncode == 0, ran.stderr
    assert vertex.names("endpoints") == ["digits"]
    (model,) = vertex.names("models")
    resource = vertex.resources[f"{PARENT}/models/{model}"]
    assert f"{resource['artifactUri'].removeprefix('gs://')}/saved_model.pb" in objects(gs)
    assert resource["labels"] == {
        "team": "vision", "trainer-deploy": "digits", "trainer-deploy-artifact": "uploaded",
    }  # fmt: skip
    (deployed,) = vertex.resources[f"{PARENT}/endpoints/digits"]["deployedModels"]
    assert deployed["dedicatedResources"]["maxReplicaCount"] == 3

    shell, _, rest = ran.stdout.partition("or in Python:")
    command = shell.partition("Ask it:\n")[2]
    assert "Authorization: Bearer $(gcloud auth print-access-token)" in command
    fake = tmp_path / "bin"
    fake.mkdir()
    (fake / "gcloud").write_text("#!/bin/sh\necho token\n")
    (fake / "gcloud").chmod(0o755)
    path = {"PATH": f"{fake}:/usr/bin:/bin"}
    asked = subprocess.run(
        ["bash", "-c", command], env={**environment(env), **path}, capture_output=True, text=True,
        check=False, timeout=SECONDS,
    )  # fmt: skip
    assert len(json.loads(asked.stdout)["predictions"]) == 1, asked
    # The credentials of the person are the one thing that a test has not.
    python = rest.partition("or about files:")[0].replace(
        "user, _ = google.auth.default(", "user, _ = anonymous("
    )
    asked = subprocess.run(
        [sys.executable, "-c", "from google.auth.credentials import AnonymousCredentials\n"
         f"anonymous = lambda scopes: (AnonymousCredentials(), None)\n{python}"],
        env=environment(env), capture_output=True, text=True, check=False, timeout=SECONDS,
    )  # fmt: skip
    assert len(json.loads(asked.stdout)["predictions"]) == 1, asked

    rows = np.zeros((2, 28, 28, 1), np.float32)
    np.save(tmp_path / "x.npy", rows)
    (tmp_path / "y.jsonl").write_text("".join(f"{json.dumps(r)}\n" for r in rows.tolist()))
    vertex.calls.clear()
    full = f"{PARENT}/endpoints/digits"
    predicted = trainer("predict", full, str(tmp_path / "*.*"), env=env)
    assert (predicted.returncode, len(predicted.stdout.splitlines())) == (0, 4), predicted.stderr
    assert sorted(verb for verb, *_ in vertex.calls) == [
        "endpoints.predict",
        "endpoints.rawPredict",
    ]

    dry = undeploy(env, "--dry-run")
    uri = resource["artifactUri"]
    assert dry.stdout.splitlines() == [
        "would take down endpoint digits", f"would take down model {model}",
        f"left {uri} (--delete-data deletes it)",
    ]  # fmt: skip
    assert vertex.names("endpoints") == ["digits"]
    ran = undeploy(env, "--delete-data")
    assert ran.returncode == 0, ran.stderr
    assert f"deleted {uri}" in ran.stdout
    assert vertex.names("endpoints") == vertex.names("models") == objects(gs) == []
    assert undeploy(env).stdout == "nothing that was deployed as digits is there\n"


def test_another_model_takes_over_and_what_lies_in_the_store_is_left_there(
    vertex, env, gs, deploy, digits_model
):
    gs[1].put(f"{digits_model / '1'}/", "bucket/given", recursive=True)
    ran = deploy("gs://bucket/given")
    assert ran.returncode == 0, ran.stderr
    (first,) = vertex.names("models")
    assert vertex.resources[f"{PARENT}/models/{first}"]["artifactUri"] == "gs://bucket/given"
    again = deploy("gs://bucket/given")
    assert again.returncode == 2
    assert "there is an endpoint of this name already; --update puts" in again.stderr
    ran = deploy("gs://bucket/given", "--update")
    assert ran.returncode == 0, ran.stderr
    assert f"took {first} off the endpoint" in ran.stderr
    assert len(vertex.names("models")) == 2
    assert undeploy(env, "--delete-data").returncode == 0
    assert vertex.names("models") == []
    assert "bucket/given/saved_model.pb" in objects(gs)


def test_a_deployment_that_fails_is_explained_and_all_of_it_taken_down(
    vertex, env, gs, deploy, digits_model
):
    vertex.failures["endpoints.deployModel"] = "Model server never became ready."
    vertex.lines += ["trainer: serving", "trainer: error: no model"]
    before = objects(gs)
    ran = deploy(digits_model)
    assert ran.returncode == 2
    assert "endpoint digits: trainer: error: no model" in ran.stderr
    assert "trainer: error: endpoint digits: Model server never became ready" in ran.stderr
    assert vertex.names("endpoints") == vertex.names("models") == []
    assert objects(gs) == before


@pytest.mark.parametrize(
    ("verb", "refusal", "words"),
    [
        ("endpoints.create", (429, "RESOURCE_EXHAUSTED", "quota of endpoints"), "ask for more"),
        ("models.upload", (403, "PERMISSION_DENIED", "no access"), "PERMISSION_DENIED"),
        ("endpoints.get", (401, "UNAUTHENTICATED", "expired"), "sign in again: gcloud auth"),
    ],
)  # fmt: skip
def test_what_the_service_refuses_is_one_line_and_leaves_nothing(
    vertex, gs, deploy, digits_model, verb, refusal, words
):
    before = objects(gs)
    vertex.refuse[verb] = refusal
    ran = deploy(digits_model)
    assert ran.returncode == 2
    (line,) = [line for line in ran.stderr.splitlines() if line.startswith("trainer: error")]
    assert words in line
    assert vertex.names("endpoints") == vertex.names("models") == []
    assert objects(gs) == before


def test_a_batch_is_answered_without_an_endpoint(vertex, env, deploy, digits_model):
    ran = deploy(
        digits_model, "--batch", "gs://bucket/rows.jsonl", "gs://bucket/answers",
        "--accelerator", "NVIDIA_L4:2", "--role", "account@p.iam.gserviceaccount.com",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "answered gs://bucket/rows.jsonl to gs://bucket/answers" in ran.stdout
    assert vertex.names("endpoints") == []
    ran = undeploy(env)
    assert "it has ended, and the service keeps its record" in ran.stdout
    assert vertex.names("models") == []


def test_without_credentials_requests_are_printed_and_nothing_else_is_done(tmp_path):
    env = {"GOOGLE_APPLICATION_CREDENTIALS": "", "CLOUDSDK_CONFIG": str(tmp_path),
           "HOME": str(tmp_path), "NO_GCE_CHECK": "true"}  # fmt: skip
    argv = ("deploy", "gs://bucket/m", *PLACE, "--image", "image:cpu", "--name", "digits")
    ran = trainer(*argv, "--print", "request", env=env)
    assert ran.returncode == 0, ran.stderr
    assert [each["url"].rpartition("/")[2] for each in json.loads(ran.stdout)] == [
        "models:upload", "endpoints?endpointId=digits", "digits:deployModel",
    ]  # fmt: skip
    ran = trainer(*argv, env=env)
    assert ran.returncode == 2
    assert "there are no Google credentials; sign in with gcloud auth" in ran.stderr


def test_an_endpoint_that_is_not_there_is_one_line(vertex, env, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((1, 28, 28, 1), np.float32))
    ran = trainer("predict", "nobody", str(tmp_path / "x.npy"), *PLACE, env=env)
    assert ran.returncode == 2
    assert "endpoints/nobody: is not there; check the name" in ran.stderr
