"""The program that fetches an object of S3 with SageMaker's toolkit, with a stand-in for that."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from trainer.sagemaker import fetch

URI = "s3://bucket/code/source.tar.gz"


@pytest.fixture
def toolkit(monkeypatch):
    """Sets what the toolkit does, and the error with which the object itself is read after it."""

    def use(download, *, read: Exception | None = None) -> None:
        files = ModuleType("sagemaker_training.files")
        files.s3_download = download
        monkeypatch.setitem(sys.modules, "sagemaker_training", ModuleType("sagemaker_training"))
        monkeypatch.setitem(sys.modules, "sagemaker_training.files", files)

        def get_object(**asked):
            assert (asked["Bucket"], asked["Key"]) == ("bucket", "code/source.tar.gz")
            if read:
                raise read

        client = SimpleNamespace(get_object=get_object)
        boto3 = SimpleNamespace(client=lambda *args, **more: client)
        monkeypatch.setitem(sys.modules, "boto3", boto3)

    return use


def error(code: str, status: int, operation: str = "HeadObject") -> ClientError:
    response = {
        "Error": {"Code": code, "Message": f"message of {code}"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, operation)


def raising(problem: Exception):
    def download(uri: str, to: str) -> None:
        raise problem

    return download


def test_an_object_is_written_to_the_file(toolkit, tmp_path, capsys):
    toolkit(lambda uri, to: Path(to).write_text(uri))
    assert fetch.main(URI, str(tmp_path / "file")) == 0
    assert (tmp_path / "file").read_text() == URI
    assert capsys.readouterr() == ("", "")


def test_without_the_toolkit_its_name_is_the_reason(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "sagemaker_training", None)
    assert fetch.main(URI, str(tmp_path / "file")) == 1
    assert capsys.readouterr().err.startswith("needs the package sagemaker-training: ")


@pytest.mark.parametrize(
    ("problem", "code", "line"),
    [
        (error("AccessDenied", 403), 1, "message of AccessDenied"),
        (error("NoSuchKey", 404), 1, "message of NoSuchKey"),
        (error("SlowDown", 503), 200, "message of SlowDown"),
        (EndpointConnectionError(endpoint_url="http://host\nx"), 200, "EndpointConnectionError: "),
    ],
)
def test_a_failure_is_one_line_and_says_whether_a_new_try_may_cure_it(
    toolkit, tmp_path, capsys, problem, code, line
):
    toolkit(raising(problem))
    assert fetch.main(URI, str(tmp_path / "file")) == code
    (printed,) = capsys.readouterr().err.splitlines()
    assert line in printed


@pytest.mark.parametrize(
    ("read", "line"),
    [
        (error("NoSuchBucket", 404, "GetObject"), "NoSuchBucket"),
        # They are of another problem than the one to report.
        (error("SlowDown", 503, "GetObject"), "(404)"),
        (None, "(404)"),
    ],
)
def test_the_stores_own_code_is_asked_for_where_there_is_none(
    toolkit, tmp_path, capsys, read, line
):
    toolkit(raising(error("404", 404)), read=read)
    assert fetch.main(URI, str(tmp_path / "file")) == 1
    assert line in capsys.readouterr().err
