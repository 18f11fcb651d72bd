"""Vertex AI's REST service in one project and region."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from trainer.clouds import GoogleSession
from trainer.config import UserError
from trainer.endpoints.vertex.requests import parent_of

LOGGING = "https://logging.googleapis.com"


class VertexConnection:
    """Requests to Vertex AI.

    Args:
        project: The project; None for that of the credentials.
        region: The region.
        api: The url of the API; None for the region's public one.
        logging: The url of Cloud Logging; None for the public one.

    Attributes:
        base: The url of the API.
        parent: The resource below which endpoints and models are.

    Raises:
        UserError: There are no credentials, or they name no project and nobody else does.
    """

    def __init__(
        self, *, project: str | None, region: str | None, api: str | None, logging: str | None
    ) -> None:
        if region is None:
            raise UserError(
                subject="--region", problem="not given", remedy="give it, such as europe-west4"
            )
        self.base = (api or public_url(region)).rstrip("/")
        self._session = _session(self.base, f"Vertex AI in {region}")
        self.project = project or self._session.project or ""
        if not self.project:
            raise UserError(
                subject="--project",
                problem="the credentials name no project",
                remedy="give one, or set GOOGLE_CLOUD_PROJECT",
            )
        self.parent = parent_of(self.project, region)
        self._logging = (logging or LOGGING).rstrip("/")

    def get(self, path: str) -> Any:
        """Return a resource.

        Raises:
            UserError: There is none, or it may not be read.
        """
        return self._session.request("GET", path)

    def find(self, path: str) -> Any:
        """Return a resource, None if there is none."""
        try:
            return self.get(path)
        except UserError as error:
            if "(NOT_FOUND)" in error.problem:
                return None
            raise

    def post(
        self, path: str, body: Mapping[str, Any], params: Mapping[str, str] | None = None
    ) -> Any:
        """Send a body, and return the answer."""
        return self._session.request("POST", path, body=dict(body), params=params)

    def send(self, path: str, body: bytes, media_type: str, *, timeout: float) -> Any:
        """Send bytes, and return the answer as it came, a `requests.Response`.

        Raises:
            UserError: The credentials are no longer valid.
            RetryableError: No answer came.
        """
        headers = {"Content-Type": media_type, "Accept": "application/json"}
        return self._session.send("POST", path, data=body, headers=headers, timeout=timeout)

    def delete(self, path: str) -> Any:
        """Delete a resource; return the operation that does it."""
        return self._session.request("DELETE", path)

    def listed(self, kind: str, *, filter: str | None = None) -> Iterator[dict[str, Any]]:
        """Yield the resources of a kind, all of them or those that a filter chooses."""
        params = {"pageSize": "100", **({"filter": filter} if filter else {})}
        while True:
            page = self._session.request("GET", f"/v1/{self.parent}/{kind}", params=params)
            yield from page.get(kind, ())
            if not page.get("nextPageToken"):
                return
            params["pageToken"] = page["nextPageToken"]

    def last_lines(self, endpoint_id: str, *, lines: int) -> list[str]:
        """Return what an endpoint's containers printed last, oldest first."""
        text = (
            'resource.type="aiplatform.googleapis.com/Endpoint" AND '
            f'resource.labels.endpoint_id="{endpoint_id}"'
        )
        body = {
            "resourceNames": [f"projects/{self.project}"], "filter": text,
            "orderBy": "timestamp desc", "pageSize": lines,
        }  # fmt: skip
        session = _session(self._logging, "Cloud Logging")
        found = session.request("POST", "/v2/entries:list", body=body).get("entries", ())
        return [_text(entry) for entry in reversed(found)]


def public_url(region: str) -> str:
    """Return the url of a region's API."""
    return f"https://{region}-aiplatform.googleapis.com"


def _session(base: str, subject: str) -> GoogleSession:
    # A url without encryption would pass credentials on to whoever listens.
    return GoogleSession(base, subject=subject, is_anonymous=base.startswith("http://"))


def _text(entry: Mapping[str, Any]) -> str:
    payload = entry.get("jsonPayload") or {}
    return str(entry.get("textPayload") or payload.get("message") or payload).rstrip()
