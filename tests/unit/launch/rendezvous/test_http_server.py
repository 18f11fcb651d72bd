import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from trainer.config.errors import UserError
from trainer.launch.plan import Member
from trainer.launch.rendezvous import connections
from trainer.launch.rendezvous.coordinator import Coordinator
from trainer.launch.rendezvous.http_server import LARGEST, serving_coordinator
from trainer.launch.rendezvous.kv_store import KeyValueStore
from trainer.launch.rendezvous.origin import Origin
from trainer.launch.rendezvous.state import JobSpec
from trainer.launch.timeouts import Timeouts

CHIEF = Member(role="chief", index=0, address="algo-1")


@pytest.fixture
def coordinator():
    return Coordinator(JobSpec(expected=(CHIEF,)))


@pytest.fixture
def port(coordinator):
    store = KeyValueStore()
    store.open(("global", rank) for rank in range(64))
    with serving_coordinator(coordinator, host="127.0.0.1", port=0, store=store) as found:
        yield found


def ask(port, method, path, body=None, headers=None):
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(line):
        line.request(method, path, body, headers or {})
        response = line.getresponse()
        return response.status, response.read()


def test_a_value_is_there_from_its_writing_to_its_deletion(port):
    assert ask(port, "GET", "/global/0") == (404, b"")
    assert ask(port, "PUT", "/global/0", b"\x00address\xff")[0] == 200
    assert ask(port, "GET", "/global/0") == (200, b"\x00address\xff")
    assert ask(port, "GET", "/local_algo-1/0") == (404, b"")
    # The first word counts, and may be said again.
    assert ask(port, "PUT", "/global/0", b"another")[0] == 409
    assert ask(port, "PUT", "/global/0", b"\x00address\xff")[0] == 200
    assert ask(port, "PUT", "/global/1", b"")[0] == 200
    assert ask(port, "GET", "/global/1") == (200, b"")
    # As each of Horovod's ranks does once it is connected.
    assert ask(port, "DELETE", "/global/0")[0] == 200
    assert ask(port, "GET", "/global/0") == (404, b"")
    assert ask(port, "DELETE", "/global/0")[0] == 200
    assert ask(port, "PUT", "/global/0", b"another")[0] == 409


