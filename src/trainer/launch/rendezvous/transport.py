"""The two ways to the roster: over HTTP, and directly in the process that keeps it."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from trainer.launch.rendezvous.coordinator import Coordinator
from trainer.launch.rendezvous.http_server import LARGEST
from trainer.launch.rendezvous.signing import HEADER, RefusedError, Signer

# Sends a verb and its JSON object to the roster, waits some seconds at most, returns its answer.
Transport = Callable[[str, Mapping[str, Any], float], dict[str, Any]]
# Called with the chief's IP and this host's own, as a connection shows them.
Connected = Callable[[str, str], None]

_SET_ALIKE = "set the same on all hosts"


def over_http(
    host: str, port: int, connected: Connected, signer: Signer | None = None
) -> Transport:
    """A way to the roster on another host.

    Args:
        host: The chief's.
        port: There.
        connected: Called when the chief has answered.
        signer: Of the job's secret, if it has one.
    """

    def post(verb: str, told: Mapping[str, Any], timeout: float) -> dict[str, Any]:
        # The name may be known only after a while, and lead elsewhere after a restart.
        *_, address = socket.getaddrinfo(
            host, port, family=socket.AF_INET, type=socket.SOCK_STREAM
        )[0]
        chief = str(address[0])
        if signer is None:
            return _unsigned(chief, port, verb, told, timeout, connected)
        try:
            return _signed(signer, chief, port, verb, told, timeout, connected)
        except _NewChallengeError:
            # The first request, or the first one to a chief that was started again.
            return _signed(signer, chief, port, verb, told, timeout, connected)

    return post


def in_process(roster: Coordinator) -> Transport:
    """The way to the roster in the process that keeps it."""
    return lambda verb, told, _: roster.handle(verb, told)


class _NewChallengeError(OSError):
    """The coordinator has told its challenge."""


def _unsigned(
    chief: str, port: int, verb: str, told: Mapping[str, Any], timeout: float, connected: Connected
) -> dict[str, Any]:
    status, text, _, own = _ask(chief, port, verb, json.dumps(told).encode(), {}, timeout)
    if status == HTTPStatus.UNAUTHORIZED:
        raise RefusedError(
            f"TRAINER_SECRET is set on the chief's host and not on this one; {_SET_ALIKE}"
        )
    connected(chief, own)
    return _parsed(status, text)


def _signed(
    signer: Signer, chief: str, port: int, verb: str, told: Mapping[str, Any], timeout: float,
    connected: Connected,
) -> dict[str, Any]:  # fmt: skip
    challenge = signer.challenge
    body, signature = signer.sign(verb, told)
    headers = {HEADER: signature}
    status, text, answered, own = _ask(chief, port, verb, body, headers, timeout)
    if status == HTTPStatus.UNAUTHORIZED:
        signer.challenge = str(json.loads(text)["challenge"])
        if signer.challenge == challenge:
            raise RefusedError(f"another TRAINER_SECRET is set on the chief's host; {_SET_ALIKE}")
        raise _NewChallengeError
    if not answered:
        raise RefusedError(
            f"TRAINER_SECRET is set on this host and not on the chief's; {_SET_ALIKE}"
        )
    if not signer.is_answer(signature, status, text, answered):
        raise OSError("an answer is not signed by who has TRAINER_SECRET")
    connected(chief, own)
    return _parsed(status, text)


def _ask(
    chief: str, port: int, verb: str, body: bytes, headers: Mapping[str, str], timeout: float
) -> tuple[int, bytes, str, str]:
    """Status, text and signature of an answer, and this host's address."""
    line = http.client.HTTPConnection(chief, port, timeout=timeout)
    with contextlib.closing(line):
        line.request("POST", f"/job/{verb}", body, dict(headers))
        own = line.sock.getsockname()[0]
        response = line.getresponse()
        text = response.read(LARGEST)
        return response.status, text, response.getheader(HEADER, ""), own


def _parsed(status: int, text: bytes) -> dict[str, Any]:
    if status != HTTPStatus.OK:
        raise OSError(f"what answers there is no trainer (HTTP {status})")
    answer = json.loads(text)
    if not isinstance(answer, dict):
        raise ValueError("an answer is no object")
    return answer
