"""The listening socket, and the number of files that a server may open."""

from __future__ import annotations

import contextlib
import resource
import socket
import sys
from collections.abc import Iterator

from trainer.config import UserError

# Connections that the system accepts before the server does.
BACKLOG = 2048


def open_files() -> int:
    """Raise the limit of open files as far as the system allows.

    Returns:
        The limit.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


@contextlib.contextmanager
def listen(host: str, port: int) -> Iterator[socket.socket]:
    """Listen at a port while a block runs.

    Args:
        host: The address.
        port: 0 for any free port.

    Raises:
        UserError: The port cannot be listened at.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise UserError(
            subject=f"--port {port}",
            problem=f"cannot listen at {host}: {error.strerror}",
        ) from None
    with listener:
        yield listener
