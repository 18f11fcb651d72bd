"""Requests to Google Cloud Storage's JSON interface, with credentials of google-auth."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from trainer.config import UserError
from trainer.runtime import install_command
from trainer.storage.sync.checksums import PIECE
from trainer.storage.sync.place import SyncSettings

GOOGLE = "https://storage.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"


class GoogleStorageError(Exception):
    """A response of Google's that is no success.

    Attributes:
        response: Code and status, as botocore's errors have them.
    """

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"{status} {code}")
        self.response = {
            "Error": {"Code": code},
            "ResponseMetadata": {"HTTPStatusCode": status},
        }


class GoogleStorageSession:
    """A pool of connections, whose requests are signed.

    Args:
        settings: Its endpoint, where there is one, needs no credentials, as emulators do.
        subject: The flag and url that need it, for errors.

    Raises:
        UserError: google-auth is not installed.
    """

    def __init__(self, settings: SyncSettings, subject: str) -> None:
        try:
            import google.auth
            import requests
            from google.auth.transport.requests import AuthorizedSession
        except ImportError:
            raise UserError(
                subject=subject,
                problem="needs the package google-auth",
                remedy=install_command("cloud"),
            ) from None
        endpoint = settings.gs_endpoint
        self.base = (endpoint or GOOGLE).rstrip("/")
        if "://" not in self.base:
            self.base = f"http://{self.base}"
        self._session: Any = requests.Session()
        if not endpoint:
            credentials, _ = google.auth.default(scopes=[SCOPE])
            self._session = AuthorizedSession(credentials, max_refresh_attempts=1)
        adapter = requests.adapters.HTTPAdapter(pool_maxsize=settings.workers)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)
        # No other hosts' responses: the proxies and certificates of the environment hold.
        self._timeout = (10.0, settings.limits.answer)

    def json(self, method: str, path: str, **more: Any) -> Any:
        """Make a request, and return the JSON of its response; None if it has none."""
        answer = self.send(method, path, **more)
        return answer.json() if answer.content else None

    def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] = {},
        data: Any = None,
        params: Mapping[str, Any] = {},
        accept: tuple[int, ...] = (),
        stream: bool = False,
    ) -> Any:
        """Make a request, and return the response.

        Args:
            method: GET, POST, PUT or DELETE.
            path: Below the server, or a whole address.
            headers: Beyond those of every request.
            data: The body.
            params: What stands behind the `?`.
            accept: Statuses that are no errors, beside 200 to 299.
            stream: Leave the body to be read.

        Raises:
            GoogleStorageError: The status is another.
        """
        url = path if "://" in path else f"{self.base}{path}"
        answer = self._session.request(
            method, url, headers=dict(headers), data=data, params=dict(params),
            timeout=self._timeout, stream=stream, allow_redirects=False,
        )  # fmt: skip
        if 200 <= answer.status_code < 300 or answer.status_code in accept:
            return answer
        raise _error_of(answer)

    def pieces(
        self, path: str, headers: Mapping[str, str], params: Mapping[str, Any]
    ) -> Iterator[bytes]:
        """Yield the bytes of a response as they are kept: not unpacked where they are packed."""
        asked = {**headers, "Accept-Encoding": "gzip"}
        answer = self.send("GET", path, headers=asked, params=params, stream=True)
        try:
            yield from answer.raw.stream(PIECE, decode_content=False)
        finally:
            answer.close()


def object_path(bucket: str, key: str) -> str:
    """Return the path of an object's metadata."""
    return f"/storage/v1/b/{quote(bucket, safe='')}/o/{quote(key, safe='')}"


def _error_of(answer: Any) -> GoogleStorageError:
    """Return the error of a response: its reason, and the right that lacks."""
    status, code = answer.status_code, str(answer.status_code)
    try:
        error = json.loads(answer.content)["error"]
        code = error["errors"][0]["reason"]
        right = re.search(r"\bstorage\.[a-z]+\.[a-zA-Z]+\b", error.get("message", ""))
        if status == 403 and right:
            code = right[0]
        elif "requester pays" in error.get("message", ""):
            code = "UserProjectMissing"
    except (ValueError, KeyError, IndexError, TypeError):
        pass
    finally:
        answer.close()
    return GoogleStorageError(status, code)
