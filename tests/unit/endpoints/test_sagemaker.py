"""SageMaker's requests against botocore's descriptions, and deployments against moto."""

import logging
import types
from pathlib import Path

import botocore.session
import pytest
import stub_server
from aws_endpoints import REGION, ROLE, AwsEndpoints, aws_endpoints
from botocore.validate import validate_parameters
from made_models import saved_model

from trainer.clouds import AwsSettings
from trainer.config import UserError
from trainer.endpoints.client import UnreachableError
from trainer.endpoints.deploy_options import DeployOptions
from trainer.endpoints.deploying import deploy
from trainer.endpoints.deployment import Deployment
from trainer.endpoints.prediction.pieces import NPY, Piece
from trainer.endpoints.sagemaker import requests
from trainer.endpoints.sagemaker.service import SageMakerEndpointService
from trainer.endpoints.sagemaker.target import SageMakerTarget
from trainer.endpoints.undeploy_options import UndeployOptions
from trainer.endpoints.undeploying import undeploy
from trainer.endpoints.waiting import EndedError
from trainer.runtime import StopRequest

pytestmark = pytest.mark.slow


def options(**given):
    return DeployOptions(**{"to": "sagemaker", "image": "1.example/trainer", "role": ROLE, **given})


def deployment(**given):
    return Deployment(
        name="m", stamp="20260131-120000", artifact="s3://b/m/model.tar.gz", is_uploaded=True,
        options=options(**given),
    )  # fmt: skip


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"serverless": True, "memory_mb": 4096},
        {"max_count": 5, "count": 2, "kms_key": "k", "subnets": ("s",), "security_groups": ("g",)},
        {"env": ("A=1",), "tags": ("team=vision",), "update": True},
        {"batch": ("s3://b/in", "s3://b/out"), "kms_key": "k"},
        {"batch": ("s3://b/in", "s3://b/out"), "batch_type": "png"},
    ],
)
def test_each_request_is_one_that_botocore_describes(given):
    session = botocore.session.get_session()
    for request in requests.requests_of(deployment(**given)):
        model = session.get_service_model(request.service)
        name = "".join(part.capitalize() for part in request.operation.split("_"))
        validate_parameters(dict(request.arguments), model.operation_model(name).input_shape)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"image": None}, "--image: not given"),
        ({"role": None}, "--role: expected the ARN"),
        ({"instance_type": "n1-standard-2"}, "expected one such as ml.m5.large"),
        ({"serverless": True, "memory_mb": 3000}, "expected a multiple of 1024"),
        ({"tags": ("a=ö!",)}, "--tags a: expected letters"),
        ({"batch": ("in", "s3://b/out")}, "--batch in: expected s3://BUCKET/PATH"),
    ],
)
def test_what_sagemaker_would_refuse_is_refused_before(given, words):
    with pytest.raises(UserError) as raised:
        requests.requests_of(deployment(**given))
    assert words in str(raised.value)


class Stubbed(AwsEndpoints):
    """The services, with a stub behind each endpoint."""

    def server_of(self, endpoint):
        if endpoint not in self.backend.endpoints:
            return None
        reply = self.replies.pop(0) if self.replies else None
        return types.SimpleNamespace(
            ask=lambda method, path, body, headers: (
                reply or stub_server.answer(headers["Content-Type"], body)
            )
        )


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with aws_endpoints(tmp_path_factory.mktemp("aws"), kind=Stubbed) as server:
        yield server


@pytest.fixture
def aws(shared, monkeypatch):
    for name, value in shared.env.items():
        monkeypatch.setenv(name, value)
    shared.statuses, shared.refuse, shared.replies = [], {}, []
    shared.calls.clear()
    for found in (shared.backend.endpoints, shared.backend.endpoint_configs,
                  shared.backend._models):  # fmt: skip
        found.clear()
    return shared


@pytest.fixture
def model(tmp_path):
    saved_model(tmp_path / "model/3")
    return str(tmp_path / "model")


def run(model, *, stamp="20260131-120000", stop=None, **given):
    made = options(
        **{"name": "digits", "region": REGION, "artifacts": "s3://models/deployed", **given}
    )
    deploy(model, made, stamp=stamp, stop=stop or StopRequest())


def take_down(capsys, name="digits", **given):
    capsys.readouterr()
    undeploy(name, UndeployOptions(to="sagemaker", region=REGION, **given))
    return capsys.readouterr().out.splitlines()


def test_an_endpoint_is_made_updated_and_taken_down(aws, model, capsys):
    run(model)
    assert "invoke-endpoint --region us-east-1 --endpoint-name digits" in capsys.readouterr().out
    with pytest.raises(UserError, match="there is an endpoint of this name already"):
        run(model)
    run(model, update=True, stamp="20260131-120001", max_count=2)
    assert aws.named("models") == ["digits-20260131-120000", "digits-20260131-120001"]
    folders = [f"s3://models/deployed/digits/20260131-12000{i}" for i in (0, 1)]
    dry = take_down(capsys, dry_run=True, delete_data=True)
    assert "would take down endpoint digits" in dry
    assert {f"would delete {folder}" for folder in folders} <= {*dry}
    assert {f"left {folder} (--delete-data deletes it)" for folder in folders} <= {
        *take_down(capsys)
    }
    assert "DeregisterScalableTarget" in [name for name, _ in aws.calls]
    assert take_down(capsys) == ["nothing that was deployed as digits is there"]


