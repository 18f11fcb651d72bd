"""A server in the place of Vertex AI's endpoints, behind which `trainer serve` answers for real.

It takes only calls that Google's published description of the API has, with the fields and types
that it has; `mistakes` lists all others. Long operations are done when they are looked at twice.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import google_discovery
from servers import Server

# The SDK looks at operations below `ui`, as Google's own console does; gcloud uploads by v1beta1.
API = {"v1": "aiplatform.v1", "ui": "aiplatform.v1", "v1beta1": "aiplatform.v1beta1",
       "v2": "logging.v2"}  # fmt: skip
# What the operation of a verb ends with, as the SDK wants to read it.
TYPES = "type.googleapis.com/google.cloud.aiplatform.v1."
RESPONSES = {
    "models.upload": "UploadModelResponse",
    "endpoints.create": "Endpoint",
    "endpoints.deployModel": "DeployModelResponse",
}
# In what state a job begins that is none of the training.
FIRST_STATES = {
    "batchPredictionJobs.create": "JOB_STATE_PENDING",
    "trainingPipelines.create": "PIPELINE_STATE_SUCCEEDED",
}


class VertexEndpoints(ThreadingHTTPServer):
    """Models, endpoints and batch prediction jobs of one project.

    Attributes:
        resources: By their names.
        failures: By the verb, the message of an operation that fails.
        refuse: By the verb, status, code and message of a call that fails.
        calls: Verb, query and body of each call.
        lines: What Cloud Logging has.
        mistakes: What the description does not have.
        looks: How often an operation is looked at until it is done.
    """

    daemon_threads = True

    def __init__(self, env: Mapping[str, str], stack: contextlib.ExitStack) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._env, self._stack = env, stack
        self.resources: dict[str, dict[str, Any]] = {}
        self.failures: dict[str, str] = {}
        self.refuse: dict[str, tuple[int, str, str]] = {}
        self.calls: list[tuple[str, dict[str, str], Any]] = []
        self.lines: list[str] = []
        self.mistakes: list[str] = []
        self._operations: dict[str, dict[str, Any]] = {}
        self._left: dict[str, int] = {}
        self._servers: dict[str, Server] = {}
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Its url."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def clear(self) -> None:
        """Forget all but the servers."""
        for each in (self.resources, self.failures, self.refuse, self.calls, self.lines,
                     self.mistakes):  # fmt: skip
            each.clear()

    def names(self, kind: str) -> list[str]:
        """The last parts of the names of what there is: `models`, `endpoints`."""
        return sorted(n.rpartition("/")[2] for n in self.resources if f"/{kind}/" in n)

    def server_of(self, endpoint: str) -> Server | None:
        """The server of the model that gets an endpoint's traffic."""
        deployed = self.resources[endpoint].get("deployedModels", [])
        split = self.resources[endpoint].get("trafficSplit", {})
        chosen = next((each for each in deployed if split.get(each["id"])), None)
        if chosen is None:
            return None
        model = self.resources[chosen["model"]]
        with self._lock:
            if model["name"] not in self._servers:
                argv = [sys.executable, "-m", "trainer", "serve", "--host", "127.0.0.1"]
                argv += ["--model-dir", model["artifactUri"], "--port", "0", "--linger", "0"]
                server = Server(argv, self._env)
                self._stack.callback(server.process.kill)
                self._servers[model["name"]] = server
            return self._servers[model["name"]]

    def answer(self, method: str, target: str, raw: bytes, kind: str) -> tuple[int, Any]:
        """Return status and body of the answer to a call."""
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        api = API[parts.path.split("/")[1]]
        called = google_discovery.method(api, method, parts.path)
        if called is None and "/operations/" not in parts.path:
            self.mistakes.append(f"{method} {parts.path}: no such method")
            return self.error(404, "NOT_FOUND", "no such method")
        verb = called["id"].removeprefix("aiplatform.projects.locations.") if called else "get"
        body = raw if verb.endswith("rawPredict") else json.loads(raw) if raw else None
        if called:
            # `$alt` and `alt` are of all Google's APIs; the SDK and gcloud send them.
            unknown = {*query} - {*called.get("parameters", {}), "$alt", "alt"}
            self.mistakes += [f"{parts.path}?{name}: no such parameter" for name in unknown]
            if "request" in called and not isinstance(body, bytes):
                self.mistakes += google_discovery.mistakes(
                    body, called["request"]["$ref"], api=api, numbers_for_enums="$alt" in query
                )
        self.calls.append((verb, query, body))
        if verb in self.refuse:
            return self.error(*self.refuse[verb])
        name = unquote(parts.path).partition(":")[0].partition("/")[2].partition("/")[2]
        # Each model has one version here.
        name = name.partition("@")[0]
        if verb.endswith(("predict", "rawPredict")):
            return self._predict(name, raw, kind)
        return self._called(verb, name, query, body)

    def error(self, status: int, code: str, message: str) -> tuple[int, Any]:
        """An answer that is an error."""
        return status, {"error": {"code": status, "status": code, "message": message}}

    def _called(self, verb: str, name: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        kind, _, does = verb.rpartition(".")
        if "/operations/" in name:
            return 200, self._operation(name)
        if does == "list":
            if kind == "entries" or verb == "logging.entries.list":
                entries = [{"textPayload": line} for line in reversed(self.lines)]
                return 200, {"entries": entries}
            wanted = re.fullmatch(r"labels\.([\w-]+)=(.*)", query.get("filter", ""))
            found = [
                each for own, each in self.resources.items()
                if f"/{kind}/" in own
                and (not wanted or each.get("labels", {}).get(wanted[1]) == wanted[2])
            ]  # fmt: skip
            return 200, {kind: found}
        if verb == "models.upload":
            number = body.get("modelId") or 1000 + len(self.resources)
            own = f"{name.rpartition('/')[0]}/models/{number}"
            made = {"model": own, "modelVersionId": "1"}
            model = {
                **body["model"], "name": own,
                "supportedDeploymentResourcesTypes": ["DEDICATED_RESOURCES"],
            }  # fmt: skip
            return self._begin(verb, own, {own: model}, made)
        if verb == "endpoints.create":
            own = f"{name}/{query.get('endpointId') or 1000 + len(self.resources)}"
            return self._begin(verb, own, {own: {**body, "name": own}}, {"name": own})
        if verb in FIRST_STATES:
            own = f"{name}/{1000 + len(self.resources)}"
            self.resources[own] = {**body, "name": own, "state": FIRST_STATES[verb]}
            return 200, self.resources[own]
        if name not in self.resources:
            return self.error(404, "NOT_FOUND", f"{name} is not found.")
        return self._on(verb, does, name, body)

    def _on(self, verb: str, does: str, name: str, body: Any) -> tuple[int, Any]:
        resource = self.resources[name]
        if does == "deployModel":
            deployed = [*resource.get("deployedModels", ())]
            number = str(1 + max((int(each["id"]) for each in deployed), default=0))
            made = {**body["deployedModel"], "id": number}
            changed = {
                **resource, "deployedModels": [*deployed, made], "trafficSplit": {number: 100},
            }  # fmt: skip
            return self._begin(verb, name, {name: changed}, {"deployedModel": made})
        if does == "undeployModel":
            left = [e for e in resource["deployedModels"] if e["id"] != body["deployedModelId"]]
            return self._begin(verb, name, {name: {**resource, "deployedModels": left}})
        if does == "delete":
            if resource.get("deployedModels"):
                return self.error(400, "FAILED_PRECONDITION", "The endpoint has deployed models.")
            del self.resources[name]
            return self._begin(verb, name, {})
        if "/batchPredictionJobs/" in name:
            resource["state"] = "JOB_STATE_SUCCEEDED"
        return 200, resource

    def _begin(
        self, verb: str, name: str, then: dict[str, Any], made: dict[str, Any] | None = None
    ) -> tuple[int, Any]:
        operation = f"{name}/operations/{len(self._operations)}"
        response = {"@type": f"{TYPES}{RESPONSES.get(verb, '')}", **made} if made else {}
        self._operations[operation] = {"verb": verb, "then": then, "response": response}
        self._left[operation] = 1
        return 200, {"name": operation}

    def _operation(self, name: str) -> dict[str, Any]:
        if self._left[name]:
            self._left[name] -= 1
            return {"name": name}
        found = self._operations[name]
        if found["verb"] in self.failures:
            error = {"code": 13, "message": self.failures[found["verb"]]}
            return {"name": name, "done": True, "error": error}
        self.resources |= found["then"]
        return {"name": name, "done": True, "response": found["response"]}

    def _predict(self, endpoint: str, raw: bytes, kind: str) -> tuple[int, Any]:
        if endpoint not in self.resources:
            return self.error(404, "NOT_FOUND", f"{endpoint} is not found.")
        behind = self.server_of(endpoint)
        if behind is None:
            return self.error(503, "UNAVAILABLE", "no model gets traffic")
        reply = behind.ask("POST", "/invocations", raw, {"Content-Type": kind})
        return reply.status, reply.json


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: VertexEndpoints

    def _answer(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = self.headers.get("Content-Type", "")
        status, value = self.server.answer(self.command, self.path, raw, kind)
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def vertex_endpoints(
    env: Mapping[str, str], *, kind: type[VertexEndpoints] | None = None
) -> Iterator[VertexEndpoints]:
    """Serve while a block runs; `env` leads its containers to Google's store."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context((kind or VertexEndpoints)(env, stack))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stack.callback(server.shutdown)
        yield server
