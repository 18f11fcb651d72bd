"""`trainer deploy`, `predict` and `undeploy` on SageMaker: moto, and containers for real."""

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import tarfile
import time

import numpy as np
import pytest
from aws_endpoints import ACCOUNT, REGION, ROLE, AwsEndpoints, aws_endpoints
from moto.iam.models import iam_backends
from processes import TRAINER, environment, signal_at, trainer
from servers import SECONDS

pytestmark = pytest.mark.tensorflow
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/trainer:cpu"
TO = ("--to", "sagemaker", "--image", IMAGE, "--role", ROLE)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with aws_endpoints(tmp_path_factory.mktemp("containers")) as server:
        yield server


@pytest.fixture
def aws(shared) -> AwsEndpoints:
    """The services, with nothing there."""
    shared.statuses, shared.refuse = [], {}
    shared.calls.clear()
    shared.invoked.clear()
    backend = shared.backend
    for found in (backend.endpoints, backend.endpoint_configs, backend._models):
        found.clear()
    with contextlib.suppress(FileNotFoundError):
        shared.s3.rm("models", recursive=True)
    shared.s3.makedirs("models", exist_ok=True)
    return shared


def objects(aws):
    return [name.removeprefix("models/") for name in aws.s3.find("models")]


def deploy(aws, model, *argv, name="digits"):
    return trainer(
        "deploy", str(model), *TO, "--name", name, "--artifacts", "s3://models/deployed", *argv,
        env=aws.env,
    )  # fmt: skip


def tags_of(aws, operation):
    (arguments,) = [each for called, each in aws.calls if called == operation]
    return {tag["Key"]: tag["Value"] for tag in arguments["Tags"]}


def test_a_folder_becomes_an_endpoint_that_is_asked_and_taken_down(aws, digits_model, tmp_path):
    ran = deploy(aws, digits_model, "--tags", "team=vision", "--env", "SAGEMAKER_TFS_MAX_BATCH=1")
    assert ran.returncode == 0, ran.stderr
    assert aws.named("endpoints") == ["digits"]
    (model,) = aws.named("models")
    assert aws.named("endpoint_configs") == [model]
    assert objects(aws) == [f"deployed/digits/{model.removeprefix('digits-')}/model.tar.gz"]
    assert tags_of(aws, "CreateEndpoint") == {"team": "vision", "trainer-deploy": "digits"}
    created = dict(aws.calls)["CreateModel"]
    assert created["PrimaryContainer"]["Environment"] == {"SAGEMAKER_TFS_MAX_BATCH": "1"}

    # What it printed works as it is.
    shell, _, rest = ran.stdout.partition("or in Python:")
    command = shell.partition("Ask it:\n")[2]
    python = rest.partition("or about files:")[0]
    env = environment(aws.env)
    asked = subprocess.run(
        [sys.executable, "-c", python], env=env, capture_output=True, text=True, check=False,
        timeout=SECONDS,
    )  # fmt: skip
    assert asked.stdout, (python, asked)
    assert len(json.loads(asked.stdout)["predictions"]) == 1, asked.stderr
    assert f"aws sagemaker-runtime invoke-endpoint --region {REGION}" in command

    # A client of the endpoint's name.
    np.save(tmp_path / "x.npy", np.zeros((3, 28, 28, 1), np.float32))
    predicted = trainer("predict", "digits", str(tmp_path / "x.npy"), env=aws.env)
    assert (predicted.returncode, len(predicted.stdout.splitlines())) == (0, 3)
    assert aws.invoked[-1] == "application/x-npy"

    dry = trainer("undeploy", "digits", "--to", "sagemaker", "--dry-run", env=aws.env)
    assert dry.stdout.splitlines() == [
        "would take down endpoint digits", f"would take down endpoint configuration {model}",
        f"would take down model {model}",
        f"left s3://models/deployed/digits/{model.removeprefix('digits-')} "
        "(--delete-data deletes it)",
    ]  # fmt: skip
    assert aws.named("endpoints") == ["digits"]
    ran = trainer("undeploy", "digits", "--to", "sagemaker", "--delete-data", env=aws.env)
    assert ran.returncode == 0, ran.stderr
    assert aws.named("endpoints") == aws.named("endpoint_configs") == aws.named("models") == []
    assert objects(aws) == []
    again = trainer("undeploy", "digits", "--to", "sagemaker", env=aws.env)
    assert (again.returncode, again.stdout) == (
        0, "nothing that was deployed as digits is there\n",
    )  # fmt: skip


