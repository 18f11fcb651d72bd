import logging
import queue
import select
import threading
import time

import pytest

from trainer.launch.host_settings import HostSettings
from trainer.launch.plan import Member
from trainer.launch.rendezvous.client import CoordinatorClient
from trainer.launch.rendezvous.coordinator import Coordinator
from trainer.launch.rendezvous.failure import Failure
from trainer.launch.rendezvous.http_server import serving_coordinator
from trainer.launch.rendezvous.messages import Done, Failed, Note, Ready, Start
from trainer.launch.rendezvous.requests import Join
from trainer.launch.rendezvous.root_cause import STUCK
from trainer.launch.rendezvous.signing import Signer
from trainer.launch.rendezvous.state import JobSpec
from trainer.launch.rendezvous.transport import in_process, over_http
from trainer.launch.timeouts import DEFAULTS, Timeouts

pytestmark = pytest.mark.slow

CHIEF = Member(role="chief", index=0, address="algo-1")
WORKER = Member(role="worker", index=0, address="algo-2")
CAUSE = Failure(host="algo-2", process="rank 1", code=1, reason="ValueError: x")
SECONDARY = Failure(
    host="algo-2", process="rank 1", code=201, reason="connection reset", secondary=True
)
NOTHING_NEW = {"broadcasts": [], "position": 0, "missing": []}


class Connection:
    """A keepalive connection that stands, whatever the transport does."""

    is_open = True

    def __init__(self, sender):
        assert sender.member == WORKER.id

    def close(self):
        self.is_open = False


def client_of(transport, member=CHIEF, metadata=None, **more):
    join = Join(
        host=member.host, task=member.task, processes=1, settings=HostSettings(),
        metadata=metadata or {},
    )  # fmt: skip
    given = {"chief": "algo-1", "port": 7117, "start_timeout": 5.0, **more}
    return CoordinatorClient(transport, id=member.id, join=join, **given)


def coordinator_of(*expected):
    return Coordinator(JobSpec(expected=expected or (CHIEF, WORKER)))


def receive(client, kind, timeout=10.0):
    """The next message of a kind."""
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        if select.select([client.fd], [], [], until - time.monotonic())[0]:
            for message in client.messages():
                if isinstance(message, kind):
                    return message
    raise AssertionError(f"no {kind} within {timeout} s")


def refusing(verb, fields, timeout):
    raise ConnectionRefusedError(111, "Connection refused")


def test_news_of_one_is_heard_by_all_at_once():
    coordinator = coordinator_of()
    with serving_coordinator(coordinator, host="127.0.0.1", port=0) as port:
        connected = queue.SimpleQueue()
        transport = over_http("localhost", port, lambda *ips: connected.put(ips))
        in_place = in_process(coordinator)
        with client_of(in_place) as chief, client_of(transport, WORKER) as worker:
            for each in (chief, worker):
                assert receive(each, Start).processes == {"chief-0": 1, "worker-0": 1}
            assert connected.get(timeout=5) == ("127.0.0.1", "127.0.0.1")
            began = time.monotonic()
            worker.report(Failed(failure=CAUSE))
            assert receive(chief, Failed).failure == CAUSE
            # Well before the next heartbeat.
            assert time.monotonic() - began < DEFAULTS.heartbeat_hold
            assert worker.leave(code=1, early=False, failure=CAUSE) == CAUSE
            assert coordinator.wait_for_leave(5) == []


def test_reports_are_sent_in_their_order_before_the_last_word():
    said = []

    def transport(verb, fields, timeout):
        said.append((verb, fields.get("generation")))
        return NOTHING_NEW

    with client_of(transport) as client:
        for number in range(20):
            client.report(Ready(generation=number))
        client.leave(code=0, early=False, failure=None)
    said = [(verb, number) for verb, number in said if verb in ("report", "leave")]
    assert said == [*(("report", number) for number in range(20)), ("leave", None)]


