"""The rows of docs/distribution.md, "When something ends", for a host of equal ranks."""

import math

import pytest
from fake_host import FakeHost

from trainer.config.errors import UserError
from trainer.distribution.planned_process import PlannedProcess
from trainer.launch.agent import HostAgent
from trainer.launch.plan import Member
from trainer.launch.rendezvous.failure import Failure
from trainer.launch.rendezvous.messages import Done, Failed, Note, Refused, Stopping
from trainer.launch.supervise.command import Outcome
from trainer.runtime import log

ELSEWHERE = Failure(host="host-b", process="rank 7", code=3, reason="ValueError: there")
SECONDARY = Failure(
    host="host-b", process="rank 7", code=1, reason="connection reset", secondary=True
)
STOPPED = 143


def rank(number: int) -> PlannedProcess:
    role = "worker" if number else "chief"
    return PlannedProcess(role=role, index=max(0, number - 1), member="chief-0", rank=number)


@pytest.fixture
def host() -> FakeHost:
    """A host whose two ranks run."""
    host = FakeHost(HostAgent, rank(0), rank(1), member=Member(role="chief", index=0))
    host.start()
    assert host.take_actions() == ["start rank 0", "start rank 1"]
    return host


def failure(code: int, *, secondary: bool = False) -> tuple[str, str, int, bool]:
    return "host-a", "rank 1", code, secondary


@pytest.mark.parametrize(
    ("end", "reported"),
    [
        ({"code": 1, "tail": "ValueError: bad"}, failure(1)),
        ({"code": 2, "tail": "trainer: error: --steps"}, failure(2)),
        ({"code": 137, "signal": 9}, failure(137)),
        ({"code": 139, "signal": 11, "tail": "gloo/transport: broken"}, failure(139)),
        ({"code": 134, "signal": 6, "tail": "gloo/transport: x"}, failure(134, secondary=True)),
        ({"code": 1, "tail": "Connection reset by peer"}, failure(1, secondary=True)),
        ({"code": 201}, failure(200, secondary=True)),
        ({"code": 200}, failure(200)),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_rank_that_fails_ends_the_job(host, end, reported):
    host.exit("rank 1", **end)
    [report] = host.take_reports()
    sent = report.failure
    assert (sent.host, sent.process, sent.code, sent.secondary) == reported
    assert host.take_actions() == ["terminate rank 0 in 2 s"]
    assert host.control.lines == ["host host-a, rank 1 failed; ending rank 0"]
    host.exit("rank 0", STOPPED, signal=15)
    assert host.is_over
    assert host.take_reports() == []
    assert host.agent.result.outcome(Outcome(code=0), host.agent.failure).code == reported[2]


def test_the_chief_that_ends_well_leaves_the_others_time(host):
    host.exit("rank 0", 0)
    assert host.take_reports() == [Done(code=0)]
    assert host.take_actions() == []
    assert host.agent.deadline == host.now + 30
    host.deadline()
    assert host.take_actions() == ["terminate rank 1 in 2 s at most"]
    assert host.agent.deadline == math.inf
    host.exit("rank 1", STOPPED, signal=15)
    assert host.is_over
    assert host.agent.result.outcome(Outcome(code=0), None).code == 0


def test_a_chief_elsewhere_that_ends_well_leaves_time_too(host):
    host.receive(Done(code=0))
    assert host.agent.deadline == host.now + 30
    assert (host.take_actions(), host.take_reports()) == ([], [])


@pytest.mark.parametrize("end", [{"code": 7}, {"code": 139, "signal": 11}])
def test_an_error_after_the_chief_has_ended_well_is_no_failure(host, end):
    host.exit("rank 0", 0)
    host.exit("rank 1", **end)
    assert host.take_reports() == [Done(code=0)]
    assert (host.take_actions(), host.agent.failure) == ([], None)
    assert host.control.lines == [f"rank 1 ended with {end['code']} after the chief had ended well"]


def test_a_rank_that_ends_well_before_the_chief_is_no_end(host):
    host.exit("rank 1", 0)
    assert (host.take_actions(), host.take_reports()) == ([], [])


def test_sigterm_goes_to_the_ranks_of_the_host(host):
    host.sigterm()
    assert host.take_actions() == ["terminate rank 0, rank 1 in 100 s"]
    assert host.agent.stopped_early
    host.exit("rank 0", STOPPED)
    host.exit("rank 1", STOPPED)
    assert host.take_reports() == [Done(code=STOPPED)]
    assert host.is_over
    assert not host.agent.stopped_early
    assert host.agent.result.outcome(Outcome(code=0), None).code == STOPPED


def test_ranks_that_sigterm_ends_have_not_stopped_as_they_should(host):
    host.sigterm()
    host.exit("rank 0", STOPPED, signal=15)
    host.exit("rank 1", STOPPED, signal=15)
    assert host.take_reports() == []
    assert host.agent.stopped_early
    outcome = host.agent.result.outcome(Outcome(code=0), None)
    assert (outcome.code, outcome.failed, outcome.signal) == (STOPPED, "rank 0", 15)


def test_a_failure_elsewhere_ends_the_ranks(host):
    host.receive(Failed(failure=ELSEWHERE))
    assert host.take_actions() == ["terminate rank 0, rank 1 in 2 s"]
    assert host.control.lines == ["host host-b, rank 7 failed; ending rank 0, rank 1"]
    assert host.take_reports() == []
    assert host.agent.failure == ELSEWHERE


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        (SECONDARY, ELSEWHERE, ELSEWHERE),
        (ELSEWHERE, SECONDARY, ELSEWHERE),
    ],
)
def test_a_root_cause_takes_the_place_of_a_secondary_failure(host, first, second, kept):
    host.receive(Failed(failure=first), Failed(failure=second))
    assert host.agent.failure == kept
    assert len(host.control.lines) == 1


