"""A server in the place of Vertex AI and Cloud Logging, which records jobs and runs none.

It takes only calls that Google's published descriptions of the two APIs have, with the fields and
types that they have; `mistakes` lists all others.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import google_discovery

APIS = {"v1": "aiplatform.v1", "v2": "logging.v2"}


class VertexServer:
    """The jobs of a project, by the last part of their names.

    Attributes:
        jobs: Their JSON, which a test may change: state, error, times.
        entries: What Cloud Logging holds.
        requests: Each call's method, path, query and body.
        mistakes: What the descriptions do not have.
        first_state: The state of a job that is created.
        on_question: Called with a job before it is returned.
        refusal: If set, the status and the body that answer the next POST.
    """

    def __init__(self, port: int) -> None:
        self.url = f"http://localhost:{port}"
        self.jobs: dict[str, dict[str, Any]] = {}
        self.entries: list[dict[str, Any]] = []
        self.requests: list[tuple[str, str, dict[str, str], Any]] = []
        self.mistakes: list[str] = []
        self.first_state = "JOB_STATE_PENDING"
        self.on_question: Callable[[dict[str, Any]], None] = lambda job: None
        self.refusal: tuple[int, dict[str, Any]] | None = None

    @property
    def created(self) -> list[tuple[str, Any]]:
        """Path and body of each call that creates a job."""
        return [
            (path, body)
            for method, path, _, body in self.requests
            if method == "POST" and path.endswith(("/customJobs", "/hyperparameterTuningJobs"))
        ]

    def log(self, number: str, text: str | dict[str, Any], *, task: str, time: str, **more: Any):
        """Add a line of a replica."""
        payload = {"textPayload": text} if isinstance(text, str) else {"jsonPayload": text}
        resource = {"type": "ml_job", "labels": {"job_id": number, "task_name": task}}
        name = f"e{len(self.entries)}"
        self.entries.append(
            {"insertId": name, "timestamp": time, "resource": resource, **payload, **more}
        )

    def refuse(self, status: int, code: str, message: str, *violations: dict[str, str]) -> None:
        """Answer the next call with an error."""
        details = [{"@type": "x", "fieldViolations": [*violations]}] if violations else []
        error = {"code": status, "status": code, "message": message, "details": details}
        self.refusal = status, {"error": error}

    def answer(self, method: str, target: str, body: Any) -> tuple[int, Any]:
        """Return status and JSON of the answer to a call."""
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.requests.append((method, parts.path, query, body))
        if self.refusal and method == "POST":
            refusal, self.refusal = self.refusal, None
            return refusal
        api = APIS.get(parts.path.split("/")[1], "")
        called = google_discovery.method(api, method, parts.path) if api else None
        if called is None:
            self.mistakes.append(f"{method} {parts.path}: no such method")
            return 404, {"error": {"code": 404, "status": "NOT_FOUND", "message": "no method"}}
        # `$alt` and `alt` are of all Google's APIs; the SDK and gcloud send them.
        unknown = {*query} - {*called.get("parameters", {})} - {"$alt", "alt"}
        found = [f"{parts.path}?{name}: no such parameter" for name in unknown]
        if "request" in called:
            found += google_discovery.mistakes(
                body, called["request"]["$ref"], api=api, numbers_for_enums="$alt" in query
            )
        if found:
            self.mistakes += found
            violations = [{"field": "body", "description": text} for text in found]
            self.refuse(400, "INVALID_ARGUMENT", "Request contains an invalid argument.",
                        *violations)  # fmt: skip
            refusal, self.refusal = self.refusal, None
            return refusal or (400, {})
        return self._called(called["id"].rpartition(".")[2], parts.path, query, body)

    def _called(self, verb: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        if path == "/v2/entries:list":
            return 200, self._found_entries(body)
        number = path.rpartition("/")[2].partition(":")[0]
        if verb == "create":
            number = str(len(self.jobs) + 1000)
            self.jobs[number] = {
                **body,
                "name": f"{path.removeprefix('/v1/')}/{number}",
                "state": self.first_state,
                "createTime": f"2026-01-01T00:00:{len(self.jobs):02}Z",
            }
            return 200, self.jobs[number]
        if verb == "list":
            return 200, self._listed(path, query)
        job = self.jobs.get(number)
        if job is None or not path.partition(":")[0].endswith(job["name"]):
            message = f"The job {number} does not exist"
            return 404, {"error": {"code": 404, "status": "NOT_FOUND", "message": message}}
        if verb == "cancel":
            job["state"] = "JOB_STATE_CANCELLING"
            return 200, {}
        self.on_question(job)
        return 200, job

    def _listed(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        kind = path.rpartition("/")[2]
        wanted = re.fullmatch(r'display_name="(.*)"', query.get("filter", ""))
        jobs = [
            job
            for job in reversed(self.jobs.values())
            if f"/{kind}/" in job["name"] and (not wanted or job["displayName"] == wanted[1])
        ]
        start = int(query.get("pageToken", 0))
        stop = start + int(query.get("pageSize", 100))
        more = {"nextPageToken": str(stop)} if stop < len(jobs) else {}
        return {kind: jobs[start:stop], **more}

    def _found_entries(self, body: dict[str, Any]) -> dict[str, Any]:
        number = re.search(r'resource\.labels\.job_id="(\w+)"', body["filter"])
        since = re.search(r'timestamp>="([^"]+)"', body["filter"])
        found = [
            entry
            for entry in self.entries
            if number
            and entry["resource"]["labels"]["job_id"] == number[1]
            and (not since or entry["timestamp"] >= since[1])
        ]
        found.sort(key=lambda entry: entry["timestamp"])
        # Pages of two, so that each test goes over several.
        start = int(body.get("pageToken", 0))
        more = {"nextPageToken": str(start + 2)} if start + 2 < len(found) else {}
        return {"entries": found[start : start + 2], **more}


@contextlib.contextmanager
def vertex_server() -> Iterator[VertexServer]:
    """Serve until the end of the block, at a free port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            content = self.rfile.read(length)
            body = json.loads(content) if content.startswith(b"{") else None
            status, value = service.answer(self.command, self.path, body)
            answer = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = _answer  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("localhost", 0), Handler) as server:
        service = VertexServer(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()
