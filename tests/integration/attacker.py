"""Somebody who reaches a job's port and has no part in it: sends it whatever comes to mind.

    python attacker.py HOST PORT COUNT SEED [USER]

A program of its own, so that it can be another user, another host or another container. It prints
how many answers of which status it got, and ends when it has sent COUNT messages. It knows the
protocol and the names of the members, but no run of theirs.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import random
import socket
import sys

NOBODY = 65534
MEMBERS = ["chief-0", "worker-0", "worker-7", "ps-0", "ps-3", "evaluator-0", "evaluator-9"]
SCOPES = ["global", "local_chief-0", "local_worker-0", "cross_0", "x", "global_process_set_hash_1"]
FAILURE = {"host": "x", "process": "rank 0", "code": 1, "reason": "ValueError: x"}
FAILURE |= {"secondary": False}
ODD = [
    *(None, True, False, 0, 1, -1, 2**31, 2**63, 2**200, 1e308, float("nan"), float("inf")),
    *(
        "",
        "x",
        "\x1b[2J\x1b]0;x\x07",
        "\r\ntrainer: failed: x",
        "\u202e\u2028",
        "\ud800",
        "é" * 300,
    ),
    *([], {}, [[]], [None] * 50, {"a": {"b": {"c": []}}}, "A" * 5000),
]
VERBS = [
    "join",
    "keepalive",
    "heartbeat",
    "report",
    "leave",
    "",
    "../join",
    "handle",
    "tick",
    "\u00e9",
]


def program(
    host: str, *, port: int = 7117, count: int, seed: int, user: int | None = None
) -> list[str]:
    """Return the command of an attack.

    Args:
        host: Whose port.
        port: Which.
        count: How many messages.
        seed: The same messages for the same one.
        user: The id of the user to become; this needs root.
    """
    argv = [sys.executable, "-S", __file__, host, str(port), str(count), str(seed)]
    return argv if user is None else [*argv, str(user)]


class Mind:
    """Makes messages up.

    Args:
        seed: The same messages for the same one.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def message(self) -> bytes:
        """Return the bytes of a request, or of something that is none."""
        kind = self.random.random()
        if kind < 0.7:
            verb, fields = self.request()
            body = json.dumps(fields).encode("utf-8", "surrogatepass")
            if self.random.random() < 0.1:
                body = self.damaged(body)
            head = self.head("POST", f"/job/{verb}", body)
        elif kind < 0.9:
            method = self.random.choice(["PUT", "PUT", "DELETE", "GET"])
            key = self.random.choice(["0", "1", "rank_0", "-1", "9" * 300, "../0"])
            body = b"" if method != "PUT" else self.random.randbytes(self.random.randrange(200))
            head = self.head(method, f"/{self.random.choice(SCOPES)}/{key}", body)
        elif kind < 0.95:
            body, head = b"", self.random.randbytes(self.random.randrange(2000))
        else:
            depth = 10 ** self.random.randrange(6)
            body = self.random.choice([b"[", b'{"a":']) * depth
            head = self.head("POST", "/job/join", body)
        whole = head + body
        return self.damaged(whole) if self.random.random() < 0.1 else whole

    def head(self, method: str, path: str, body: bytes) -> bytes:
        """Return a first line and headers, now and then with another length."""
        length: object = len(body)
        if self.random.random() < 0.05:
            length = self.random.choice([-1, 2**70, "x", "", len(body) + 1, "1" * 5000])
        more = f"X-Trainer-Signature: {self.random.choice(['', 'é', '0' * 64])}\r\n"
        text = f"{method} {path} HTTP/1.1\r\nContent-Length: {length}\r\n"
        if self.random.random() < 0.1:
            text += more
        return (text + "\r\n").encode("latin-1", "replace")

    def request(self) -> tuple[str, dict[str, object]]:
        """Return a verb and the fields of a launcher's request, some of them odd."""
        verb = self.random.choice(VERBS)
        fields: dict[str, object] = {
            "member": self.random.choice(MEMBERS),
            "run": self.random.choice(["1", self.random.randbytes(16).hex()]),
            **self.fields(verb),
        }
        for _ in range(self.random.choice([0, 0, 1, 2])):
            name = self.random.choice([*fields, "x"])
            fields[name] = self.random.choice(ODD)
        if self.random.random() < 0.05:
            fields.pop(self.random.choice(list(fields)))
        return verb, fields

    def fields(self, verb: str) -> dict[str, object]:
        """Return what goes with a verb."""
        if verb == "join":
            stated = self.random.choice([{}, {"values": {}}, {"host": "x", "values": {"a": None}}])
            fields = {"host": "x", "task": "worker 0", "processes": 1}
            return {**fields, "settings": stated, "metadata": {}}
        if verb == "heartbeat":
            return {"position": self.random.choice([0, 1, 99])}
        if verb == "leave":
            return {"code": self.random.choice([0, 1, 143]), "early": self.random.random() < 0.5}
        kind = self.random.choice(["failed", "broken", "ready", "done", "stopping", "x"])
        return {"kind": kind, "failure": FAILURE, "generation": 0, "code": 0, "host": "x"}

    def damaged(self, text: bytes) -> bytes:
        """Return bytes with some changed, or cut."""
        changed = bytearray(text)
        for _ in range(self.random.randrange(1, 5)):
            if changed:
                changed[self.random.randrange(len(changed))] = self.random.randrange(256)
        return bytes(changed[: self.random.choice([len(changed), len(changed) // 2])])


def send(address: tuple[str, int], message: bytes) -> str:
    """Send a message and return the status that it is answered with, or how it is not."""
    try:
        with socket.create_connection(address, timeout=5) as line:
            with contextlib.suppress(OSError):
                line.sendall(message)
                line.shutdown(socket.SHUT_WR)
            return line.recv(64).partition(b"\r\n")[0].decode("latin-1")[9:12] or "nothing"
    except OSError as error:
        return type(error).__name__


def main() -> None:
    """Attack, and say what became of it."""
    host, port, count, seed, *user = sys.argv[1:]
    # Loads what another user may not be allowed to read.
    address = socket.gethostbyname(host), int(port)
    send(address, b"")
    if user:
        os.setgroups([])
        os.setgid(int(user[0]))
        os.setuid(int(user[0]))
    mind = Mind(int(seed))
    found = collections.Counter(send(address, mind.message()) for _ in range(int(count)))
    print("attacked", json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
