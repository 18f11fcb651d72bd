"""`trainer deploy --to docker`: the image answers the request that is printed."""

import json
import os
import shlex
import socket
import subprocess
import sys
import uuid

import numpy as np
import pytest
from containers import DEADLINE, PREFIX, Container
from processes import trainer

PLACE = ("--to", "docker")


@pytest.fixture(scope="module")
def model(engine, image, tfrecords, tmp_path_factory):
    """A folder with one trained model."""
    folder = tmp_path_factory.mktemp("deployed")
    argv = ("--model", "fast", "--steps", "20", "--train", "/data", "--model-dir", "/out/model")
    options = ("--network", "none", "-v", f"{tfrecords}:/data:ro", "-v", f"{folder}:/out")
    with Container(engine, image, argv, options) as run:
        assert run.wait(timeout=DEADLINE) == 0, run.text
    return folder / "model"


@pytest.fixture
def name(engine):
    """The name of a container, which is removed at the end."""
    made = f"{PREFIX}{uuid.uuid4().hex[:8]}"
    yield made
    engine("rm", "--force", "--volumes", made, check=False)


@pytest.fixture
def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture
def deploy(engine, image, name, port, tmp_path):
    def run(model, *argv):
        return trainer(
            "deploy", str(model), *PLACE, "--image", image, "--name", name, "--port", str(port),
            "--artifacts", str(tmp_path / "artifacts"), *argv, env={"DOCKER": engine.client},
        )  # fmt: skip

    return run


def run_text(text: str, *, shell: bool) -> dict:
    argv = ["bash", "-c", text] if shell else [sys.executable, "-c", text]
    ran = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=DEADLINE)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_a_container_answers_the_requests_that_are_printed(engine, deploy, model, name, tmp_path):
    env = {"DOCKER": engine.client}
    ran = deploy(model)
    assert ran.returncode == 0, ran.stderr
    shell, _, rest = ran.stdout.partition("or in Python:")
    answer = run_text(shell.partition("Ask it:\n")[2], shell=True)
    assert len(answer["predictions"]) == 1
    assert run_text(rest.partition("or about files:")[0], shell=False) == answer
    np.save(tmp_path / "x.npy", np.zeros((3, 28, 28, 1), np.float32))
    asked = trainer("predict", name, str(tmp_path / "x.npy"), *PLACE, env=env)
    assert (asked.returncode, len(asked.stdout.splitlines())) == (0, 3), asked.stderr

    refused = deploy(model)
    assert refused.returncode == 2
    assert "there is a container of this name already; --update puts" in refused.stderr
    assert deploy(model, "--update").returncode == 0
    folders = sorted((tmp_path / "artifacts" / name).iterdir())
    assert len(folders) == 2
    gone = trainer("undeploy", name, *PLACE, "--delete-data", env=env)
    assert gone.stdout.splitlines()[0] == f"took down container {name}"
    assert not folders[-1].exists()
    again = trainer("undeploy", name, *PLACE, env=env)
    assert again.stdout == f"nothing that was deployed as {name} is there\n"


def test_a_container_that_never_gets_ready_is_explained_and_taken_down(engine, deploy, model, name):
    """What was served before goes on."""
    assert deploy(model).returncode == 0
    ran = deploy(model, "--update", "--env", "SAGEMAKER_BIND_TO_PORT=none")
    assert ran.returncode == 2
    assert f"container {name}: its server ended, as its log says" in ran.stderr
    assert "SAGEMAKER_BIND_TO_PORT" in ran.stderr
    assert "started the container before again" in ran.stderr
    assert engine("inspect", "--format", "{{.State.Running}}", name).stdout.strip() == "true"


def test_the_printed_command_starts_a_container_that_answers(engine, image, model, name, port):
    ran = trainer(
        "deploy", str(model), *PLACE, "--image", image, "--name", name, "--port", str(port),
        "--print", "request", env={"DOCKER": "/nowhere"},
    )  # fmt: skip
    (request,) = json.loads(ran.stdout)
    command = [engine.client, *request["command"][1:]]
    subprocess.run(["bash", "-c", shlex.join(command)], check=True, env=os.environ)
    until = f"curl -s --retry 60 --retry-all-errors --retry-delay 1 -f localhost:{port}/ping"
    subprocess.run(["bash", "-c", until], check=True, timeout=DEADLINE)
    rows = json.dumps({"instances": np.zeros((1, 28, 28, 1)).tolist()})
    asked = f"curl -s -H 'Content-Type: application/json' -d @- localhost:{port}/invocations"
    answered = subprocess.run(
        ["bash", "-c", asked], input=rows, capture_output=True, text=True, check=True,
        timeout=DEADLINE,
    )  # fmt: skip
    assert len(json.loads(answered.stdout)["predictions"]) == 1
