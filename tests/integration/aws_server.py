"""Moto's server behind one that keeps each request, and that can give answers of its own."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl

from moto_server import moto_server

REGION = "eu-central-1"
# A status and the fields of the answer; an error has `__type`.
Reply = tuple[int, dict[str, Any]]


@dataclass
class AwsServer:
    """A server that answers as AWS's services do.

    Attributes:
        url: Its address.
        calls: Name and argument of each call, in order; not those of S3.
        replies: For each name of a call, what makes its answer; moto where there is none.
    """

    url: str = ""
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    replies: dict[str, Callable[[dict[str, Any]], Reply | None]] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which AWS's libraries come here."""
        return {
            "AWS_ENDPOINT_URL": self.url, "AWS_DEFAULT_REGION": REGION, "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/nowhere",
            "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
        }  # fmt: skip

    def made(self, name: str) -> list[dict[str, Any]]:
        """Return the arguments of all calls of a name."""
        return [argument for called, argument in self.calls if called == name]

    def fail(self, name: str, code: str, message: str, *, status: int = 400) -> None:
        """Let each call of a name end with an error."""
        self.replies[name] = lambda _: (status, {"__type": code, "message": message})


@contextmanager
def aws_server() -> Iterator[AwsServer]:
    """Run such a server."""
    found = AwsServer()
    with moto_server() as port:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(found, ("127.0.0.1", port)))
        found.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            server.server_close()


def client(server: AwsServer, service: str) -> Any:
    """Return boto3's client of a service of a server."""
    import boto3

    return boto3.client(
        service, region_name=REGION, endpoint_url=server.url, aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )  # fmt: skip


def make_role(server: AwsServer, name: str = "Trains") -> str:
    """Make a role that SageMaker may take, and return its ARN."""
    trust = {
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"Service": "sagemaker.amazonaws.com"},
        }],
    }  # fmt: skip
    made = client(server, "iam").create_role(
        RoleName=name, Path="/service-role/", AssumeRolePolicyDocument=json.dumps(trust)
    )
    arn: str = made["Role"]["Arn"]
    return arn


def _handler(found: AwsServer, moto: tuple[str, int]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            name = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
            form = self.headers.get("Content-Type", "").startswith("application/x-www-form")
            if form:
                fields = dict(parse_qsl(body.decode()))
                name = fields.get("Action", "")
            if name:
                argument = fields if form else json.loads(body or b"{}")
                found.calls.append((name, argument))
                reply = found.replies[name](argument) if name in found.replies else None
                if reply is not None:
                    self.reply(reply[0], _content(reply[1], xml=form), {})
                    return
            there = http.client.HTTPConnection(*moto)
            headers = {k: v for k, v in self.headers.items() if k.lower() != "transfer-encoding"}
            there.request(self.command, self.path, body, headers)
            answer = there.getresponse()
            own = _OWN - {"content-length"} if self.command == "HEAD" else _OWN
            kept = {k: v for k, v in answer.headers.items() if k.lower() not in own}
            self.reply(answer.status, answer.read(), kept)

        def reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if "Content-Length" not in headers:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    for method in ("GET", "POST", "PUT", "DELETE", "HEAD"):
        setattr(Handler, f"do_{method}", Handler.answer)
    return Handler


def _content(fields: dict[str, Any], *, xml: bool) -> bytes:
    """Return an answer as services of either kind write it."""
    if not xml:
        return json.dumps(fields, default=str).encode()
    code, message = fields["__type"], fields["message"]
    error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
    return f"<ErrorResponse>{error}<RequestId>1</RequestId></ErrorResponse>".encode()


_OWN = {"content-length", "transfer-encoding", "connection", "server", "date"}
