"""Amazon's services for endpoints: moto's, and the containers behind an endpoint for real."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
from moto_server import moto_server
from servers import SECONDS, Server, serving

ACCOUNT, REGION = "123456789012", "us-east-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/SageMakerRole"


class AwsEndpoints(ThreadingHTTPServer):
    """Passes calls on to moto, and answers those of SageMaker's runtime by `trainer serve`.

    An endpoint's model is fetched from S3 and unpacked, as SageMaker does, when it is first asked.

    Attributes:
        statuses: What describe_endpoint says of an endpoint, one after the other; none: moto's.
        refuse: By the operation, the error code and message of calls that are to fail.
        calls: Each operation that came, with its arguments.
        invoked: The content types that came to the runtime.
        region: Where the endpoints are.
        env_of_servers: The environment of the containers behind endpoints.
    """

    daemon_threads = True

    def __init__(self, moto_port: int, folder: Path, stack: contextlib.ExitStack) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.moto_port, self._folder, self._stack = moto_port, folder, stack
        self.region, self.env_of_servers = REGION, dict[str, str]()
        self.statuses: list[dict[str, str]] = []
        self.refuse: dict[str, tuple[str, str]] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.invoked: list[str] = []
        self._servers: dict[str, Server] = {}
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Its url, for AWS_ENDPOINT_URL."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def env(self) -> dict[str, str]:
        """The environment that leads here."""
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        return {"AWS_ENDPOINT_URL": self.url, "AWS_REGION": REGION, **keys}

    @property
    def backend(self) -> Any:
        """Moto's memory of SageMaker."""
        from moto.backends import get_backend

        return get_backend("sagemaker")[ACCOUNT][self.region]

    @property
    def s3(self) -> Any:
        """A driver of moto's S3."""
        url = f"http://127.0.0.1:{self.moto_port}"
        return fsspec.filesystem("s3", key="test", secret="test", endpoint_url=url)

    def named(self, kind: str) -> list[str]:
        """The names of what there is: `endpoints`, `endpoint_configs`, `models`."""
        found = {
            "models": self.backend._models, "endpoints": self.backend.endpoints,
            "endpoint_configs": self.backend.endpoint_configs,
        }  # fmt: skip
        return sorted(found[kind])

    def server_of(self, endpoint: str) -> Server | None:
        """The server of an endpoint's model, None if there is no such endpoint."""
        backend = self.backend
        if endpoint not in backend.endpoints:
            return None
        config = backend.endpoint_configs[backend.endpoints[endpoint].endpoint_config_name]
        model = config.production_variants[0]["ModelName"]
        with self._lock:
            if model not in self._servers:
                url = backend._models[model].primary_container["ModelDataUrl"]
                place = self._folder / model
                data = self.s3.cat_file(url.removeprefix("s3://"))
                with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                    tar.extractall(place, filter="data")
                self._servers[model] = self._stack.enter_context(
                    serving(place, env=self.env_of_servers)
                )
            return self._servers[model]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: AwsEndpoints

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        target = self.headers.get("X-Amz-Target", "").partition(".")[2]
        if target:
            self.server.calls.append((target, json.loads(body)))
        if target in self.server.refuse:
            self._error(*self.server.refuse[target])
        elif self.path.endswith("/invocations"):
            self._invoke(self.path.split("/")[2], body)
        elif target == "UpdateEndpoint":
            self._update(json.loads(body))
        else:
            self._pass_on(target, body)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _answer  # noqa: N815

    def _invoke(self, endpoint: str, body: bytes) -> None:
        self.server.invoked.append(self.headers["Content-Type"])
        behind = self.server.server_of(endpoint)
        if behind is None:
            text = f"Endpoint {endpoint} of account {ACCOUNT} not found."
            self._error("ValidationError", text)
            return
        names = ("Content-Type", "Accept")
        headers = {name: self.headers[name] for name in names if self.headers.get(name)}
        reply = behind.ask("POST", "/invocations", body, headers)
        if reply.status == 200:
            self._send(200, [("Content-Type", reply.headers["content-type"])], reply.body)
        else:
            error = {
                "OriginalStatusCode": reply.status, "OriginalMessage": reply.body.decode(),
                "Message": "Received an error from the model",
            }  # fmt: skip
            self._send(424, [("x-amzn-ErrorType", "ModelError")], json.dumps(error).encode())

    def _update(self, arguments: dict[str, str]) -> None:
        """What moto lacks: another configuration for an endpoint."""
        endpoint = self.server.backend.endpoints[arguments["EndpointName"]]
        endpoint.endpoint_config_name = arguments["EndpointConfigName"]
        self._send(200, [], json.dumps({"EndpointArn": endpoint.arn}).encode())

    def _pass_on(self, target: str, body: bytes) -> None:
        behind = http.client.HTTPConnection("127.0.0.1", self.server.moto_port, timeout=SECONDS)
        with contextlib.closing(behind):
            drop = ("content-length", "expect", "connection")
            headers = {k: v for k, v in self.headers.items() if k.lower() not in drop}
            behind.request(self.command, self.path, body, headers)
            response = behind.getresponse()
            answer, status = response.read(), response.status
            skip = ("transfer-encoding", "connection", "content-length")
            kept = [(k, v) for k, v in response.getheaders() if k.lower() not in skip]
            length = response.getheader("Content-Length") if self.command == "HEAD" else None
        if target == "DescribeEndpoint" and status == 200 and self.server.statuses:
            shown = self.server.statuses[0]
            if len(self.server.statuses) > 1:
                self.server.statuses.pop(0)
            answer = json.dumps(json.loads(answer) | shown).encode()
        if target.startswith("Describe") and status == 200:
            # Moto has an empty {} where the service has none, which version 3 of the SDK refuses.
            answer = json.dumps({k: v for k, v in json.loads(answer).items() if v != {}}).encode()
        self._send(status, kept, answer, length=length)

    def _error(self, code: str, message: str) -> None:
        body = json.dumps({"__type": code, "message": message, "Message": message}).encode()
        self._send(400, [("x-amzn-ErrorType", code)], body)

    def _send(
        self,
        status: int,
        headers: list[tuple[str, str]],
        body: bytes,
        *,
        length: str | None = None,
    ) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def aws_endpoints(
    folder: Path, *, kind: type[AwsEndpoints] | None = None
) -> Iterator[AwsEndpoints]:
    """Serve while a block runs, with an empty bucket `models`."""
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(moto_server())
        server = stack.enter_context((kind or AwsEndpoints)(port, folder, stack))
        server.s3.makedirs("models", exist_ok=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stack.callback(server.shutdown)
        yield server
