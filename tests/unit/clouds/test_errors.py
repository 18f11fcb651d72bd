import botocore.exceptions
import pytest
import requests

from trainer.clouds import (
    AwsSettings,
    GoogleSession,
    aws_client,
    aws_error,
    error_code,
    google_error,
    naming_aws_errors,
)
from trainer.clouds.google import reason_of
from trainer.config import RetryableError, UserError


def answered(code, message="why"):
    return botocore.exceptions.ClientError({"Error": {"Code": code, "Message": message}}, "Do")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (answered("ExpiredToken"), "the credentials have expired (why); sign in again"),
        (answered("AccessDeniedException"), "access is denied (why); let the policy"),
        (answered("ResourceLimitExceeded"), "the account's quota is used up (why); ask for more"),
        (answered("ValidationException", "no such role."), "no such role (ValidationException)"),
        (botocore.exceptions.NoCredentialsError(), "there are no AWS credentials; sign in"),
        (botocore.exceptions.ProfileNotFound(profile="p"), "--profile: The config profile (p)"),
    ],
)
def test_an_error_of_amazons_says_what_to_do(error, expected):
    with pytest.raises(UserError) as raised, naming_aws_errors("job x"):
        raise error
    assert expected in str(raised.value)


@pytest.mark.parametrize(
    "error",
    [
        answered("ThrottlingException"),
        botocore.exceptions.EndpointConnectionError(endpoint_url="http://x"),
    ],
)
def test_what_a_new_try_may_cure_is_told_from_mistakes(error):
    assert isinstance(aws_error(error, "job x"), RetryableError)


def test_the_code_of_an_error_is_the_services():
    assert error_code(answered("NoSuchBucket")) == "NoSuchBucket"
    assert error_code(ValueError("x")) == ""


def test_a_client_needs_a_region(monkeypatch):
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(UserError, match="--region"):
        aws_client("sagemaker", AwsSettings())
    client = aws_client("sagemaker", AwsSettings(region="eu-west-1"))
    assert client.meta.region_name == "eu-west-1"


@pytest.mark.parametrize(
    ("status", "code", "kind", "expected"),
    [
        (401, "UNAUTHENTICATED", UserError, "why (UNAUTHENTICATED); sign in again"),
        (429, "RESOURCE_EXHAUSTED", UserError, "ask for more quota"),
        (503, "UNAVAILABLE", RetryableError, "why (UNAVAILABLE)"),
        (404, "NOT_FOUND", UserError, "why (NOT_FOUND)"),
    ],
)
def test_an_error_of_googles_says_what_to_do(status, code, kind, expected):
    error = google_error(status, {"error": {"status": code, "message": "why."}}, "job x")
    assert isinstance(error, kind)
    assert expected in str(error)


def test_the_fields_that_google_refuses_are_named():
    details = [{"fieldViolations": [{"field": "displayName", "description": "too long"}]}]
    body = {"error": {"status": "INVALID_ARGUMENT", "message": "bad", "details": details}}
    assert "bad; displayName: too long (INVALID_ARGUMENT)" in str(google_error(400, body, "job"))


def test_without_googles_credentials_the_line_says_how_to_sign_in(monkeypatch, tmp_path):
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    with pytest.raises(UserError, match="gcloud auth application-default login"):
        GoogleSession("https://example.test", subject="jobs")


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        ("http://no-region-aiplatform.invalid", "the name no-region-aiplatform.invalid is not kn"),
        ("http://localhost:9", "no answer from localhost: [Errno 111] Connection refused"),
    ],
)
def test_a_service_that_is_not_there_is_named_with_the_reason(endpoint, said):
    with pytest.raises(requests.ConnectionError) as raised:
        requests.get(endpoint, timeout=10)
    assert reason_of(raised.value).startswith(said)
