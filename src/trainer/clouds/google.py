"""A session with Google's REST services, with bounded waits, and errors that say what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from trainer.config import RetryableError, UserError
from trainer.runtime import install_command

# Seconds to connect and to wait for an answer, and how often to try.
CONNECT, READ, ATTEMPTS = 10, 60, 4
# Connections that a session keeps: as many as requests that predictions have under way.
CONNECTIONS = 64
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
# Answers that a new try may cure.
TRANSIENT = (429, 500, 502, 503, 504)
_REMEDIES: Mapping[str, str] = {
    "UNAUTHENTICATED": "sign in again: gcloud auth application-default login",
    "PERMISSION_DENIED": "give the account the role that this needs",
    "RESOURCE_EXHAUSTED": "ask for more quota, or take other machines or another region",
    "ALREADY_EXISTS": "give another --name",
}


class GoogleSession:
    """Sends requests with the user's credentials.

    Args:
        endpoint: The url that paths are below, `https://<region>-aiplatform.googleapis.com`.
        subject: What is asked for, for errors.
        is_anonymous: True for a server that takes the place of the service in tests.

    Raises:
        UserError: google-auth is missing, or there are no credentials.
    """

    def __init__(self, endpoint: str, *, subject: str, is_anonymous: bool = False) -> None:
        self._endpoint, self._subject = endpoint.rstrip("/"), subject
        self._session, self.project = _open_session(subject, is_anonymous=is_anonymous)

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        params: Mapping[str, Any] | None = None,
    ) -> Any:
        """Send a request, and return the JSON of its answer.

        Args:
            method: `GET`, `POST`, `DELETE` …
            path: Below the endpoint, such as `/v1/projects/p/locations/l/customJobs`.
            body: Sent as JSON.
            params: The query.

        Raises:
            UserError: The service refuses the request.
            RetryableError: It does not answer, or not now.
        """
        response = self.send(method, path, json=body, params=dict(params or {}))
        if response.status_code >= 400:
            raise google_error(response.status_code, _json(response), self._subject)
        return _json(response)

    def send(self, method: str, path: str, *, timeout: float = READ, **sent: Any) -> Any:
        """Send a request, and return the answer as it came, whatever its status is.

        Args:
            method: `GET`, `POST`, `DELETE` …
            path: Below the endpoint.
            timeout: Seconds to wait for the answer.
            sent: What is sent, in the words of `requests`: `json`, `params`, `data`, `headers`.

        Returns:
            A `requests.Response`.

        Raises:
            UserError: The credentials are no longer valid.
            RetryableError: No answer came.
        """
        import google.auth.exceptions
        import requests

        try:
            return self._session.request(
                method, self._endpoint + path, timeout=(CONNECT, timeout), **sent
            )
        except google.auth.exceptions.RefreshError as error:
            raise UserError(
                subject=self._subject, problem=f"the credentials have expired ({reason_of(error)})",
                remedy=_REMEDIES["UNAUTHENTICATED"],
            ) from None  # fmt: skip
        except (requests.RequestException, google.auth.exceptions.GoogleAuthError) as error:
            raise RetryableError(f"{self._subject}: {reason_of(error)}") from None


def google_error(status: int, body: Any, subject: str) -> UserError | RetryableError:
    """Return what a service's error means.

    Args:
        status: The HTTP status.
        body: The JSON of the answer: `{"error": {"code", "message", "status", "details"}}`.
        subject: What was asked for.
    """
    error = body.get("error", {}) if isinstance(body, dict) else {}
    code = str(error.get("status") or status)
    text = " ".join(str(error.get("message") or "no reason is given").split()).rstrip(".")[:400]
    violations = [
        f"{v.get('field', '?')}: {v.get('description', '')}"
        for detail in error.get("details") or ()
        if isinstance(detail, dict)
        for v in detail.get("fieldViolations") or ()
    ]
    problem = f"{'; '.join([text, *violations])} ({code})"
    if status in TRANSIENT and code != "RESOURCE_EXHAUSTED":
        return RetryableError(f"{subject}: {problem}")
    return UserError(subject=subject, problem=problem, remedy=_REMEDIES.get(code))


def _open_session(subject: str, *, is_anonymous: bool) -> tuple[Any, str | None]:
    """Return a session with retries, and the project of the credentials."""
    try:
        import google.auth
        import google.auth.credentials
        import google.auth.exceptions
        from google.auth.transport.requests import AuthorizedSession
    except ImportError:
        raise UserError(
            subject=subject,
            problem="the package google-auth is missing",
            remedy=install_command("submit"),
        ) from None
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    try:
        if is_anonymous:
            credentials: Any = google.auth.credentials.AnonymousCredentials()
            project = None
        else:
            credentials, project = google.auth.default(scopes=[SCOPE])
    except google.auth.exceptions.DefaultCredentialsError:
        raise UserError(
            subject=subject,
            problem="there are no Google credentials",
            remedy="sign in with gcloud auth application-default login, or set "
            "GOOGLE_APPLICATION_CREDENTIALS",
        ) from None
    # Those of nobody cannot be refreshed when the service refuses them.
    again = {"refresh_status_codes": ()} if is_anonymous else {}
    session = AuthorizedSession(credentials, **again)
    # A POST that was not answered may have started a job: only what changes nothing is repeated.
    retry = Retry(
        total=ATTEMPTS, backoff_factor=0.5, status_forcelist=TRANSIENT, allowed_methods=("GET",),
        raise_on_status=False,
    )  # fmt: skip
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry, pool_maxsize=CONNECTIONS))
    return session, project


def _json(response: Any) -> Any:
    try:
        return response.json()
    except ValueError:
        return {}


def reason_of(error: Exception) -> str:
    """Return an error as one line; of one of the network, the host and the reason alone."""
    text = " ".join(str(error).split())
    host = re.search(r"host='([^']+)'", text)
    if not host:
        return text[:300]
    if "resolve" in text:
        return f"the name {host[1]} is not known: no network, or a region that is not there"
    reason = text.rpartition(": ")[2].strip("'\") ")
    return f"no answer from {host[1]}: {reason}"[:300]
