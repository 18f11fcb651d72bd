"""Messages, requests and responses, over JSON and back."""

import json

import pytest

from trainer.launch.host_settings import HostSettings, public_value
from trainer.launch.rendezvous.failure import Failure
from trainer.launch.rendezvous.messages import (
    Broken,
    Done,
    Failed,
    Note,
    Ready,
    Restart,
    Start,
    Stopping,
    broadcast_from,
    report_from,
)
from trainer.launch.rendezvous.requests import (
    Heartbeat,
    Join,
    Leave,
    OpenKeepalive,
    ReportRequest,
    request_from,
)
from trainer.launch.rendezvous.responses import (
    HeartbeatResponse,
    Joined,
    JoinRefused,
    LeaveResponse,
    PlaceTaken,
    UnknownRun,
    join_response_from,
)

FAILURE = Failure(host="algo-2", process="rank 1", code=1, reason="ValueError: x")
START = Start(
    generation=1,
    processes={"chief-0": 2},
    metadata={"chief-0": {"user": "key"}},
    reached_at="10.0.0.1",
    precision="float32",
)
REPORTS = [
    Failed(failure=FAILURE),
    Broken(failure=FAILURE, generation=2),
    Ready(generation=3),
    Done(code=143),
    Stopping(host="algo-2"),
]
BROADCASTS = [START, Note(text="x"), REPORTS[0], Restart(failure=FAILURE, generation=1)]
BROADCASTS += [Done(code=0), Stopping(host="algo-2")]
SETTINGS = HostSettings(host="algo-2", values={"--seed": public_value(1), "--hp a": None})


def over_json(sent):
    return json.loads(json.dumps(sent.to_dict()))


@pytest.mark.parametrize("message", REPORTS, ids=lambda m: m.kind)
def test_a_report_arrives_as_it_was_sent(message):
    assert report_from(over_json(message)) == message


@pytest.mark.parametrize("message", BROADCASTS, ids=lambda m: m.kind)
def test_a_broadcast_arrives_as_it_was_sent(message):
    assert broadcast_from(over_json(message)) == message


@pytest.mark.parametrize(
    "request_",
    [
        Join(host="a", task="worker 0", processes=2, settings=SETTINGS, metadata={"k": 1}),
        OpenKeepalive(),
        Heartbeat(position=3),
        ReportRequest(message=Ready(generation=1)),
        Leave(code=143, early=True),
    ],
    ids=lambda r: r.name,
)
def test_a_request_arrives_as_it_was_sent(request_):
    assert request_from(request_.verb, over_json(request_)) == request_


@pytest.mark.parametrize(
    "response",
    [Joined(position=3), JoinRefused(refused="no"), PlaceTaken(occupied="x", alive=True)],
    ids=lambda r: type(r).__name__,
)
def test_a_response_to_a_join_arrives_as_it_was_sent(response):
    assert join_response_from(over_json(response)) == response


def test_the_other_responses_arrive_as_they_were_sent():
    heartbeat = HeartbeatResponse(broadcasts=tuple(BROADCASTS), position=6, missing=("ps 0 (x)",))
    assert HeartbeatResponse.from_dict(over_json(heartbeat)) == heartbeat
    for failure in (None, FAILURE):
        leave = LeaveResponse(failure=failure)
        assert LeaveResponse.from_dict(over_json(leave)) == leave
    assert UnknownRun.matches(over_json(UnknownRun()))
    assert not UnknownRun.matches(over_json(heartbeat))


@pytest.mark.parametrize(
    "fields",
    [
        *(None, [], {}, {"kind": None}, {"kind": ["start"]}, {"kind": "x"}, {"kind": "broken"}),
        *({"kind": "done", "code": code} for code in (256, -1, "0", None, True)),
        *({"kind": "ready", "generation": g} for g in (-1, 1.5, "1", 2**40)),
        *({"kind": "failed", "failure": f} for f in (None, [], {}, {"host": "x"})),
        *({"kind": "stopping", "host": h} for h in (None, 1, "x" * 256)),
        *({"kind": "note", "text": t} for t in (None, 1)),
        *({**START.to_dict(), name: 1} for name in ("processes", "metadata", "reached_at")),
    ],
)
def test_a_malformed_message_is_refused(fields):
    for parse in (report_from, broadcast_from):
        with pytest.raises((KeyError, TypeError, ValueError)):
            parse(fields)


@pytest.mark.parametrize(
    ("message", "parse"), [(START, report_from), (Ready(generation=1), broadcast_from)]
)
def test_reports_and_broadcasts_are_not_taken_for_each_other(message, parse):
    with pytest.raises(ValueError, match="no such message"):
        parse(message.to_dict())


def test_what_a_broadcast_says_is_one_printable_line():
    assert broadcast_from({"kind": "note", "text": "a\x1b[2J\nb"}) == Note(text=r"a\x1b[2J\nb")
