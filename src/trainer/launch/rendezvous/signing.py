"""Signatures of requests and responses between hosts that were all given one secret.

A request carries a random nonce and a number that its launcher uses once, and is signed together
with a challenge that the coordinator made up when it started: what was recorded is of no use a
second time, nor in another job with the same secret. A response is signed together with its
request. The coordinator responds to the first request of a launcher, which cannot know the
challenge yet, by the challenge alone.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import secrets
from collections.abc import Mapping
from typing import Any

from trainer.launch.rendezvous.fields import whole

HEADER = "X-Trainer-Signature"
# Requests of one launcher may overtake each other, by fewer than these.
_WINDOW = 256
_HIGHEST = 1 << 53
_SIZE = 16


class RefusedError(OSError):
    """The coordinator does not take this host, and asking again is of no use."""


class Signer:
    """Signs the requests of one launcher, and checks the responses to them.

    Args:
        secret: The secret that all hosts were given.
    """

    def __init__(self, secret: str) -> None:
        self._key = _key(secret)
        self._numbers = itertools.count(1)
        self.challenge = ""

    def sign(self, verb: str, fields: Mapping[str, Any]) -> tuple[bytes, str]:
        """Return the body of a request and its signature."""
        once = {"nonce": secrets.token_hex(_SIZE), "number": next(self._numbers)}
        body = json.dumps({**fields, **once}).encode()
        return body, _request(self._key, verb, self.challenge, body)

    def is_response(self, request: str, status: int, body: bytes, signature: str) -> bool:
        """Return whether a response is the coordinator's, to the request of that signature."""
        return _same(_response(self._key, request, status, body), signature)


class Checker:
    """Checks the requests of launchers, and signs the responses to them.

    Args:
        secret: The secret that all hosts were given.
    """

    def __init__(self, secret: str) -> None:
        self._key = _key(secret)
        self._used: dict[str, _UsedNumbers] = {}
        self.challenge = secrets.token_hex(_SIZE)

    def is_signed(self, verb: str, body: bytes, signature: str) -> bool:
        """Return whether a request is signed by somebody who has the secret."""
        return _same(_request(self._key, verb, self.challenge, body), signature)

    def use(self, fields: Mapping[str, Any]) -> None:
        """Use up the number of a signed request.

        Raises:
            KeyError, TypeError, ValueError: It has no number, or one that was used.
        """
        number = whole(fields["number"], low=1, high=_HIGHEST)
        if not self._used.setdefault(str(fields["run"]), _UsedNumbers()).take(number):
            raise ValueError("a request is sent a second time")

    def sign(self, request: str, status: int, body: bytes) -> str:
        """Return the signature of a response."""
        return _response(self._key, request, status, body)


class _UsedNumbers:
    """The numbers that one launcher has used; all old ones count as used."""

    def __init__(self) -> None:
        self._highest = 0
        self._recent: set[int] = set()

    def take(self, number: int) -> bool:
        if number <= self._highest - _WINDOW or number in self._recent:
            return False
        self._highest = max(self._highest, number)
        self._recent.add(number)
        self._recent = {each for each in self._recent if each > self._highest - _WINDOW}
        return True


def _key(secret: str) -> bytes:
    return secret.encode("utf-8", "surrogateescape")


def _request(key: bytes, verb: str, challenge: str, body: bytes) -> str:
    return _mac(key, f"request\n{verb}\n{challenge}\n", body)


def _response(key: bytes, request: str, status: int, body: bytes) -> str:
    return _mac(key, f"response\n{request}\n{status}\n", body)


def _mac(key: bytes, head: str, body: bytes) -> str:
    return hmac.new(key, head.encode("utf-8", "replace") + body, hashlib.sha256).hexdigest()


def _same(expected: str, signature: str) -> bool:
    # compare_digest takes text only if it is ASCII, but bytes of any kind.
    return hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace"))
