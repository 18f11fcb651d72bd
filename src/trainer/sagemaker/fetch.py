"""Fetch one object of S3: `python -m trainer.sagemaker.fetch s3://bucket/key FILE`.

A program of its own, as the toolkit changes the environment of the process that imports it, and
as a process can be terminated after a time. Its last line on standard error is the reason of a
failure.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

from trainer.config import RETRY_CODE
from trainer.runtime import output
from trainer.storage import permanent_problem, store_response


def fetch(uri: str, to: Path) -> None:
    """Fetch through the SageMaker training toolkit.

    It reads the region from AWS_REGION and another server's address from S3_ENDPOINT_URL. Its
    `download_and_extract` is not used: that renames or leaves out what it finds unsafe in an
    archive, and does nothing at all for a folder that is not empty.
    """
    importlib.import_module("sagemaker_training.files").s3_download(uri, str(to))


def main(uri: str, to: str) -> int:
    """Fetch, and print one line if that fails.

    Returns:
        0; 200 for a failure that a new try may cure, 1 for any other.
    """
    output.begin(os.environ)
    try:
        fetch(uri, Path(to))
    except ImportError as error:
        output.err(f"needs the package sagemaker-training: {error}")
    except Exception as error:
        # botocore has some seventy exceptions without a common base.
        error = _with_body(uri, error)
        output.err(" ".join(f"{type(error).__name__}: {error}".split()))
        return 1 if permanent_problem(error, if_missing="is not there") else RETRY_CODE
    else:
        return 0
    return 1


def _with_body(uri: str, error: Exception) -> Exception:
    """Return an error with the store's own error code, which the response to a HEAD lacks."""
    if not store_response(error).is_bare:
        return error
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    region = os.environ.get("AWS_REGION", os.environ.get("AWS_DEFAULT_REGION"))
    try:
        boto3 = importlib.import_module("boto3")
        client = boto3.client("s3", region, endpoint_url=os.environ.get("S3_ENDPOINT_URL"))
        client.get_object(Bucket=bucket, Key=key, Range="bytes=0-0")
    except Exception as other:
        return other if store_response(other).status == store_response(error).status else error
    return error


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
