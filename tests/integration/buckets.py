"""Buckets of object stores on this machine, for whole runs of the program."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import fsspec
import gcsfs.core
import s3fs


@contextlib.contextmanager
def s3() -> Iterator[tuple[str, Any, dict[str, str]]]:
    """A bucket of moto's server: its url, a driver, and the environment that leads there."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    # Drivers are kept by their arguments: one from before would ask a server that has gone.
    s3fs.S3FileSystem.clear_instance_cache()
    try:
        fs = fsspec.filesystem("s3", key="test", secret="test", endpoint_url=url)
        # All of moto's servers in a process share one memory.
        fs.makedirs("bucket", exist_ok=True)
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        yield "s3://bucket", fs, {"AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1", **keys}
    finally:
        s3fs.S3FileSystem.clear_instance_cache()
        server.stop()


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