def test_a_report_that_does_not_arrive_is_sent_again():
    tried, arrived = [], threading.Event()

    def transport(verb, fields, timeout):
        if verb == "report":
            tried.append(fields["kind"])
            if len(tried) < 3:
                raise TimeoutError
            arrived.set()
        return NOTHING_NEW

    with client_of(transport, timeouts=Timeouts(retry_pause=0.01)) as client:
        client.report(Done(code=0))
        assert arrived.wait(5)
    assert tried == ["done"] * 3


def test_a_chief_that_never_answers_is_given_up():
    times = Timeouts(progress=0.1)
    with client_of(refusing, WORKER, start_timeout=0.5, timeouts=times) as client:
        waiting = receive(client, Note).text
        assert waiting == "waiting for the chief at algo-1:7117: 0 s, Connection refused"
        cause = receive(client, Failed).failure
        assert cause.line == (
            "host algo-1, chief: cannot be reached at port 7117 within 0.5 s (--start-timeout): "
            "Connection refused"
        )
        assert cause.code == 200
        # There is nobody to say goodbye to.
        assert client.leave(code=200, early=False, failure=cause) == cause


def test_what_is_no_trainer_is_said_to_be_none():
    times = Timeouts(progress=0.1)

    class Stranger(Coordinator):
        def handle(self, verb, fields, origin=None):
            raise ValueError

    stranger = Stranger(JobSpec(expected=(CHIEF,)))
    with serving_coordinator(stranger, host="127.0.0.1", port=0) as port:
        transport = over_http("127.0.0.1", port, lambda *_: None)
        with client_of(transport, WORKER, port=port, timeouts=times) as client:
            text = receive(client, Note).text
    assert text.endswith("s, what answers there is no trainer (HTTP 400)")


def test_a_chief_that_falls_silent_is_lost():
    silent = threading.Event()

    def transport(verb, fields, timeout):
        if silent.is_set():
            raise TimeoutError
        return NOTHING_NEW

    with client_of(transport, WORKER, timeouts=Timeouts(lost_after=0.5)) as client:
        silent.set()
        cause = receive(client, Failed, 5).failure
        assert (cause.host, cause.process, cause.code) == ("algo-1", "chief", 200)


@pytest.mark.slow
def test_a_chief_that_only_gets_no_processor_is_waited_for():
    times = Timeouts(lost_after=0.2, hung_after=2.0)
    heard = time.monotonic()

    def transport(verb, fields, timeout):
        if verb == "join":
            return {"position": 0}
        raise TimeoutError

    with client_of(transport, WORKER, open_keepalive=Connection, timeouts=times) as client:
        cause = receive(client, Failed, 10).failure
    assert cause.reason == STUCK
    assert time.monotonic() - heard >= 2.0


def test_the_last_word_is_said_again_to_a_chief_that_is_held_up():
    said = []

    def transport(verb, fields, timeout):
        if verb == "leave":
            said.append(fields["code"])
            if len(said) < 3:
                raise TimeoutError
            return {"failure": CAUSE.to_dict()}
        return NOTHING_NEW

    with client_of(transport, WORKER, open_keepalive=Connection) as client:
        until = time.monotonic() + 5
        while client._keepalive is None:
            assert time.monotonic() < until
            time.sleep(0.01)
        assert client.leave(code=201, early=False, failure=SECONDARY) == CAUSE
    assert said == [201] * 3


def test_a_chief_that_was_held_up_is_heard_again_though_it_answers_late_as_always():
    times = Timeouts(lost_after=0.2)
    heartbeats = []

    def transport(verb, fields, timeout):
        if verb == "join":
            return {"position": 0}
        heartbeats.append(time.monotonic())
        # It holds back its answer; a first one is late by more than what counts as silence.
        if len(heartbeats) == 1 or timeout < times.heartbeat_hold:
            time.sleep(0.3)
            raise TimeoutError
        return {"broadcasts": [{"kind": "done", "code": 0}], "position": 1, "missing": []}

    with client_of(transport, WORKER, open_keepalive=Connection, timeouts=times) as client:
        assert receive(client, Done).code == 0
    assert heartbeats[1] - heartbeats[0] > 0.2


