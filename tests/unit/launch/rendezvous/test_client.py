import queue
import select
import threading
import time

import pytest

from trainer.launch.plan import Member
from trainer.launch.rendezvous import client as module
from trainer.launch.rendezvous.client import CoordinatorClient
from trainer.launch.rendezvous.coordinator import Coordinator
from trainer.launch.rendezvous.failure import Failure
from trainer.launch.rendezvous.http_server import serving
from trainer.launch.rendezvous.state import JobSpec
from trainer.launch.rendezvous.transport import in_process, over_http

CHIEF = Member(role="chief", index=0, address="algo-1")
WORKER = Member(role="worker", index=0, address="algo-2")
CAUSE = Failure(host="algo-2", process="rank 1", code=1, reason="ValueError: x")
ECHO = Failure(host="algo-2", process="rank 1", code=201, reason="connection reset", echo=True)


class Line:
    """A connection that stands, whatever the posts say."""

    up = True

    def __init__(self, told):
        assert told["member"] == WORKER.id

    def close(self):
        self.up = False


def line(post, member=CHIEF, **more):
    told = {"chief": "algo-1", "port": 7117, "count": 1, "spec": {}, "start_timeout": 5.0}
    return CoordinatorClient(post, member=member, name=member.host, **{**told, **more})


def roster(**terms):
    return Coordinator(JobSpec(**{"spec": {}, "expected": (CHIEF, WORKER), **terms}))


def hear(peers, kind, timeout=10.0):
    """The next news of a kind."""
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        if select.select([peers.fd], [], [], until - time.monotonic())[0]:
            for told in peers.news():
                if told["kind"] == kind:
                    return told
    raise AssertionError(f"no {kind} within {timeout} s")


def refusing(verb, told, timeout):
    raise ConnectionRefusedError(111, "Connection refused")


def test_news_of_one_is_heard_by_all_at_once():
    kept = roster()
    with serving(kept, host="127.0.0.1", port=0) as port:
        connected = queue.SimpleQueue()
        post = over_http("localhost", port, lambda *ips: connected.put(ips))
        with line(in_process(kept)) as chief, line(post, WORKER) as worker:
            for each in (chief, worker):
                assert hear(each, "start")["counts"] == {"chief-0": 1, "worker-0": 1}
            assert connected.get(timeout=5) == ("127.0.0.1", "127.0.0.1")
            began = time.monotonic()
            worker.report("failed", cause=CAUSE.to_dict())
            assert Failure.from_dict(hear(chief, "failed")["cause"]) == CAUSE
            # Well before the next beat.
            assert time.monotonic() - began < module.HOLD
            assert worker.leave(code=1, early=False, cause=CAUSE) == CAUSE
            assert kept.wait_for_leave(5) == []


def test_reports_are_sent_in_their_order_before_the_last_word():
    said = []

    def post(verb, told, timeout):
        said.append((verb, told.get("kind")))
        return {"seen": 0, "news": [], "missing": []}

    with line(post) as peers:
        for number in range(20):
            peers.report(str(number))
        peers.leave(code=0, early=False, cause=None)
    said = [(verb, kind) for verb, kind in said if verb in ("report", "leave")]
    assert said == [*(("report", str(number)) for number in range(20)), ("leave", None)]


def test_a_report_that_does_not_arrive_is_sent_again(monkeypatch):
    monkeypatch.setattr(module, "_PAUSE", 0.01)
    tried, arrived = [], threading.Event()

    def post(verb, told, timeout):
        if verb == "report":
            tried.append(told["kind"])
            if len(tried) < 3:
                raise TimeoutError
            arrived.set()
        return {"seen": 0, "news": [], "missing": []}

    with line(post) as peers:
        peers.report("done")
        assert arrived.wait(5)
    assert tried == ["done"] * 3


def test_a_chief_that_never_answers_is_given_up(monkeypatch):
    monkeypatch.setattr(module, "_PROGRESS", 0.1)
    with line(refusing, WORKER, start_timeout=0.5) as peers:
        waiting = hear(peers, "note")["text"]
        assert waiting == "waiting for the chief at algo-1:7117: 0 s, Connection refused"
        cause = Failure.from_dict(hear(peers, "failed")["cause"])
        assert cause.line == (
            "host algo-1, chief: cannot be reached at port 7117 within 0.5 s (--start-timeout): "
            "Connection refused"
        )
        assert cause.code == 200
        # There is nobody to say goodbye to.
        assert peers.leave(code=200, early=False, cause=cause) == cause


