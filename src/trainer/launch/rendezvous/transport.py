"""Transports to the coordinator: over HTTP, or within the process that runs it."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from trainer.launch.rendezvous.coordinator import Coordinator
from trainer.launch.rendezvous.http_server import LARGEST
from trainer.launch.rendezvous.signing import HEADER, RefusedError, Signer

# Sends a verb and its JSON object to the coordinator, waits some seconds at most, and returns the
# response.
Transport = Callable[[str, Mapping[str, Any], float], dict[str, Any]]
# Called with the coordinator's IP and this host's own, as a connection shows them.
Connected = Callable[[str, str], None]

_SET_ALIKE = "set the same on all hosts"


def over_http(
    host: str, port: int, connected: Connected, signer: Signer | None = None
) -> Transport:
    """Return the transport to the coordinator on another host.

    Args:
        host: The name of the coordinator's host.
        port: The coordinator's port.
        connected: Called when the coordinator has responded.
        signer: Signs with the job's secret, if it has one.
    """

    def send(verb: str, fields: Mapping[str, Any], timeout: float) -> dict[str, Any]:
        # The name may be known only after a while, and lead elsewhere after a restart.
        *_, address = socket.getaddrinfo(
            host, port, family=socket.AF_INET, type=socket.SOCK_STREAM
        )[0]
        server = _CoordinatorServer(address=str(address[0]), port=port, connected=connected)
        if signer is None:
            return server.send_unsigned(verb, fields, timeout)
        try:
            return server.send_signed(signer, verb, fields, timeout)
        except _NewChallengeError:
            # The first request, or the first one to a coordinator that was restarted.
            return server.send_signed(signer, verb, fields, timeout)

    return send


def in_process(coordinator: Coordinator) -> Transport:
    """Return the transport to a coordinator in this process."""
    return lambda verb, fields, _: coordinator.handle(verb, fields)


class _NewChallengeError(OSError):
    """The coordinator has sent a challenge that is to be signed."""


@dataclass(frozen=True, kw_only=True)
class _HTTPResponse:
    status: int
    body: bytes
    signature: str
    # This host's address.
    own_address: str


@dataclass(frozen=True, kw_only=True)
class _CoordinatorServer:
    """The coordinator's server at one address."""

    address: str
    port: int
    connected: Connected

    def send_unsigned(self, verb: str, fields: Mapping[str, Any], timeout: float) -> dict[str, Any]:
        response = self._send(verb, json.dumps(fields).encode(), {}, timeout)
        if response.status == HTTPStatus.UNAUTHORIZED:
            raise RefusedError(
                f"TRAINER_SECRET is set on the chief's host and not on this one; {_SET_ALIKE}"
            )
        self.connected(self.address, response.own_address)
        return _parsed(response)

    def send_signed(
        self, signer: Signer, verb: str, fields: Mapping[str, Any], timeout: float
    ) -> dict[str, Any]:
        challenge = signer.challenge
        body, signature = signer.sign(verb, fields)
        response = self._send(verb, body, {HEADER: signature}, timeout)
        if response.status == HTTPStatus.UNAUTHORIZED:
            signer.challenge = str(json.loads(response.body)["challenge"])
            if signer.challenge == challenge:
                raise RefusedError(
                    f"another TRAINER_SECRET is set on the chief's host; {_SET_ALIKE}"
                )
            raise _NewChallengeError
        if not response.signature:
            raise RefusedError(
                f"TRAINER_SECRET is set on this host and not on the chief's; {_SET_ALIKE}"
            )
        if not signer.is_response(signature, response.status, response.body, response.signature):
            raise OSError("an answer is not signed by who has TRAINER_SECRET")
        self.connected(self.address, response.own_address)
        return _parsed(response)

    def _send(
        self, verb: str, body: bytes, headers: Mapping[str, str], timeout: float
    ) -> _HTTPResponse:
        connection = http.client.HTTPConnection(self.address, self.port, timeout=timeout)
        with contextlib.closing(connection):
            connection.request("POST", f"/job/{verb}", body, dict(headers))
            own = connection.sock.getsockname()[0]
            response = connection.getresponse()
            return _HTTPResponse(
                body=response.read(LARGEST),
                status=response.status,
                signature=response.getheader(HEADER, ""),
                own_address=own,
            )


def _parsed(response: _HTTPResponse) -> dict[str, Any]:
    if response.status != HTTPStatus.OK:
        raise OSError(f"what answers there is no trainer (HTTP {response.status})")
    fields = json.loads(response.body)
    if not isinstance(fields, dict):
        raise ValueError("an answer is no object")
    return fields
