"""The examples for SageMaker, run by both of its SDKs against servers that answer as AWS does."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from aws_endpoints import AwsEndpoints, aws_endpoints
from aws_server import AwsServer, aws_server, client, make_role
from containers import missing
from made_models import checkpoint
from sagemaker_jobs import request

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
IMAGE = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/trainer:gpu"
SDKS = pytest.mark.parametrize("sdk", [2, 3])
# The SDKs look at jobs and endpoints every 5 to 30 seconds.
IMPATIENT = "import time; s = time.sleep; time.sleep = lambda seconds: s(min(seconds, 0.2))"


def example(name: str, sdk: int, home: Path, env: dict[str, str], *argv: str) -> str:
    """Run an example with one of the SDKs, and return what it printed."""
    python = ROOT / f".venv-sdk{sdk}/bin/python"
    if not python.exists():
        missing(f"needs {python.parent.parent.name}: make setup-sdk")
    (home / "sitecustomize.py").write_text(IMPATIENT)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    ran = subprocess.run(
        [python, EXAMPLES / f"{name}.py", *argv], cwd=home, capture_output=True, text=True,
        env={"PATH": path, "HOME": str(home), "PYTHONPATH": str(home), **env}, timeout=300,
        check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def endpoint_environment(endpoints: AwsEndpoints) -> dict[str, str]:
    """Return the variables that lead the SDKs there."""
    return {**endpoints.env, "AWS_DEFAULT_REGION": endpoints.env["AWS_REGION"]}


@pytest.fixture(scope="module")
def aws() -> Iterator[AwsServer]:
    pytest.importorskip("moto.server")
    with aws_server() as server:
        # Moto simulates no policies; the SDK's version 3 goes on where it may not ask.
        server.fail("SimulatePrincipalPolicy", "AccessDenied", "not allowed", status=403)
        make_role(server, "SageMakerRole")
        client(server, "s3").create_bucket(
            Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        yield server


@pytest.fixture(scope="module")
def endpoints(aws, tmp_path_factory) -> Iterator[AwsEndpoints]:
    with aws_endpoints(tmp_path_factory.mktemp("containers")) as server:
        yield server


TRAIN = ("--role", "SageMakerRole", "--image", IMAGE, "--data", "s3://bucket/mnist",
         "--output", "s3://bucket/runs")  # fmt: skip


@pytest.mark.slow
@SDKS
def test_the_example_trains_on_spot_instances_and_names_the_model(sdk, aws, tmp_path):
    aws.calls.clear()
    printed = example("sm_train", sdk, tmp_path, aws.environment, *TRAIN, "--spot", "--hp",
                      "steps=500", "--instance-count", "2")  # fmt: skip
    (sent,) = aws.made("CreateTrainingJob")
    assert sent["AlgorithmSpecification"]["TrainingImage"] == IMAGE
    assert sent["RoleArn"].endswith(":role/service-role/SageMakerRole")
    assert sent["HyperParameters"] == {"model": "cnn", "steps": "500"}
    assert sent["ResourceConfig"]["InstanceCount"] == 2
    assert sent["EnableManagedSpotTraining"] is True
    assert sent["CheckpointConfig"]["S3Uri"] == "s3://bucket/runs/checkpoints"
    (channel,) = sent["InputDataConfig"]
    assert (channel["ChannelName"], channel["DataSource"]["S3DataSource"]["S3Uri"]) == (
        "train", "s3://bucket/mnist",
    )  # fmt: skip
    name = sent["TrainingJobName"]
    # The SDKs leave the line open on which they show the job's state.
    assert printed.endswith(f"s3://bucket/runs/{name}/output/model.tar.gz\n")


@pytest.mark.slow
@SDKS
def test_the_examples_metrics_are_those_of_trainer_submit(sdk, aws, tmp_path):
    aws.calls.clear()
    printed = example("sm_train", sdk, tmp_path, aws.environment, *TRAIN, "--no-wait")
    (sent,) = aws.made("CreateTrainingJob")
    assert printed.endswith(f"{sent['TrainingJobName']}\n")
    body = request({}).body()["AlgorithmSpecification"]["MetricDefinitions"]
    ours = {metric["Name"]: metric["Regex"] for metric in body}
    theirs = sent["AlgorithmSpecification"]["MetricDefinitions"]
    assert len(theirs) == 3
    assert {metric["Name"]: metric["Regex"] for metric in theirs}.items() <= ours.items()


@pytest.mark.tensorflow
@pytest.mark.slow
@pytest.mark.parametrize(("sdk", "kind"), [(2, "instance"), (3, "serverless")])
def test_the_example_deploys_a_model_asks_it_and_takes_it_down(
    sdk, kind, endpoints, digits_model, tmp_path
):
    archive = tmp_path / "model.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(digits_model / "1", "1")
    endpoints.s3.put_file(str(archive), "models/digits/model.tar.gz")
    printed = example(
        "sm_deploy", sdk, tmp_path, endpoint_environment(endpoints),
        "--role", "SageMakerRole", "--image", IMAGE, "--name", f"digits-{sdk}-{kind}",
        "--model", "s3://models/digits/model.tar.gz",
        *(["--serverless"] if kind == "serverless" else []),
    )  # fmt: skip
    assert re.search(rf"digits-{sdk}-{kind} takes the digit for a \d\n$", printed)
    for what in ("endpoints", "endpoint_configs", "models"):
        assert endpoints.named(what) == []


@pytest.mark.tensorflow
@pytest.mark.slow
@SDKS
def test_a_saved_model_is_brought_to_tensorflows_own_container(
    sdk, endpoints, digits_model, tmp_path
):
    (tmp_path / "request.json").write_text(json.dumps({"instances": [[[[0.0]] * 28] * 28]}))
    endpoints.calls.clear()
    printed = example(
        "bring_your_own", sdk, tmp_path, endpoint_environment(endpoints), str(digits_model / "1"),
        "--bucket", "models", "--role", "SageMakerRole", "--name", f"brought-{sdk}",
        "--request", "request.json",
    )  # fmt: skip
    assert len(json.loads(printed.splitlines()[-1].lstrip("-!"))["predictions"]) == 1
    assert "taken by SageMaker TensorFlow" in printed
    created = dict(endpoints.calls)["CreateModel"]
    container = created.get("PrimaryContainer") or created["Containers"][0]
    assert container["Image"].endswith("/tensorflow-inference:2.19.0-cpu")
    assert container["ModelDataUrl"] == f"s3://models/models/brought-{sdk}/model.tar.gz"
    assert endpoints.named("endpoints") == []


@pytest.mark.slow
@SDKS
def test_a_checkpoint_is_brought_to_mxnets_own_container(sdk, endpoints, tmp_path):
    checkpoint(tmp_path / "trained", "mlp", epochs=(3, 7))
    endpoints.calls.clear()
    printed = example(
        "bring_your_own", sdk, tmp_path, endpoint_environment(endpoints), "trained/mlp",
        "--framework", "mxnet", "--input-shape", "data=1,3", "--bucket", "models",
        "--role", "SageMakerRole", "--name", f"mlp-{sdk}",
    )  # fmt: skip
    assert printed.endswith(f"mlp-{sdk} is in service\n")
    assert "taken by SageMaker MXNet" in printed
    container = dict(endpoints.calls)["CreateModel"]["PrimaryContainer"]
    assert container["Image"].endswith("/mxnet-inference:1.9.0-cpu-py38")
    assert container["Environment"]["SAGEMAKER_PROGRAM"] == "inference.py"
    # What the endpoint would load: the network, its weights, its shapes, and the entry point.
    packed = endpoints.s3.cat_file(container["ModelDataUrl"].removeprefix("s3://"))
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        files = {member.name.removeprefix("./") for member in tar if member.isfile()}
    assert files == {
        "model-symbol.json", "model-0000.params", "model-shapes.json", "code/inference.py",
    }  # fmt: skip
    assert endpoints.named("endpoints") == []
