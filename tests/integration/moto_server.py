"""Moto's server of Amazon's services, as each test that wants one starts it."""

from __future__ import annotations

import contextlib
import logging
import sys
import urllib.request
from collections.abc import Iterator

SECONDS = 30
_running: list[int] = []


def forget_drivers() -> None:
    """Forget the drivers that s3fs keeps by their arguments, not by the environment they read.

    One from before would ask a server that has gone.
    """
    if s3fs := sys.modules.get("s3fs"):
        s3fs.S3FileSystem.clear_instance_cache()


@contextlib.contextmanager
def moto_server() -> Iterator[int]:
    """Serve while a block runs.

    All servers of a process share one memory. It is emptied for the first that runs, so that
    nothing of the tests before is left, and not for one beside it, whose tests may count on what
    is there.

    Yields:
        The port on the loopback interface.
    """
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    forget_drivers()
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        port = server.get_host_and_port()[1]
        if not _running:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/reset", b"", SECONDS).close()
        _running.append(port)
        try:
            yield port
        finally:
            _running.remove(port)
    finally:
        server.stop()
        forget_drivers()
