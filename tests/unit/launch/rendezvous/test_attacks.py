"""A coordinator under attack: whatever strangers send, nothing becomes of it."""

import copy
import json
import os
import subprocess
import sys
import threading
from functools import partial

import pytest
from attacker import NOBODY, Mind, program

from trainer.launch.host_settings import HostSettings
from trainer.launch.plan import Member
from trainer.launch.rendezvous import http_server
from trainer.launch.rendezvous.client import CoordinatorClient
from trainer.launch.rendezvous.coordinator import Coordinator
from trainer.launch.rendezvous.http_server import serving_coordinator
from trainer.launch.rendezvous.keepalive import Keepalive
from trainer.launch.rendezvous.kv_store import KeyValueStore
from trainer.launch.rendezvous.messages import Done, Note, Start
from trainer.launch.rendezvous.requests import Join
from trainer.launch.rendezvous.signing import Signer
from trainer.launch.rendezvous.state import JobSpec
from trainer.launch.rendezvous.transport import in_process, over_http
from trainer.launch.timeouts import Timeouts

CHIEF = Member(role="chief", index=0, address="algo-1")
WORKER = Member(role="worker", index=0, address="algo-2")
PS = Member(role="ps", index=0, address="algo-3")


def client_of(transport, member, open_keepalive=None):
    return CoordinatorClient(
        transport, id=member.id, join=request(member), chief="algo-1", port=1,
        start_timeout=30.0, open_keepalive=open_keepalive,
    )  # fmt: skip


def wait_for(client, kind):
    """All messages up to that of a kind."""
    found = []
    for _ in range(3000):
        found += client.messages()
        if any(isinstance(message, kind) for message in found):
            return found
        threading.Event().wait(0.01)
    raise AssertionError(f"no {kind} among {found}")


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user")
@pytest.mark.parametrize(("secret", "count"), [(None, 10_000), ("s3cret", 1_000)])
def test_messages_of_another_user_have_no_effect_on_a_running_job(monkeypatch, secret, count):
    raised = []
    monkeypatch.setattr(
        http_server._RendezvousServer, "handle_error", lambda *_: raised.append(sys.exc_info()[0])
    )
    store = KeyValueStore()
    spec = JobSpec(expected=(CHIEF, WORKER), unlisted_evaluators=True)
    coordinator = Coordinator(spec, on_start=lambda _: store.open([("global", 0), ("global", 1)]))
    with serving_coordinator(
        coordinator, host="127.0.0.1", port=0, store=store, secret=secret
    ) as port:
        signer = Signer(secret) if secret else None
        way = over_http("127.0.0.1", port, lambda *_: None, signer)
        # As on a machine that is busy: the worker is not lost while that stands.
        held = partial(Keepalive, "127.0.0.1", port, signer=signer)
        in_place = in_process(coordinator)
        with client_of(in_place, CHIEF) as chief, client_of(way, WORKER, held) as worker:
            heard = wait_for(worker, Start)
            wait_for(chief, Start)
            assert store.put("/global/0", b"address") == 200
            # An evaluator that is not listed may be a little late.
            coordinator._state.started_at -= 60
            runs = {id: host.run for id, host in coordinator._members.items()}
            argv = program("127.0.0.1", port=port, count=count, seed=1, user=NOBODY)
            ran = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=True)
            answers = json.loads(ran.stdout.removeprefix("attacked "))
            assert {id: host.run for id, host in coordinator._members.items()} == runs
            assert store.get("/global/0") == b"address"
            assert store.put("/global/1", b"another") == 200
            chief.report(Done(code=0))
            heard += wait_for(worker, Done)
            for each in (worker, chief):
                assert each.leave(code=0, early=False, failure=None) is None
            assert coordinator.wait_for_leave(10) == []
    assert sum(answers.values()) == count
    assert answers.get("401" if secret else "400", 0) > count / 4, answers
    first, *notes, last = heard
    assert isinstance(first, Start)
    assert isinstance(last, Done)
    assert len(notes) <= 10
    for note in notes:
        assert isinstance(note, Note)
        assert note.text.isprintable()
        assert " was refused: " in note.text, note
    assert all(issubclass(each, OSError) for each in raised), set(raised)


@pytest.mark.slow
def test_a_launcher_that_says_anything_at_all_is_refused_or_understood():
    """Even one of the job's own hosts: what is malformed has no effect."""
    mind = Mind(2)
    done = refused = 0
    for _ in range(100):
        now = [0.0]
        coordinator = Coordinator(
            JobSpec(expected=(CHIEF, WORKER, PS), restarts=2, optional=frozenset({PS.id})),
            clock=lambda now=now: now[0],
            timeouts=Timeouts(heartbeat_hold=0.0),
        )
        for member in (CHIEF, WORKER, PS):
            coordinator.handle(
                "join", {"member": member.id, "run": "1", **request(member).to_dict()}
            )
        for _ in range(100):
            verb, fields = mind.request()
            fields["run"] = "1"
            if verb == "leave":
                # Else it waits for another cause, on a clock that stands.
                now[0] += 10
            before = snapshot(coordinator)
            try:
                answer = coordinator.handle(verb, fields)
                assert isinstance(answer, dict)
                json.dumps(answer)
                done += 1
            except (KeyError, TypeError, ValueError):
                refused += 1
                assert snapshot(coordinator) == before, (verb, fields)
        coordinator.tick()
        cause = coordinator._root_cause.failure
        assert cause is None or 1 <= cause.code <= 255
        assert coordinator._state.done in (None, *range(256))
    assert done > 1000
    assert refused > 1000


def request(member):
    return Join(host=member.host, task=member.task, processes=1, settings=HostSettings())


def snapshot(coordinator):
    members = {id: copy.deepcopy(vars(member)) for id, member in coordinator._members.items()}
    return members, copy.deepcopy(vars(coordinator._state)), coordinator._root_cause.failure
