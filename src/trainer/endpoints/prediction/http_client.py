"""A server at a url: ours, TensorFlow Serving's, or any that takes the same requests."""

from __future__ import annotations

import base64
import functools
import json
import re
import threading
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests

from trainer.config import DataError, UserError
from trainer.endpoints.client import EndpointReply, UnreachableError
from trainer.endpoints.prediction import pieces
from trainer.endpoints.prediction.pieces import Piece

MOST_BYTES = 50 * 10**6
_TF_SERVING = re.compile(r"(.*/v1/models/[^/:]+(?:/versions/\d+)?)(?::predict|/metadata)?/?")


class HttpClient:
    """A client of a server that takes files as they are at one url.

    Args:
        url: Gets the requests.
        timeout: Seconds for an answer.
        metadata: The url of TensorFlow Serving's metadata of the model, if there is one.
    """

    def __init__(self, url: str, *, timeout: float, metadata: str | None = None) -> None:
        self.name, self.limit = without_password(url), MOST_BYTES
        self._url, self._timeout, self._metadata_url = url, timeout, metadata
        # Asked once, whatever thread needs it first.
        self.metadata = functools.cache(self._read_metadata)
        self._local = threading.local()

    def ask(self, piece: Piece) -> EndpointReply:
        """See `EndpointClient.ask`."""
        return self.post(piece.body, {"Content-Type": piece.media_type})

    def post(self, body: bytes, headers: dict[str, str]) -> EndpointReply:
        """Send a body.

        Raises:
            UnreachableError: No answer came.
        """
        session = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
        try:
            answer = session.post(
                self._url, body, headers={**headers, "Accept": "application/json"},
                timeout=self._timeout,
            )  # fmt: skip
        except requests.RequestException as error:
            raise UnreachableError(reason_of(error)) from None
        return EndpointReply(
            status=answer.status_code,
            body=answer.content,
            retry_after=seconds_of(answer.headers.get("Retry-After")),
        )

    def _read_metadata(self) -> dict[str, Any]:
        """Return what the server says of the model; empty if it says nothing."""
        if self._metadata_url is None:
            return {}
        try:
            answer = requests.get(self._metadata_url, timeout=self._timeout)
            found = answer.json().get("metadata", {}) if answer.ok else {}
        except (requests.RequestException, ValueError, AttributeError):
            return {}
        return found if isinstance(found, dict) else {}

    def class_names(self) -> tuple[str, ...]:
        """See `EndpointClient.class_names`."""
        return tuple(map(str, self.metadata().get("class_names", ())))


class TfServingClient(HttpClient):
    """A client of TensorFlow Serving's REST interface, which takes JSON alone."""

    def ask(self, piece: Piece) -> EndpointReply:
        """See `EndpointClient.ask`."""
        document: dict[str, Any] = {"instances": instances_of(piece)}
        if piece.media_type in (pieces.PNG, pieces.JPEG):
            document["signature_name"] = self._image_signature(piece.source)
        return self.post(json.dumps(document).encode(), {"Content-Type": "application/json"})

    def _image_signature(self, source: str) -> str:
        definitions = self.metadata().get("signature_def", {}).get("signature_def", {})
        for name, definition in sorted(definitions.items()):
            inputs = definition.get("inputs", {})
            if len(inputs) == 1 and next(iter(inputs)).endswith("_bytes"):
                return str(name)
        raise DataError(
            subject=source,
            problem="this model takes no images: none of its signatures has one input alone whose "
            "name ends with _bytes",
        )


def instances_of(piece: Piece) -> list[Any]:
    """Return the rows of a piece as instances of JSON."""
    if piece.media_type == pieces.JSON_LINES:
        return [json.loads(line) for line in piece.body.splitlines()]
    if piece.media_type == pieces.NPY:
        import io

        import numpy as np

        return list(np.load(io.BytesIO(piece.body), allow_pickle=False).tolist())
    if piece.media_type == pieces.CSV:
        lines = piece.body.decode(errors="replace").splitlines()
        try:
            return [[float(value) for value in line.split(",")] for line in lines]
        except ValueError as error:
            raise DataError(subject=piece.source, problem=str(error)) from None
    return [{"b64": base64.b64encode(piece.body).decode()}]


def connect_http(url: str, *, timeout: float) -> HttpClient:
    """Return a client of the server at a url.

    Args:
        url: Our server's or TensorFlow Serving's, with or without a path.
        timeout: Seconds for an answer.

    Raises:
        UserError: Nothing answers there.
    """
    parts = urlsplit(url)
    if not parts.hostname:
        raise UserError(subject=url, problem="expected http://HOST[:PORT][/PATH]")
    base = urlunsplit((parts.scheme, parts.netloc, "", "", ""))
    if match := _TF_SERVING.fullmatch(parts.path):
        model = base + match[1]
        return TfServingClient(f"{model}:predict", timeout=timeout, metadata=f"{model}/metadata")
    if parts.path not in ("", "/"):
        return HttpClient(url, timeout=timeout, metadata=f"{base}/v1/models/model/metadata")
    model = f"{base}/v1/models/model"
    if _status(f"{base}/execution-parameters", timeout, url) == 200:
        return HttpClient(f"{base}/invocations", timeout=timeout, metadata=f"{model}/metadata")
    if _status(model, timeout, url) == 200:
        return TfServingClient(f"{model}:predict", timeout=timeout, metadata=f"{model}/metadata")
    raise UserError(
        subject=without_password(url),
        problem="answers neither as trainer serve nor as TensorFlow Serving with a model 'model'",
        remedy="name the path, such as /v1/models/NAME",
    )


def _status(address: str, timeout: float, url: str) -> int:
    try:
        return requests.get(address, timeout=timeout).status_code
    except requests.RequestException as error:
        raise UserError(
            subject=without_password(url),
            problem=f"nothing answers there ({reason_of(error)})",
            remedy="start the server, or check host and port",
        ) from None


def without_password(url: str) -> str:
    """Return a url without the user and password in it, and without its query."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def reason_of(error: Exception) -> str:
    """Return in a few words why no answer came; the whole text may hold an address."""
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    for words in ("refused", "reset", "Name or service not known", "unreachable"):
        if words in str(error):
            return {"refused": "connection refused", "reset": "connection reset"}.get(
                words, "no such host" if words.startswith("Name") else words
            )
    return type(error).__name__


def seconds_of(value: str | None) -> float | None:
    """Return the seconds that a header Retry-After names; None for a date or none."""
    try:
        return max(0.0, float(value)) if value else None
    except ValueError:
        return None