def test_a_chief_that_does_not_know_us_has_been_started_again():
    def transport(verb, fields, timeout):
        return {"position": 0} if verb == "join" else {"unknown": True}

    with client_of(transport, WORKER) as client:
        cause = receive(client, Failed, 5).failure
    assert "started a second time" in cause.reason


@pytest.mark.parametrize(
    ("known", "expected"), [(CAUSE, CAUSE), (None, None), (SECONDARY, "no sign of life any more")]
)
def test_where_the_chief_is_gone_a_secondary_failure_is_of_that(known, expected):
    gone = threading.Event()

    def transport(verb, fields, timeout):
        if gone.is_set():
            raise ConnectionRefusedError
        return NOTHING_NEW

    with client_of(transport, WORKER) as client:
        gone.set()
        cause = client.leave(code=1, early=False, failure=known)
    if isinstance(expected, str):
        assert (cause.host, cause.process) == ("algo-1", "chief")
        assert expected in cause.reason
    else:
        assert cause == expected


def test_who_is_missing_is_said_now_and_then():
    with client_of(in_process(coordinator_of()), timeouts=Timeouts(progress=0.2)) as client:
        assert receive(client, Note).text.startswith("waiting for worker 0 (algo-2): ")


def test_at_the_end_nothing_is_left_of_it():
    before = threading.active_count()
    with client_of(in_process(coordinator_of(CHIEF))) as client:
        receive(client, Start)
        began = time.monotonic()
        client.leave(code=0, early=False, failure=None)
    # It does not wait for the next heartbeat.
    assert time.monotonic() - began < DEFAULTS.heartbeat_hold / 2
    assert threading.active_count() == before


def test_a_coordinator_that_is_not_reached_is_logged_at_debug_with_the_reason(caplog, monkeypatch):
    caplog.set_level("DEBUG", logger="trainer.launch")
    monkeypatch.setattr(logging.getLogger("trainer"), "propagate", True)
    with client_of(refusing, WORKER, start_timeout=0.1) as client:
        receive(client, Failed)
    lines = [record.getMessage() for record in caplog.records]
    assert "no response to join from worker-0: Connection refused" in lines
    assert "attempt of worker-0 to join: Retry" in lines
    assert "attempt of worker-0 to join: GiveUp" in lines


def test_each_message_between_hosts_is_logged_at_debug_without_what_it_holds(caplog, monkeypatch):
    caplog.set_level("DEBUG", logger="trainer.launch")
    monkeypatch.setattr(logging.getLogger("trainer"), "propagate", True)
    secret = Failure(host="algo-2", process="rank 1", code=1, reason="ValueError: hunter2")
    coordinator = coordinator_of()
    with serving_coordinator(coordinator, host="127.0.0.1", port=0, secret="s3cret") as port:
        transport = over_http("127.0.0.1", port, lambda *_: None, Signer("s3cret"))
        in_place = in_process(coordinator)
        metadata = {"key": "swordfish"}
        with (
            client_of(in_place) as chief,
            client_of(transport, WORKER, metadata=metadata) as worker,
        ):
            receive(worker, Start)
            worker.report(Failed(failure=secret))
            receive(chief, Failed)
            worker.leave(code=1, early=False, failure=secret)
    lines = [record.getMessage() for record in caplog.records if record.levelname == "DEBUG"]
    for line in (
        "sent join from worker-0 to algo-1:7117, generation 0",
        "received join from worker-0, generation 0",
        "decided about worker-0: accept",
        "broadcast start to all members, generation 0",
        "sent heartbeat from worker-0 to algo-1:7117, generation 0",
        "received heartbeat from chief-0, generation 0",
        "received start from algo-1:7117 for worker-0, generation 0",
        "sent report failed from worker-0 to algo-1:7117, generation 0",
        "received report failed from worker-0, generation 0",
        "received failed from algo-1:7117 for chief-0, generation 0",
        "sent leave from worker-0 to algo-1:7117, generation 0",
        "received leave from worker-0, generation 0",
    ):
        assert line in lines
    assert not [line for line in lines if any(w in line for w in ("hunter2", "s3cret", "swordf"))]
