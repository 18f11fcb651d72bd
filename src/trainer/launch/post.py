"""The two ways to the roster: over HTTP, and directly in the process that keeps it."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Callable, Mapping
from typing import Any

from trainer.launch.rendezvous import LARGEST
from trainer.launch.roster import Roster

# Sends a verb and its JSON object to the roster, waits some seconds at most, returns its answer.
Post = Callable[[str, Mapping[str, Any], float], dict[str, Any]]


def over_http(host: str, port: int, connected: Callable[[str, str], None]) -> Post:
    """A way to the roster on another host.

    Args:
        host: The chief's.
        port: There.
        connected: Called with the chief's IP and this host's own, as a connection shows them.
    """

    def post(verb: str, told: Mapping[str, Any], timeout: float) -> dict[str, Any]:
        # The name may be known only after a while, and lead elsewhere after a restart.
        *_, address = socket.getaddrinfo(
            host, port, family=socket.AF_INET, type=socket.SOCK_STREAM
        )[0]
        line = http.client.HTTPConnection(str(address[0]), port, timeout=timeout)
        with contextlib.closing(line):
            line.request("POST", f"/job/{verb}", json.dumps(told))
            connected(str(address[0]), line.sock.getsockname()[0])
            response = line.getresponse()
            text = response.read(LARGEST)
            if response.status != http.client.OK:
                raise OSError(f"what answers there is no trainer (HTTP {response.status})")
            return json.loads(text)

    return post


def directly(roster: Roster) -> Post:
    """The way to the roster in the process that keeps it."""
    return lambda verb, told, _: roster.handle(verb, told)
