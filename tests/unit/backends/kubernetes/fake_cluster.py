"""A stand-in for a cluster's API server, which the real kubectl talks to.

It keeps objects, and holds those that are created against the published schemas. It plays no
controller: a test says itself what becomes of jobs and pods. Real clusters cannot be had here.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml
from kubernetes_schemas import MODELS, check_manifest

# The resource, the kind and the group's version, as discovery answers them.
RESOURCES = {
    "services": ("Service", "", "v1"),
    "secrets": ("Secret", "", "v1"),
    "pods": ("Pod", "", "v1"),
    "events": ("Event", "", "v1"),
    "jobs": ("Job", "batch", "v1"),
    "jobsets": ("JobSet", "jobset.x-k8s.io", "v1alpha2"),
    "trainjobs": ("TrainJob", "trainer.kubeflow.org", "v1alpha1"),
    "trainingruntimes": ("TrainingRuntime", "trainer.kubeflow.org", "v1alpha1"),
}
# What objects in protobuf begin with.
PROTOBUF = b"k8s\0"
REASONS = {403: "Forbidden", 404: "NotFound", 409: "AlreadyExists", 422: "Invalid"}


@dataclass
class FakeCluster:
    """What the server has, and what it was asked.

    Attributes:
        url: Its address.
        objects: The objects by resource and name.
        logs: The lines of each pod, with their times.
        refusals: The status and the message with which calls of a method and a resource end.
        kinds: The resources that the cluster knows.
        requests: Method and path of each call that was no discovery.
        warning: What the server warns of in its answers, or "".
        made: Called with each object that is created, in the place of a controller.
    """

    url: str = ""
    objects: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    logs: dict[str, list[str]] = field(default_factory=dict)
    refusals: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)
    kinds: set[str] = field(default_factory=lambda: set(RESOURCES))
    requests: list[str] = field(default_factory=list)
    warning: str = ""
    made: Callable[[dict[str, Any]], None] = lambda each: None

    def add(self, resource: str, name: str, **parts: Any) -> dict[str, Any]:
        """Add an object, as a controller would."""
        kind, group, version = RESOURCES[resource]
        head = {"kind": kind, "apiVersion": f"{group}/{version}" if group else version}
        metadata = {"name": name, "namespace": "vision", "uid": f"uid-{name}"}
        metadata |= parts.pop("metadata", {})
        made = {**head, "metadata": metadata, **parts}
        self.objects[resource, name] = made
        return made

    def pod(self, job: str, index: int, phase: str, **more: Any) -> dict[str, Any]:
        """Add a pod of a job."""
        labels = {
            "app.kubernetes.io/instance": job,
            "job-name": job,
            "batch.kubernetes.io/job-completion-index": str(index),
        }
        attempt = more.pop("attempt", 0)
        name = f"{job}-{index}-{'abcde'[attempt]}"
        metadata = {"labels": labels, "creationTimestamp": f"2026-01-01T00:0{attempt}:00Z"}
        status = {"phase": phase, "startTime": "2026-01-01T00:00:05Z", **more}
        containers = [{"name": "mesh"}, {"name": "trainer"}]
        spec = {"hostname": f"{job}-{index}", "containers": containers}
        return self.add("pods", name, metadata=metadata, spec=spec, status=status)

    def kubeconfig(self, folder: Path) -> Path:
        """Write the settings with which kubectl finds this cluster."""
        context = {"cluster": "c", "user": "u", "namespace": "vision"}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": self.url}}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [{"name": "here", "context": context}],
            "current-context": "here",
        }
        path = folder / "kubeconfig"
        path.write_text(yaml.safe_dump(config))
        return path

    # What the server answers.

    def discovery(self, path: str) -> dict[str, Any] | None:
        """Return which kinds there are, as kubectl asks for them; None for other paths."""
        known = {name: RESOURCES[name] for name in RESOURCES if name in self.kinds}
        groups = sorted({(group, version) for _, group, version in known.values() if group})
        if path == "/version":
            return {"major": "1", "minor": "32", "gitVersion": "v1.32.0"}
        if path == "/api":
            return {"kind": "APIVersions", "versions": ["v1"]}
        if path == "/apis":
            listed = [
                {"name": g, "versions": [version := {"groupVersion": f"{g}/{v}", "version": v}],
                 "preferredVersion": version}
                for g, v in groups
            ]  # fmt: skip
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}
        prefixes = {f"/apis/{g}/{v}": (g, v) for g, v in groups} | {"/api/v1": ("", "v1")}
        if path in prefixes:
            group, version = prefixes[path]
            return {
                "kind": "APIResourceList",
                "groupVersion": f"{group}/{version}" if group else version,
                "resources": [
                    {"name": name, "singularName": kind.lower(), "namespaced": True, "kind": kind,
                     "verbs": ["create", "delete", "get", "list", "patch", "watch"]}
                    for name, (kind, g, v) in known.items() if (g, v) == (group, version)
                ],
            }  # fmt: skip
        if path == "/openapi/v3":
            urls = {prefix.strip("/"): f"/openapi/v3{prefix}?hash=1" for prefix in prefixes}
            return {"paths": {name: {"serverRelativeURL": url} for name, url in urls.items()}}
        if path.startswith("/openapi/v3/"):
            return _openapi(prefixes[path.removeprefix("/openapi/v3")], known)
        return None

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Any:
        """Return the object that a call ends with, or a text; raises what it is refused with."""
        if "customresourcedefinitions" in path:
            return {"kind": "CustomResourceDefinitionList", "metadata": {}, "items": []}
        if path == "/openapi/v2":
            # As protobuf, a description of nothing.
            return ""
        parts = path.split("/")
        if parts[-2] == "namespaces":
            return {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": parts[-1]}}
        at = parts.index("namespaces")
        resource, name = parts[at + 2], "/".join(parts[at + 3 :])
        self.requests.append(f"{method} {resource}{f'/{name}' if name else ''}")
        if (method, resource) in self.refusals:
            raise RefusedError(*self.refusals[method, resource])
        if resource not in self.kinds:
            raise RefusedError(404, "the server could not find the requested resource")
        if name.endswith("/log"):
            return self._log(name.removesuffix("/log"), query)
        if method == "POST":
            return self._create(resource, body, query)
        if not name:
            return self._list(resource, query)
        if (resource, name) not in self.objects:
            raise RefusedError(404, f'{resource} "{name}" not found')
        if method == "DELETE":
            return self.objects.pop((resource, name))
        found = self.objects[resource, name]
        if method == "PATCH":
            _merge(found, body)
        return found

    def _create(self, resource: str, body: dict[str, Any], query: dict[str, str]) -> Any:
        name = body["metadata"]["name"]
        assert query.get("fieldValidation", "Strict") == "Strict", query
        if f"{body['apiVersion']}/{body['kind']}" in MODELS:
            check_manifest({k: v for k, v in body.items() if k != "status"})
        if (resource, name) in self.objects:
            raise RefusedError(409, f'{resource} "{name}" already exists')
        body["metadata"] |= {"uid": f"uid-{name}", "creationTimestamp": "2026-01-01T00:00:00Z"}
        self.objects[resource, name] = body
        self.made(body)
        return body

    def _list(self, resource: str, query: dict[str, str]) -> dict[str, Any]:
        wanted = dict(pair.split("=") for pair in query.get("labelSelector", "").split(",") if pair)
        part, _, about = query.get("fieldSelector", "").partition("=")
        holder = part.partition(".")[0]
        items = [
            each
            for (kind, _), each in self.objects.items()
            if kind == resource
            and wanted.items() <= each["metadata"].get("labels", {}).items()
            and about in ("", each.get(holder, {}).get("name"))
        ]
        kind, group, version = RESOURCES[resource]
        return {
            "kind": f"{kind}List",
            "apiVersion": f"{group}/{version}" if group else version,
            "metadata": {},
            "items": items,
        }

    def _log(self, pod: str, query: dict[str, str]) -> str:
        since = query.get("sinceTime", "")[:19]
        assert (query.get("timestamps"), query.get("container")) == ("true", "trainer")
        return "".join(f"{line}\n" for line in self.logs.get(pod, ()) if line[:19] >= since)


class RefusedError(Exception):
    """A call that the server refuses, with a status and a message."""


def _openapi(prefix: tuple[str, str], known: dict[str, tuple[str, str, str]]) -> dict[str, Any]:
    """Return what tells kubectl that the server itself finds unknown fields."""
    group, version = prefix
    paths = {}
    for name, (kind, g, v) in known.items():
        if (g, v) == prefix:
            gvk = {"group": group, "kind": kind, "version": version}
            operation = {
                "x-kubernetes-group-version-kind": gvk,
                "parameters": [{"name": "fieldValidation", "in": "query"}],
                "responses": {},
            }
            paths[f"/{group}/{name}/{{name}}"] = {"patch": operation}
    return {"openapi": "3.0.0", "info": {"title": "k", "version": "1"}, "paths": paths}


def _secret(message: bytes) -> dict[str, Any]:
    """Return the Secret that kubectl itself makes, which it sends as protobuf."""
    secret = dict(_fields(dict(_fields(message))[2]))
    entry = dict(_fields(secret[2]))
    name = dict(_fields(secret[1]))[1].decode()
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "data": {entry[1].decode(): base64.b64encode(entry[2]).decode()},
    }


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the numbers and contents of a message's fields, all of which have a length."""
    at = 0
    while at < len(message):
        tag, length, at = message[at], 0, at + 1
        for shift in range(0, 35, 7):
            byte, at = message[at], at + 1
            length |= (byte & 127) << shift
            if byte < 128:
                break
        yield tag >> 3, message[at : at + length]
        at += length