def test_what_is_no_trainer_is_told_so(monkeypatch):
    monkeypatch.setattr(module, "_PROGRESS", 0.1)

    class Stranger(Coordinator):
        def handle(self, verb, told, origin=None):
            raise ValueError

    kept = Stranger(JobSpec(spec={}, expected=(CHIEF,)))
    with (
        serving(kept, host="127.0.0.1", port=0) as port,
        line(over_http("127.0.0.1", port, lambda *_: None), WORKER, port=port) as peers,
    ):
        told = hear(peers, "note")["text"]
    assert told.endswith("s, what answers there is no trainer (HTTP 400)")


def test_a_chief_that_falls_silent_is_lost(monkeypatch):
    monkeypatch.setattr(module, "LOST", 0.5)
    silent = threading.Event()

    def post(verb, told, timeout):
        if silent.is_set():
            raise TimeoutError
        return {"seen": 0, "news": [], "missing": []}

    with line(post, WORKER) as peers:
        silent.set()
        cause = Failure.from_dict(hear(peers, "failed", 5)["cause"])
        assert (cause.host, cause.process, cause.code) == ("algo-1", "chief", 200)


@pytest.mark.slow
def test_a_chief_that_only_gets_no_processor_is_waited_for(monkeypatch):
    monkeypatch.setattr(module, "LOST", 0.2)
    monkeypatch.setattr(module, "HUNG", 2.0)
    heard = time.monotonic()

    def post(verb, told, timeout):
        if verb == "join":
            return {"seen": 0}
        raise TimeoutError

    with line(post, WORKER, open_line=Line) as peers:
        cause = Failure.from_dict(hear(peers, "failed", 10)["cause"])
    assert cause.reason == module.STUCK
    assert time.monotonic() - heard >= 2.0


def test_the_last_word_is_said_again_to_a_chief_that_is_held_up():
    said = []

    def post(verb, told, timeout):
        if verb == "leave":
            said.append(told["code"])
            if len(said) < 3:
                raise TimeoutError
            return {"cause": CAUSE.to_dict()}
        return {"seen": 0, "news": [], "missing": []}

    with line(post, WORKER, open_line=Line) as peers:
        until = time.monotonic() + 5
        while peers._line is None:
            assert time.monotonic() < until
            time.sleep(0.01)
        assert peers.leave(code=201, early=False, cause=ECHO) == CAUSE
    assert said == [201] * 3


def test_a_chief_that_was_held_up_is_heard_again_though_it_answers_late_as_always(monkeypatch):
    monkeypatch.setattr(module, "LOST", 0.2)
    beats = []

    def post(verb, told, timeout):
        if verb == "join":
            return {"seen": 0}
        beats.append(time.monotonic())
        # It holds back its answer; a first one is late by more than what counts as silence.
        if len(beats) == 1 or timeout < module.HOLD:
            time.sleep(0.3)
            raise TimeoutError
        return {"seen": 1, "news": [{"kind": "done", "code": 0}], "missing": []}

    with line(post, WORKER, open_line=Line) as peers:
        assert hear(peers, "done")["code"] == 0
    assert beats[1] - beats[0] > 0.2


def test_a_chief_that_does_not_know_us_has_been_started_again():
    def post(verb, told, timeout):
        return {"seen": 0} if verb == "join" else {"unknown": True}

    with line(post, WORKER) as peers:
        cause = Failure.from_dict(hear(peers, "failed", 5)["cause"])
    assert "started a second time" in cause.reason


@pytest.mark.parametrize(
    ("known", "told"), [(CAUSE, CAUSE), (None, None), (ECHO, "no sign of life any more")]
)
def test_where_the_chief_is_gone_an_echo_is_of_that(monkeypatch, known, told):
    gone = threading.Event()

    def post(verb, told, timeout):
        if gone.is_set():
            raise ConnectionRefusedError
        return {"seen": 0, "news": [], "missing": []}

    with line(post, WORKER) as peers:
        gone.set()
        cause = peers.leave(code=1, early=False, cause=known)
    if isinstance(told, str):
        assert (cause.host, cause.process) == ("algo-1", "chief")
        assert told in cause.reason
    else:
        assert cause == told


def test_who_is_missing_is_said_now_and_then(monkeypatch):
    monkeypatch.setattr(module, "_PROGRESS", 0.2)
    with line(in_process(roster())) as peers:
        assert hear(peers, "note")["text"].startswith("waiting for worker 0 (algo-2): ")


def test_at_the_end_nothing_is_left_of_it():
    before = threading.active_count()
    with line(in_process(roster(expected=(CHIEF,)))) as peers:
        hear(peers, "start")
        began = time.monotonic()
        peers.leave(code=0, early=False, cause=None)
    # It does not wait for the next beat.
    assert time.monotonic() - began < module.HOLD / 2
    assert threading.active_count() == before
