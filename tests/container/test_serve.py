"""The image as a server: a SageMaker endpoint, and Vertex AI's prediction."""

import json
import time
import urllib.error
import urllib.request

import pytest
from containers import DEADLINE, Container

READY_SECONDS = 120


@pytest.fixture(scope="module")
def model(engine, image, tfrecords, tmp_path_factory):
    """A folder with one trained model, as SageMaker lays it out."""
    folder = tmp_path_factory.mktemp("served")
    argv = ("--model", "fast", "--steps", "100", "--train", "/data", "--model-dir", "/out/model")
    options = ("--network", "none", "-v", f"{tfrecords}:/data:ro", "-v", f"{folder}:/out")
    with Container(engine, image, argv, options) as run:
        assert run.wait(timeout=DEADLINE) == 0, run.text
    return folder / "model"


def address(engine, container: Container, network: str) -> str:
    """Where it is reached; it has an address a moment after it has been created."""
    form = f'{{{{(index .NetworkSettings.Networks "{network}").IPAddress}}}}'
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end and not container.ended:
        found = engine("inspect", "--format", form, container.name, check=False).stdout.strip()
        if found:
            return found
        time.sleep(0.1)
    pytest.fail(f"{container.name} has no address in {network}\n{container.text}")


def answer(url: str, data: dict | None = None) -> tuple[int, bytes]:
    body = None if data is None else json.dumps(data).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return response.status, response.read()


def until_ready(url: str, container: Container) -> None:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end and not container.ended:
        try:
            if answer(url)[0] == 200:
                return
        except (urllib.error.URLError, OSError):
            # Nothing to wait for but the port itself.
            time.sleep(0.1)
    pytest.fail(f"{url}: not ready\n{container.text}")


@pytest.mark.parametrize(
    ("argv", "env", "mount", "port", "health", "predict"),
    [
        (("serve",), {}, "/opt/ml/model", 8080, "/ping", "/invocations"),
        (
            (),
            {
                "AIP_MODE": "PREDICTION", "AIP_HTTP_PORT": "8123",
                "AIP_STORAGE_URI": "/gcs/b/model",
                "AIP_HEALTH_ROUTE": "/v1/endpoints/1/deployedModels/2",
                "AIP_PREDICT_ROUTE": "/v1/endpoints/1/deployedModels/2:predict",
            },
            "/gcs/b/model", 8123, "/v1/endpoints/1/deployedModels/2",
            "/v1/endpoints/1/deployedModels/2:predict",
        ),
    ],
    ids=["SageMaker", "Vertex AI"],
)  # fmt: skip
def test_it_answers_as_the_platform_asks(
    engine, start, model, argv, env, mount, port, health, predict
):
    with engine.network() as network:
        options = ["--network", network, "-v", f"{model}:{mount}:ro", "--read-only"]
        options += ["--tmpfs", "/tmp", "--user", "4321:4321"]
        for name, value in env.items():
            options += ["-e", f"{name}={value}"]
        server = start(*argv, options=options)
        base = f"http://{address(engine, server, network)}:{port}"
        until_ready(base + health, server)
        blank = [[[0.0]] * 28] * 28
        status, body = answer(base + predict, {"instances": [blank, blank]})
        assert status == 200
        first, second = json.loads(body)["predictions"]
        assert len(first["probabilities"]) == 10
        assert sum(first["probabilities"]) == pytest.approx(1, abs=1e-4)
        assert first == second
        assert server.stop(grace=30) < 15
        assert server.wait() == 0, server.text
