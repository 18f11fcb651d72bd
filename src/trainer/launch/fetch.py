"""Fetch one object of S3: `python -m trainer.launch.fetch s3://bucket/key FILE`.

A program of its own, as the toolkit changes the environment of whoever imports it, and as a
process can be given a time and told to end.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

from trainer import output


def fetch(uri: str, to: Path) -> None:
    """Fetch through the SageMaker training toolkit.

    It reads the region from AWS_REGION and another server's address from S3_ENDPOINT_URL. Its
    `download_and_extract` is not used: that renames or leaves out what it finds unsafe in an
    archive, and does nothing at all for a folder that is not empty.
    """
    importlib.import_module("sagemaker_training.files").s3_download(uri, str(to))


def main(uri: str, to: str) -> int:
    """Fetch, and say in one line why not."""
    output.begin(os.environ)
    try:
        fetch(uri, Path(to))
    except ImportError as error:
        output.err(f"needs the package sagemaker-training: {error}")
    except Exception as error:
        # botocore has some seventy kinds, without a common one.
        output.err(" ".join(f"{type(error).__name__}: {error}".split()))
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
