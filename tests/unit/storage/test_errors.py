"""Errors of stores, as the drivers themselves make them of answers, and who can mend each."""

import json

import pytest

from trainer.storage.errors import permanent_problem, store_response

pytest.importorskip("s3fs")
pytest.importorskip("gcsfs")

SECRET = "s3cr3t"


def of_s3(code, status, **more):
    """What s3fs raises for an answer of S3."""
    from botocore.exceptions import ClientError
    from s3fs.errors import translate_boto_error

    details = {"Code": code, "Message": f"see https://host/?X-Amz-Signature={SECRET}", **more}
    headers = {"x-amz-bucket-region": "eu-west-1"} if status == 301 else {}
    meta = {"HTTPStatusCode": status, "HTTPHeaders": headers}
    return translate_boto_error(
        ClientError({"Error": details, "ResponseMetadata": meta}, "HeadObject")
    )


def of_google(status, message):
    """What gcsfs raises for an answer of Google's."""
    from gcsfs.retry import validate_response

    body = json.dumps({"error": {"code": status, "message": f"{message} {SECRET}"}})
    with pytest.raises(Exception) as caught:
        validate_response(status, body.encode(), f"https://host/b/x?token={SECRET}")
    return caught.value


@pytest.mark.parametrize(
    ("code", "status", "says"),
    [
        ("ExpiredToken", 400, "have expired (ExpiredToken)"),
        ("TokenRefreshRequired", 400, "have expired (TokenRefreshRequired)"),
        ("InvalidAccessKeyId", 403, "does not know the access key (InvalidAccessKeyId)"),
        ("SignatureDoesNotMatch", 403, "secret key is not the access key's"),
        ("AuthorizationHeaderMalformed", 400, "in another region, us-west-2 (Authorization"),
        ("PermanentRedirect", 301, "in another region, eu-west-1 (PermanentRedirect)"),
        ("301", 301, "in another region, eu-west-1 (301)"),
        ("InvalidObjectState", 403, "it is archived (InvalidObjectState); restore it"),
        ("RequestTimeTooSkewed", 403, "this machine's clock is wrong"),
        ("AccessDenied", 403, "access is denied (AccessDenied)"),
        ("AllAccessDisabled", 403, "access is denied (AllAccessDisabled)"),
        ("403", 403, "access is denied (403)"),
        ("KMS.DisabledException", 400, "key of KMS cannot be used (KMS.DisabledException)"),
        ("NoSuchBucket", 404, "there is no such bucket"),
        ("NoSuchKey", 404, "it was removed"),
        ("InvalidBucketName", 400, "no bucket can have this name"),
        ("MethodNotAllowed", 405, "the store refuses it (MethodNotAllowed)"),
        ("EntityTooLarge", 400, "the store refuses it (EntityTooLarge)"),
        ("400", 400, "the store refuses it (400)"),
    ],
)
def test_what_s3_says_is_reported_by_its_code_and_no_new_try_is_made(code, status, says):
    more = {"Region": "us-west-2"} if code.startswith("Authorization") else {}
    problem = permanent_problem(of_s3(code, status, **more), "it was removed")
    assert problem is not None
    assert says in problem
    assert SECRET not in problem


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("SlowDown", 503), ("503", 503), ("InternalError", 500), ("ServiceUnavailable", 503),
        ("RequestTimeout", 400), ("Throttling", 400), ("ThrottlingException", 400),
        ("RequestLimitExceeded", 400), ("OperationAborted", 409), ("BadDigest", 400),
        ("TooManyRequests", 429), ("429", 429), ("TemporaryRedirect", 307),
    ],
)  # fmt: skip
def test_what_passes_is_tried_again(code, status):
    error = of_s3(code, status)
    assert permanent_problem(error, "lost") is None
    assert store_response(error).code == code


@pytest.mark.parametrize(
    ("status", "message", "says"),
    [
        (401, "Anonymous caller does not have storage.objects.get access", "were found (401)"),
        (403, "x@y.iam does not have storage.objects.list access", "(403 storage.objects.list)"),
        (403, "The billing account of the project is disabled", "(403 billing is disabled)"),
        (403, "Forbidden", "access is denied (403)"),
        (400, "Bucket is a requester pays bucket but no user project provided.", "requester pays"),
        (400, "The bucket name is invalid", "the store refuses it (400)"),
        (404, "The specified bucket does not exist.", "nothing there"),
    ],
)  # fmt: skip
def test_what_google_says_is_reported_without_its_words(status, message, says):
    problem = permanent_problem(of_google(status, message), "nothing there")
    assert problem is not None
    assert says in problem
    assert SECRET not in problem


@pytest.mark.parametrize(
    ("status", "message"),
    [(403, "User Rate Limit Exceeded"), (429, "x"), (500, "x"), (502, "x"), (503, "x"), (408, "x")],
)
def test_what_passes_at_google_is_tried_again(status, message):
    assert permanent_problem(of_google(status, message), "lost") is None


def test_credentials_that_were_revoked_are_a_mistake_and_a_lost_connection_is_none():
    from google.auth.exceptions import RefreshError

    problem = permanent_problem(RefreshError(f"invalid_grant {SECRET}", retryable=False), "")
    assert problem == (
        "no valid credentials were found (RefreshError); sign in (aws configure, gcloud auth "
        "application-default login), or give this job a role or service account"
    )
    assert permanent_problem(RefreshError("metadata", retryable=True), "") is None
    assert permanent_problem(ConnectionResetError(), "") is None
    assert permanent_problem(ValueError("Invalid endpoint: nonsense"), "") is not None