def _merge(found: dict[str, Any], patch: dict[str, Any]) -> None:
    for name, value in patch.items():
        if isinstance(value, dict):
            _merge(found.setdefault(name, {}), value)
        else:
            found[name] = value


@contextmanager
def running_cluster() -> Iterator[FakeCluster]:
    """Serve a cluster without objects."""
    cluster = FakeCluster()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            text = self.rfile.read(length)
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            status = 200
            body: Any
            try:
                body = cluster.discovery(url.path)
                if body is None:
                    given = json.loads(text) if text.startswith(b"{") else None
                    if text.startswith(PROTOBUF):
                        given = _secret(text.removeprefix(PROTOBUF))
                    body = cluster.answer(self.command, url.path, query, given)
            except (RefusedError, AssertionError, ValueError) as error:
                status, message = (
                    error.args if isinstance(error, RefusedError) else (422, str(error))
                )
                body = {
                    "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status,
                    "reason": REASONS[status], "message": message,
                }  # fmt: skip
            plain = isinstance(body, str)
            data = body.encode() if plain else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain" if plain else "application/json")
            self.send_header("Content-Length", str(len(data)))
            if cluster.warning:
                self.send_header("Warning", f'299 - "{cluster.warning}"')
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_DELETE = _any  # noqa: N815

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    cluster.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield cluster
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def complete(cluster: FakeCluster, kind: str, reason: str = "", message: str = "") -> None:
    condition = {"type": kind, "status": "True", "lastTransitionTime": "2026-01-01T00:10:00Z"}
    condition |= {"reason": reason, "message": message}
    cluster.objects["jobs", "mnist"]["status"] = {
        "conditions": [condition], "startTime": "2026-01-01T00:00:01Z",
    }  # fmt: skip


def ended(code: int, message: str = "", reason: str = "Error", at: str = "00:09:00") -> Any:
    terminated = {"exitCode": code, "message": message, "reason": reason}
    terminated["finishedAt"] = f"2026-01-01T{at}Z"
    return [{"name": "trainer", "state": {"terminated": terminated}}]