@pytest.mark.skipif(not shutil.which("aws"), reason="needs the AWS CLI")
def test_the_command_that_it_prints_works_as_it_is(aws, digits_model):
    ran = deploy(aws, digits_model)
    command = ran.stdout.partition("Ask it:\n")[2].partition("or in Python:")[0]
    asked = subprocess.run(
        ["bash", "-c", command], env=environment(aws.env), capture_output=True, text=True,
        check=False, timeout=SECONDS,
    )  # fmt: skip
    assert asked.returncode == 0, asked.stderr
    assert '"predictions"' in asked.stdout


def test_only_what_was_made_is_taken_down(aws, digits_model):
    assert deploy(aws, digits_model, name="digits-two").returncode == 0
    client = aws.backend
    client.create_endpoint_config(
        "digits", [{"VariantName": "a", "ModelName": aws.named("models")[0],
                    "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}],
        {}, {}, None, [],
    )  # fmt: skip
    client.create_endpoint("digits", "digits", [])
    ran = trainer("undeploy", "digits", "--to", "sagemaker", env=aws.env)
    assert ran.stdout.splitlines() == [
        "left endpoint digits: trainer deploy did not make it",
        "left endpoint configuration digits: trainer deploy did not make it",
    ]
    assert aws.named("endpoints") == ["digits", "digits-two"]


def test_an_archive_in_s3_and_a_finished_job_are_served_where_they_lie(aws, digits_model, tmp_path):
    archive = tmp_path / "model.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(digits_model / "1", "1")
    aws.s3.put_file(str(archive), "models/given/output/model.tar.gz")
    ran = deploy(aws, "s3://models/given/output/model.tar.gz")
    assert ran.returncode == 0, ran.stderr
    (model,) = aws.backend._models.values()
    assert model.primary_container["ModelDataUrl"] == "s3://models/given/output/model.tar.gz"
    ran = trainer("undeploy", "digits", "--to", "sagemaker", "--delete-data", env=aws.env)
    assert "s3://" not in ran.stdout
    assert objects(aws) == ["given/output/model.tar.gz"]

    aws.backend.create_training_job(
        training_job_name="given", hyper_parameters={}, algorithm_specification={},
        role_arn=ROLE, input_data_config=[], resource_config={}, vpc_config={},
        stopping_condition={}, tags=[], enable_network_isolation=False,
        enable_inter_container_traffic_encryption=False, enable_managed_spot_training=False,
        checkpoint_config={}, debug_hook_config={}, debug_rule_configurations=[],
        tensor_board_output_config={}, experiment_config={},
        output_data_config={"S3OutputPath": "s3://models"},
    )  # fmt: skip
    assert deploy(aws, "given").returncode == 0
    (model,) = aws.backend._models.values()
    assert model.primary_container["ModelDataUrl"] == "s3://models/given/output/model.tar.gz"


def test_a_role_may_be_given_by_its_name(aws, digits_model):
    ran = deploy(aws, digits_model, "--role", "NoSuchRole")
    assert ran.returncode == 2
    assert "--role NoSuchRole: there is no such role in this account" in ran.stderr
    assert objects(aws) == []
    # The servers of moto in a process share one memory.
    role = iam_backends[ACCOUNT]["aws"].create_role("Mine", "{}", "/", None, "", [], "3600")
    assert deploy(aws, digits_model, "--role", "Mine").returncode == 0
    (model,) = aws.backend._models.values()
    assert model.execution_role_arn == role.arn


def test_a_taken_name_is_refused_unless_the_model_is_to_be_replaced(aws, digits_model):
    assert deploy(aws, digits_model).returncode == 0
    before = aws.named("models")
    aws.calls.clear()
    ran = deploy(aws, digits_model)
    assert ran.returncode == 2
    assert "there is an endpoint of this name already (InService); --update puts" in ran.stderr
    assert aws.named("models") == before
    missing = deploy(aws, digits_model, "--update", name="other")
    assert "there is no endpoint of this name; leave --update out" in missing.stderr
    ran = deploy(aws, digits_model, "--update")
    assert ran.returncode == 0, ran.stderr
    assert "UpdateEndpoint" in [called for called, _ in aws.calls]
    assert len(aws.named("models")) == 2
    assert trainer("undeploy", "digits", "--to", "sagemaker", env=aws.env).returncode == 0
    assert aws.named("models") == aws.named("endpoint_configs") == []


def test_an_endpoint_that_fails_is_explained_and_all_of_it_taken_down(aws, digits_model):
    from moto.backends import get_backend

    logs = get_backend("logs")["123456789012"][REGION]
    group = "/aws/sagemaker/Endpoints/digits"
    if group not in logs.groups:
        logs.create_log_group(group, {})
        logs.create_log_stream(group, "AllTraffic/i-1")
        logs.put_log_events(
            group, "AllTraffic/i-1",
            [{"timestamp": int(time.time() * 1000), "message": "trainer: error: no model"}],
        )  # fmt: skip
    failed = {"EndpointStatus": "Failed", "FailureReason": "The container did not pass the ping."}
    aws.statuses = [{"EndpointStatus": "Creating"}, failed]
    ran = deploy(aws, digits_model)
    assert ran.returncode == 2
    assert "endpoint digits: Creating seconds=0" in ran.stderr
    assert "AllTraffic/i-1: trainer: error: no model" in ran.stderr
    assert "Failed: The container did not pass the ping." in ran.stderr
    assert aws.named("endpoints") == aws.named("endpoint_configs") == aws.named("models") == []
    assert objects(aws) == []

    aws.statuses = [failed]
    ran = deploy(aws, digits_model, "--keep")
    assert "made and kept: s3://models/deployed/digits/" in ran.stderr
    assert "take down: trainer undeploy digits --to sagemaker" in ran.stderr
    assert aws.named("endpoints") == ["digits"]


def test_a_signal_while_it_waits_takes_down_what_was_made(aws, digits_model):
    aws.statuses = [{"EndpointStatus": "Creating"}]
    argv = [*TRAINER, "deploy", str(digits_model), *TO, "--name", "digits"]
    argv += ["--artifacts", "s3://models/deployed"]
    code, lines = signal_at(argv, "endpoint digits: Creating", signal.SIGTERM, env=aws.env)
    assert code == 130
    assert lines[-1] == "trainer: endpoint digits: stopped while it was Creating"
    assert "warning: took down endpoint digits" in lines
    assert aws.named("endpoints") == aws.named("endpoint_configs") == aws.named("models") == []
    assert objects(aws) == []


@pytest.mark.parametrize(
    ("operation", "error", "words"),
    [
        ("CreateEndpoint", ("ResourceLimitExceeded", "The account-level service limit is 0"),
         "the account's quota is used up (The account-level service limit is 0); ask for more"),
        ("CreateModel", ("ValidationException", "Could not assume role"), "Could not assume role"),
        ("CreateModel", ("AccessDeniedException", "not authorized"), "access is denied"),
        ("DescribeEndpoint", ("ExpiredTokenException", "token is expired"), "sign in again"),
        ("DescribeEndpoint", ("UnrecognizedClientException", "bad"), "access key is not known"),
    ],
)  # fmt: skip
def test_what_the_service_refuses_is_one_line_and_leaves_nothing(
    aws, digits_model, operation, error, words
):
    aws.refuse = {operation: error}
    ran = deploy(aws, digits_model)
    assert ran.returncode == 2
    (line,) = [line for line in ran.stderr.splitlines() if line.startswith("trainer: error")]
    assert words in line
    assert aws.named("endpoints") == aws.named("endpoint_configs") == aws.named("models") == []
    assert objects(aws) == []


def test_serverless_autoscaled_and_batch_deployments_are_what_they_say(aws, digits_model):
    ran = deploy(aws, digits_model, "--serverless", "--memory-mb", "3072", name="less")
    assert ran.returncode == 0, ran.stderr
    (variant,) = dict(aws.calls)["CreateEndpointConfig"]["ProductionVariants"]
    assert variant["ServerlessConfig"] == {"MemorySizeInMB": 3072, "MaxConcurrency": 5}
    assert "InstanceType" not in variant

    ran = deploy(aws, digits_model, "--count", "1", "--max-count", "4", name="more")
    assert ran.returncode == 0, ran.stderr
    called = [name for name, _ in aws.calls]
    assert called.index("RegisterScalableTarget") > called.index("CreateEndpoint")
    assert "PutScalingPolicy" in called
    aws.calls.clear()
    assert trainer("undeploy", "more", "--to", "sagemaker", env=aws.env).returncode == 0
    assert "DeregisterScalableTarget" in [name for name, _ in aws.calls]

    aws.calls.clear()
    batch = ("--batch", "s3://models/rows", "s3://models/answers", "--batch-type", "csv")
    ran = deploy(aws, digits_model, *batch, name="rows")
    assert ran.returncode == 0, ran.stderr
    job = dict(aws.calls)["CreateTransformJob"]
    assert job["TransformInput"]["SplitType"] == "Line"
    assert job["TransformOutput"]["Accept"] == "text/csv"
    assert "answered s3://models/rows to s3://models/answers" in ran.stdout
    ran = trainer("undeploy", "rows", "--to", "sagemaker", env=aws.env)
    assert f"took down model {job['ModelName']}" in ran.stdout
    assert f"left transform job {job['ModelName']}: it has ended" in ran.stdout


def test_an_endpoint_that_is_not_there_or_no_model_is_one_line(aws, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((1, 28, 28, 1), np.float32))
    ran = trainer("predict", "nobody", str(tmp_path / "x.npy"), env=aws.env)
    assert ran.returncode == 2
    assert "Endpoint nobody of account" in ran.stderr
    empty = tmp_path / "empty"
    empty.mkdir()
    ran = deploy(aws, empty)
    assert ran.returncode == 2
    assert f"MODEL {empty}: holds no model: expected saved_model.pb" in ran.stderr
    ran = deploy(aws, "no-such-job")
    assert f"neither a file here nor a training job in {REGION}" in ran.stderr
    ran = deploy(aws, "s3://nobodys-bucket/model.tar.gz")
    assert ran.returncode == 2
    assert "s3://nobodys-bucket/model.tar.gz" in ran.stderr


def test_without_credentials_requests_are_printed_and_nothing_else_is_done(tmp_path):
    env = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": str(tmp_path / "none"),
           "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"), "AWS_REGION": REGION}  # fmt: skip
    argv = ("deploy", "s3://models/m/model.tar.gz", *TO, "--name", "digits")
    ran = trainer(*argv, "--print", "request", env=env)
    assert ran.returncode == 0, ran.stderr
    assert [each["operation"] for each in json.loads(ran.stdout)] == [
        "create_model", "create_endpoint_config", "create_endpoint",
    ]  # fmt: skip
    ran = trainer(*argv, env=env)
    assert ran.returncode == 2
    assert "there are no AWS credentials; sign in with aws configure" in ran.stderr
