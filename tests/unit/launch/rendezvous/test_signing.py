"""Signed requests, between a real server and whoever reaches its port."""

import contextlib
import http.client
import json
import time

import pytest

from trainer.launch.plan import Member
from trainer.launch.rendezvous.coordinator import Coordinator
from trainer.launch.rendezvous.http_server import serving_coordinator
from trainer.launch.rendezvous.keepalive import Keepalive
from trainer.launch.rendezvous.requests import Sender
from trainer.launch.rendezvous.signing import HEADER, Checker, RefusedError, Signer
from trainer.launch.rendezvous.state import JobSpec
from trainer.launch.rendezvous.transport import over_http

CHIEF = Member(role="chief", index=0, address="algo-1")
WORKER = Member(role="worker", index=0, address="algo-2")
JOIN = {"member": WORKER.id, "run": "1", "host": "algo-2", "task": "worker 0"}
JOIN |= {"processes": 1, "settings": {}, "metadata": {}}
ME = {"member": WORKER.id, "run": "1"}


class Wire:
    """The port of a coordinator, and all that went over it."""

    def __init__(self, port):
        self.port = port
        self.sent = []

    def post(self, secret, connected=lambda *_: None):
        signer = secret and Signer(secret)
        return over_http("127.0.0.1", self.port, connected, signer)

    def ask(self, verb, body, signature=None):
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        with contextlib.closing(line):
            line.request("POST", f"/job/{verb}", body, {HEADER: signature} if signature else {})
            response = line.getresponse()
            return response.status, response.read()


@contextlib.contextmanager
def coordinator(secret):
    served = Coordinator(JobSpec(expected=(CHIEF, WORKER)))
    with serving_coordinator(served, host="127.0.0.1", port=0, secret=secret) as port:
        yield served, Wire(port)


def joined(served):
    return "worker 0 (algo-2)" not in map(str, served._missing())


def test_hosts_with_the_secret_are_answered():
    with coordinator("s3cret") as (served, wire):
        post = wire.post("s3cret")
        assert post("join", JOIN, 5)["position"] == 0
        assert joined(served)
        assert post("heartbeat", {**ME, "position": 0}, 5)["broadcasts"] == []
        assert post("report", {**ME, "kind": "ready", "generation": 0}, 5) == {}
        assert post("leave", {**ME, "code": 0, "early": False}, 5) == {"failure": None}


@pytest.mark.parametrize(
    ("theirs", "ours", "reason"),
    [
        ("s3cret", "another", "another TRAINER_SECRET is set on the chief's host; set the same"),
        ("s3cret", None, "TRAINER_SECRET is set on the chief's host and not on this one; set"),
        (None, "s3cret", "TRAINER_SECRET is set on this host and not on the chief's; set the"),
    ],
)
def test_hosts_without_the_same_secret_are_refused_and_nothing_becomes_of_it(theirs, ours, reason):
    reached = []
    with coordinator(theirs) as (served, wire):
        with pytest.raises(RefusedError, match=reason):
            wire.post(ours, lambda *ips: reached.append(ips))("join", JOIN, 5)
        assert not joined(served)
        assert not reached


def test_a_request_that_was_recorded_has_no_effect_a_second_time():
    signer = Signer("s3cret")
    with coordinator("s3cret") as (served, wire):
        signer.challenge = json.loads(wire.ask("join", b"{}")[1])["challenge"]
        body, signature = signer.sign("join", JOIN)
        assert wire.ask("join", body, signature)[0] == 200
        said, said_signature = signer.sign("report", {**ME, "kind": "stopping", "host": "algo-2"})
        assert wire.ask("report", said, said_signature)[0] == 200
        served._state.stopping = False
        assert wire.ask("report", said, said_signature) == (400, b"ValueError\n")
        # Nor for another purpose, changed, or cut.
        assert wire.ask("leave", said, said_signature)[0] == 401
        assert wire.ask("report", said.replace(b"stopping", b"failed"), said_signature)[0] == 401
        assert wire.ask("report", said, said_signature[:-1])[0] == 401
        assert wire.ask("report", said, "\xe9")[0] == 401
        assert not served._state.stopping
    with coordinator("s3cret") as (served, wire):
        # Nor in another job.
        assert wire.ask("join", body, signature)[0] == 401
        assert not joined(served)


def test_a_chief_that_was_started_again_is_heard():
    with coordinator("s3cret") as (_, wire):
        post = wire.post("s3cret")
        post("join", JOIN, 5)
    with coordinator("s3cret") as (_, other):
        signer = Signer("s3cret")
        signer.challenge = "of the first one"
        again = over_http("127.0.0.1", other.port, lambda *_: None, signer)
        assert again("heartbeat", {**ME, "position": 0}, 5) == {"unknown": True}


def test_a_response_of_somebody_else_is_none():
    checker, signer = Checker("s3cret"), Signer("s3cret")
    signer.challenge = checker.challenge
    body, signature = signer.sign("heartbeat", ME)
    assert checker.is_signed("heartbeat", body, signature)
    answer = checker.sign(signature, 200, b"{}")
    assert signer.is_response(signature, 200, b"{}", answer)
    assert not signer.is_response(signature, 400, b"{}", answer)
    assert not signer.is_response(signature, 200, b"{} ", answer)
    assert not signer.is_response(signer.sign("heartbeat", ME)[1], 200, b"{}", answer)
    assert not signer.is_response(signature, 200, b"{}", Checker("x").sign(signature, 200, b"{}"))


def test_requests_may_overtake_each_other_and_none_counts_twice():
    checker = Checker("s3cret")
    for number in (2, 1, 300, 299, 45):
        checker.use({"run": "1", "number": number})
    for number in (1, 2, 44, 45, 299, 300, 0, -1, True, "301", 1 << 60):
        with pytest.raises(ValueError):
            checker.use({"run": "1", "number": number})
    checker.use({"run": "2", "number": 1})


def test_the_keepalive_connection_is_signed_too():
    with coordinator("s3cret") as (served, wire):
        signer = Signer("s3cret")
        over_http("127.0.0.1", wire.port, lambda *_: None, signer)("join", JOIN, 5)
        line, stranger = (
            Keepalive("127.0.0.1", wire.port, Sender.from_dict(ME), each)
            for each in (signer, Signer("another"))
        )
        with contextlib.closing(line), contextlib.closing(stranger):
            until = time.monotonic() + 10
            while stranger.is_open or served._members[WORKER.id].connections != 1:
                assert time.monotonic() < until
                time.sleep(0.01)
            assert line.is_open