def test_names_of_classes_are_asked_for_with_the_model(aws, model, capsys):
    folder = Path(model, "3/assets.extra")
    folder.mkdir()
    (folder / "classes.txt").write_text("no\nyes\n")
    run(model)
    line = f"trainer predict digits FILES --class-names {model} --region us-east-1"
    assert line in capsys.readouterr().out


def test_an_archive_in_the_bucket_is_served_where_it_lies(aws, model, capsys):
    run(model)
    url = "s3://models/deployed/digits/20260131-120000/model.tar.gz"
    run(url, name="other", artifacts=None)
    found = aws.backend._models["other-20260131-120000"].primary_container
    assert found["ModelDataUrl"] == url
    assert not any("s3://" in line for line in take_down(capsys, "other", delete_data=True))
    # Another version, or other code, is packed anew.
    with pytest.raises(UserError, match="--artifacts: not given; name where"):
        run(url, name="other", artifacts=None, version=3)


def test_a_batch_leaves_its_record_and_no_endpoint(aws, model, capsys):
    run(model, name="rows", batch=("s3://models/in", "s3://models/out"))
    assert "answered s3://models/in to s3://models/out" in capsys.readouterr().out
    assert aws.named("endpoints") == []
    lines = take_down(capsys, "rows")
    assert lines[0] == "took down model rows-20260131-120000"
    assert "left transform job rows-20260131-120000" in lines[-1]


def test_a_failure_takes_down_what_was_made_or_names_it(aws, model, caplog):
    caplog.set_level(logging.INFO, "trainer")
    aws.statuses = [{"EndpointStatus": "Failed", "FailureReason": "no ping"}]
    with pytest.raises(UserError, match="endpoint digits: Failed: no ping"):
        run(model)
    assert aws.named("endpoints") == aws.named("endpoint_configs") == aws.named("models") == []
    with pytest.raises(UserError, match="Failed"):
        run(model, keep=True)
    assert "take down: trainer undeploy digits --to sagemaker --region us-east-1" in caplog.text
    assert aws.named("endpoints") == ["digits"]


def test_an_update_that_the_service_rolls_back_is_a_failure(aws, model):
    run(model)
    aws.statuses = [
        {"EndpointStatus": "InService"},
        {"EndpointStatus": "InService", "EndpointConfigName": "digits-20260131-120000"},
    ]
    with pytest.raises(UserError, match="still as it was before"):
        run(model, update=True, stamp="20260131-120001")
    assert aws.named("models") == ["digits-20260131-120000"]


def test_a_stop_while_it_waits_takes_down_what_was_made(aws, model):
    stop = StopRequest()
    aws.statuses = [{"EndpointStatus": "Creating"}]
    real = SageMakerEndpointService.wait

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SageMakerEndpointService, "wait", lambda *a: (stop.set(), real(*a))[1])
        with pytest.raises(EndedError, match="stopped while it was Creating"):
            run(model, stop=stop)
    assert aws.named("endpoints") == aws.named("models") == []


def test_what_cannot_be_taken_down_is_named(aws, model, caplog):
    aws.statuses = [{"EndpointStatus": "Failed"}]
    aws.refuse = {"DeleteModel": ("AccessDeniedException", "no")}
    with pytest.raises(UserError, match="no reason is given"):
        run(model)
    assert "still there: model digits-20260131-120000" in caplog.text
    assert "take it down: trainer undeploy digits" in caplog.text


def test_an_endpoint_that_answers_nothing_has_failed(aws, model):
    refusing = types.SimpleNamespace(
        status=404, headers={"content-type": "x"}, body=b'{"error": "no model"}'
    )
    aws.replies = [refusing]
    with pytest.raises(UserError, match="is not there"):
        run(model)
    assert aws.named("endpoints") == []


def test_a_row_of_zeros_may_not_suit_the_model(aws, model, caplog):
    aws.replies = [types.SimpleNamespace(
        status=400, headers={"content-type": "x"}, body=b'{"error": "zeros"}'
    )]  # fmt: skip
    run(model)
    assert "answers, but not to a row of zeros: 400: zeros" in caplog.text


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (("ThrottlingException", "slow down"), UnreachableError),
        (("ValidationError", "Endpoint x not found"), UserError),
    ],
)
def test_errors_of_the_runtime_are_tried_again_or_final(aws, error, kind):
    client = SageMakerTarget().client("digits", options_of_predict())
    aws.refuse = {"": error}
    piece = Piece(source="x", numbers=(0,), media_type=NPY, body=b"x")
    with pytest.raises(kind):
        client.ask(piece)
    assert client.class_names() == ()


def options_of_predict():
    from trainer.endpoints.prediction.predict_options import PredictOptions

    return PredictOptions(to="sagemaker", region=REGION)


def test_the_model_of_a_job_is_found(aws):
    service = SageMakerEndpointService(AwsSettings(region=REGION))
    with pytest.raises(UserError, match="neither a file here nor a training job"):
        service.model_of_job("nobody")


def test_a_region_that_is_not_there_is_one_line():
    with pytest.raises(UserError, match="--region mars-1: there is no such region"):
        SageMakerTarget().connect(UndeployOptions(to="sagemaker", region="mars-1"))