def test_a_refused_host_starts_nothing():
    host = FakeHost(HostAgent, rank(0), member=Member(role="chief", index=0))
    assert not host.is_over
    host.receive(Refused(failure=ELSEWHERE))
    assert host.is_over
    assert (host.take_actions(), host.take_reports(), host.control.lines) == ([], [], [])
    assert host.agent.result.outcome(Outcome(code=0), host.agent.failure).code == 3


@pytest.mark.parametrize("before", ["sigterm", "failed"])
def test_nothing_starts_once_the_host_is_to_stop(before):
    host = FakeHost(HostAgent, rank(0), member=Member(role="chief", index=0))
    if before == "sigterm":
        host.sigterm()
    else:
        host.receive(Failed(failure=ELSEWHERE))
    host.start()
    assert not any(action.startswith("start") for action in host.take_actions())
    assert host.is_over


@pytest.mark.parametrize("where", ["commands", "process"])
def test_what_cannot_be_started_fails_the_job(where):
    host = FakeHost(HostAgent, rank(0), member=Member(role="chief", index=0))
    host.mistake = UserError(subject="--port", problem="taken") if where == "commands" else None
    host.control.cannot_start = where == "process"
    host.start()
    [report] = host.take_reports()
    assert (report.failure.process, report.failure.code) == ("launcher", 2)
    assert host.is_over


def test_notes_are_printed_and_stopping_hosts_are_none_of_its_business(host):
    host.receive(Note(text="host-b is back"), Stopping(host="host-b"))
    assert host.control.lines == ["host-b is back"]
    assert host.take_actions() == []


def test_at_debug_the_log_tells_each_event_with_what_follows(host, capsys):
    log.begin("DEBUG")
    host.exit("rank 1", 1)
    host.receive(Done(code=0))
    host.deadline()
    assert capsys.readouterr().err.splitlines() == [
        "trainer: debug: launch.agent: rank 1 ended with 1: the job fails",
        "trainer: debug: launch.agent: message from the coordinator: done",
        "trainer: debug: launch.agent: time is up",
    ]