@pytest.fixture
def nobody():
    """Asks as another user of this machine."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to be another user")

    def ask(port, method, path, body=None):
        script = ASK_AS_NOBODY.format(port=port, method=method, path=path, body=body)
        argv = [sys.executable, "-S", "-c", script]
        ran = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=True)
        return int(ran.stdout)

    return ask


ASK_AS_NOBODY = """
import encodings.idna, http.client, os
os.setgid(65534); os.setuid(65534)
line = http.client.HTTPConnection("127.0.0.1", {port}, timeout=10)
line.request({method!r}, {path!r}, {body!r})
print(line.getresponse().status)
"""


def test_another_user_of_this_machine_neither_reads_nor_writes_nor_deletes(
    port, nobody, coordinator
):
    assert nobody(port, "PUT", "/global/0", "x") == 403
    note = coordinator._state.broadcasts[-1].text
    assert note.startswith("an address for Horovod from 127.0.0.1 was refused: no host of the job")
    assert ask(port, "PUT", "/global/0", b"address")[0] == 200
    assert nobody(port, "GET", "/global/0") == 404
    assert nobody(port, "DELETE", "/global/0") == 200
    assert ask(port, "GET", "/global/0") == (200, b"address")


def test_who_sends_nothing_takes_no_room_from_the_jobs_own_and_is_cut_off(monkeypatch):
    monkeypatch.setattr(Origin, "is_own", False)
    worker = Member(role="worker", index=0, address="algo-2")
    coordinator = Coordinator(JobSpec(expected=(CHIEF, worker)))
    server = serving_coordinator(
        coordinator, host="127.0.0.1", port=0, timeouts=Timeouts(request_read=1.0)
    )
    with server as port, contextlib.ExitStack() as stack:
        slow = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            for _ in range(connections.MOST_OF_STRANGER)
        ]
        for each in slow:
            each.sendall(b"POST /job/join HTTP/1.1\r\n")
        # One more is not even read.
        with socket.create_connection(("127.0.0.1", port), timeout=10) as more:
            assert more.recv(1) == b""
        # Each byte may be in time; the whole is not.
        until = time.monotonic() + 30
        while slow and time.monotonic() < until:
            for each in list(slow):
                try:
                    each.sendall(b"x")
                except OSError:
                    slow.remove(each)
            time.sleep(0.1)
        assert not slow
        assert ask(port, "GET", "/global/0")[0] == 404


def test_a_head_without_end_is_not_kept(port):
    line = socket.create_connection(("127.0.0.1", port), timeout=10)
    with line, pytest.raises(ConnectionError):
        line.sendall(b"PUT /global/0 HTTP/1.1\r\n")
        for _ in range(10_000):
            line.sendall(b"X-Header: " + b"x" * 1000 + b"\r\n")


def test_many_ranks_at_once_are_served(port):
    statuses = []

    def rank(i):
        statuses.append(ask(port, "PUT", f"/global/{i}", str(i).encode())[0])
        statuses.append(ask(port, "GET", f"/global/{i}"))

    threads = [threading.Thread(target=rank, args=(i,)) for i in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(s for s in statuses if s != 200) == sorted(
        (200, str(i).encode()) for i in range(64)
    )


def test_a_client_that_sends_a_part_and_waits_keeps_nobody_else_waiting(port, monkeypatch):
    with socket.create_connection(("127.0.0.1", port)) as slow:
        slow.sendall(b"PUT /global/0 HTTP/1.1\r\nContent-Length: 5\r\n\r\nab")
        assert ask(port, "PUT", "/global/1", b"x")[0] == 200
        slow.shutdown(socket.SHUT_WR)
        assert b" 400 " in slow.recv(100)
    assert ask(port, "GET", "/global/0")[0] == 404


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("PUT", "/global", {"Content-Length": "0"}, 403),
        ("PUT", "/global/64", {"Content-Length": "0"}, 403),
        ("PUT", "/a/b/c", {"Content-Length": "0"}, 403),
        ("PUT", "/global/0", {"Content-Length": "9" * 5000}, 411),
        ("PUT", "/global/0", {"Content-Length": str(LARGEST + 1)}, 413),
        ("PUT", "/global/0", {"Content-Length": "-1"}, 411),
        ("PUT", "/global/0", {"Transfer-Encoding": "chunked"}, 411),
        ("GET", "/", {}, 404),
        ("POST", "/job/heartbeat", {"Content-Length": "0"}, 400),
        ("PATCH", "/global/0", {}, 501),
    ],
)
def test_what_it_cannot_use_is_refused(port, method, path, headers, status):
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(line):
        line.putrequest(method, path)
        for name, value in headers.items():
            line.putheader(name, value)
        line.endheaders()
        assert line.getresponse().status == status


@pytest.mark.parametrize("fields", [None, [], {}, {"member": 1}, {"member": "a", "run": "b"}, "x"])
@pytest.mark.parametrize("verb", ["join", "heartbeat", "report", "leave", "handle", "tick"])
def test_words_that_no_launcher_says_are_refused_or_unknown(port, verb, fields):
    status, answer = ask(port, "POST", f"/job/{verb}", json.dumps(fields))
    assert status == 400 or json.loads(answer) == {"unknown": True}


def test_a_port_that_is_taken_is_named_in_one_line():
    coordinator = Coordinator(JobSpec(expected=(CHIEF,)))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(UserError, match=f"^--port {port}: the hosts cannot meet there: another"),
            serving_coordinator(coordinator, host="127.0.0.1", port=port),
        ):
            pass
    with serving_coordinator(coordinator, host="127.0.0.1", port=port) as found:
        assert found == port


def test_at_the_end_nobody_listens():
    coordinator = Coordinator(JobSpec(expected=(CHIEF,)))
    with serving_coordinator(coordinator, host="127.0.0.1", port=0) as port:
        pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    assert not {"rendezvous", "coordinator"} & {thread.name for thread in threading.enumerate()}
