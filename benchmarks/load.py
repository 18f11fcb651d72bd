"""A load of HTTP requests: each connection sends its next one when it has its answer.

    python -m benchmarks.load --port 8080 --path /invocations --body one.json --connections 64

It does as little as possible, as on a machine of few cores it takes its time from the server.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import time
from collections import Counter
from pathlib import Path

WARM_UP = 0.2  # part of the time; its responses are not counted
PIECE = 2**18


class Load:
    """Connections to one port, all of which send the same request.

    Args:
        port: Of this machine.
        request: The bytes of the request.
    """

    def __init__(self, port: int, request: bytes) -> None:
        self._port, self._request = port, request
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._begun: dict[int, float] = {}
        self._part: dict[int, bytes] = {}
        self.seconds: list[float] = []
        self.statuses: Counter[str] = Counter()

    def run(self, connections: int, seconds: float) -> None:
        """Send requests for some seconds."""
        for _ in range(connections):
            self._connect()
        end = time.perf_counter() + seconds
        counted = end - seconds * (1 - WARM_UP)
        while time.perf_counter() < end:
            for number, _ in self._poll.poll(1):
                head = self._read(number)
                if head is None:
                    continue
                now = time.perf_counter()
                if now > counted:
                    self.seconds.append(now - self._begun[number])
                self.statuses[head[9:12].decode()] += 1
                if b"\r\nconnection: close" in head.lower():
                    self._poll.unregister(number)
                    self._sockets.pop(number).close()
                    self._connect()
                else:
                    self._begun[number] = now
                    self._sockets[number].sendall(self._request)

    def _connect(self) -> None:
        made = socket.create_connection(("127.0.0.1", self._port))
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sockets[made.fileno()] = made
        self._poll.register(made.fileno(), select.EPOLLIN)
        self._begun[made.fileno()] = time.perf_counter()
        made.sendall(self._request)

    def _read(self, number: int) -> bytes | None:
        """Read what has come; return a response's headers when all of it is there."""
        more = self._sockets[number].recv(PIECE)
        if not more:
            raise SystemExit(f"port {self._port}: it hung up before it answered")
        data = self._part.pop(number, b"") + more
        end = data.find(b"\r\n\r\n")
        at = data.lower().find(b"content-length:", 0, max(end, 0))
        if end < 0 or len(data) < end + 4 + int(data[at + 15 : data.find(b"\r\n", at)]):
            self._part[number] = data
            return None
        return data[:end]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--body", type=Path, required=True)
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3.0)
    args = parser.parse_args()
    body = args.body.read_bytes()
    head = (
        f"POST {args.path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    load = Load(args.port, head.encode() + body)
    load.run(args.connections, args.seconds)
    if set(load.statuses) != {"200"}:
        raise SystemExit(f"port {args.port}: {dict(load.statuses)}")
    times = sorted(load.seconds)
    print(
        json.dumps(
            {
                "p50": times[len(times) // 2],
                "p99": times[int(len(times) * 0.99)],
                "rate": len(times) / (args.seconds * (1 - WARM_UP)),
            }
        )
    )


if __name__ == "__main__":
    main()
