"""Buckets of object stores on this machine, for whole runs of the program."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import fsspec
import gcsfs.core
from moto_server import moto_server


@contextlib.contextmanager
def s3() -> Iterator[tuple[str, Any, dict[str, str]]]:
    """A bucket of moto's server: its url, a driver, and the environment that leads there."""
    with moto_server() as port:
        url = f"http://127.0.0.1:{port}"
        fs = fsspec.filesystem("s3", key="test", secret="test", endpoint_url=url)
        # Another server of the process may have made it.
        fs.makedirs("bucket", exist_ok=True)
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        yield "s3://bucket", fs, {"AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1", **keys}


@contextlib.contextmanager
def gs() -> Iterator[tuple[str, Any, dict[str, str]]]:
    """The same of gcp-storage-emulator."""
    from gcp_storage_emulator.server import create_server

    logging.getLogger("gcp_storage_emulator").setLevel(logging.CRITICAL)
    with create_server("127.0.0.1", 0, in_memory=True) as server:
        url = f"http://127.0.0.1:{server._api._httpd.server_address[1]}"
        gcsfs.core.GCSFileSystem.clear_instance_cache()
        # Not by the name "gs": that class asks for the bucket's kind first, over gRPC.
        fs = gcsfs.core.GCSFileSystem(token="anon", endpoint_url=url)
        fs.mkdir("bucket")
        # What Google's own libraries read.
        yield "gs://bucket", fs, {"STORAGE_EMULATOR_HOST": url}
