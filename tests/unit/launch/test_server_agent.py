"""The rows of docs/distribution.md, "When something ends", for parameter servers."""

import pytest
from fake_host import FakeHost

from trainer.distribution.planned_process import PlannedProcess
from trainer.launch.plan import Member
from trainer.launch.rendezvous.failure import Failure
from trainer.launch.rendezvous.messages import Done, Failed, Ready, Restart, Stopping
from trainer.launch.server_agent import ServerAgent
from trainer.launch.supervise.command import Outcome

LOST = Failure(host="host-b", process="ps 0", code=200, reason="no sign of life any more")


def started(*names: str) -> FakeHost:
    """Return a host whose processes run; the first one says which host it is."""
    planned = []
    for name in names:
        role, _, index = name.partition(" ")
        planned.append(PlannedProcess(role=role, index=int(index or 0), member=""))
    member = Member(role=planned[0].role, index=planned[0].index)
    host = FakeHost(ServerAgent, *planned, member=member)
    host.start()
    host.take_actions()
    return host


@pytest.mark.parametrize("name", ["worker 0", "evaluator 0"])
@pytest.mark.parametrize("end", [{"code": 1}, {"code": 0}, {"code": 137, "signal": 9}])
def test_a_worker_or_evaluator_that_ends_is_started_again_three_times(name, end):
    host = started(name)
    for _ in range(3):
        host.exit(name, **end)
        assert host.take_actions() == [f"start {name}"]
    assert host.control.lines == [f"{name} ended with {end['code']}; it is started again"] * 3
    assert host.take_reports() == []
    host.exit(name, **end)
    [report] = host.take_reports()
    assert (report.kind, report.failure.process) == ("failed", name)
    assert report.failure.code == (end["code"] or 1)


def test_a_worker_with_a_mistake_of_the_user_is_not_started_again():
    host = started("worker 0")
    host.exit("worker 0", 2)
    [report] = host.take_reports()
    assert (report.kind, report.failure.code) == ("failed", 2)
    assert host.take_actions() == ["terminate nobody in 2 s"]


@pytest.mark.parametrize(
    ("name", "end", "kind", "code"),
    [
        ("ps 0", {"code": 1}, "broken", 200),
        ("ps 0", {"code": 0}, "broken", 200),
        ("ps 0", {"code": 137, "signal": 9}, "broken", 200),
        ("chief", {"code": 200}, "broken", 200),
        ("chief", {"code": 201}, "broken", 200),
        ("chief", {"code": 1}, "failed", 1),
        ("chief", {"code": 2}, "failed", 2),
        ("chief", {"code": 137, "signal": 9}, "failed", 137),
    ],
)
def test_who_decides_what_follows_when_a_server_or_the_chief_ends(name, end, kind, code):
    host = started("chief", "worker 0", "ps 0")
    host.exit(name, **end)
    [report] = host.take_reports()
    assert (report.kind, report.failure.code, report.failure.process) == (kind, code, name)
    # The coordinator decides what follows of what is broken.
    assert bool(host.take_actions()) == (kind == "failed")


def test_all_begin_anew_from_the_checkpoint():
    host = started("chief", "worker 0", "ps 0")
    host.receive(Restart(failure=LOST, generation=1))
    assert host.take_actions() == ["kill all"]
    assert host.control.lines == [f"{LOST.line}; all begin anew from the last checkpoint"]
    for name in ("chief", "worker 0", "ps 0"):
        host.exit(name, 137, signal=9)
    assert host.take_reports() == []
    assert not host.is_over
    assert host.take_actions() == ["reset"]
    assert host.take_reports() == [Ready(generation=1)]
    # Until the others are there.
    assert not host.is_over
    host.start(generation=1)
    assert host.take_actions() == ["start chief", "start worker 0", "start ps 0"]
    host.receive(Restart(failure=LOST, generation=1))
    assert host.take_actions() == []


def test_a_host_that_waits_for_the_decision_is_not_over():
    host = started("ps 0")
    host.exit("ps 0", 1)
    assert not host.is_over
    host.receive(Failed(failure=LOST))
    assert host.is_over


@pytest.mark.parametrize("before", ["sigterm", "failed"])
def test_a_host_that_ends_does_not_begin_anew(before):
    host = started("ps 0")
    if before == "sigterm":
        host.sigterm()
    else:
        host.receive(Failed(failure=LOST))
    host.take_actions()
    host.receive(Restart(failure=LOST, generation=1))
    assert host.take_actions() == []


@pytest.mark.parametrize(
    ("names", "reported", "actions"),
    [
        (("chief", "ps 0"), [Stopping(host="host-a")], ["terminate chief in 100 s"]),
        (("ps 0",), [Stopping(host="host-a")], ["terminate nobody in 100 s"]),
        (("worker 0",), [], ["terminate nobody in 100 s"]),
        (("evaluator 0",), [], ["terminate evaluator 0 in 100 s"]),
    ],
)
def test_sigterm_goes_to_the_chief_who_alone_can_save(names, reported, actions):
    host = started(*names)
    host.sigterm()
    assert host.take_reports() == reported
    assert host.take_actions() == actions


def test_a_host_of_workers_that_is_stopped_alone_leaves_after_a_time():
    host = started("worker 0")
    host.sigterm()
    assert host.agent.deadline == host.now + 4
    host.take_actions()
    host.deadline()
    assert host.take_actions() == ["terminate worker 0 in 2 s at most"]
    assert host.agent.stopped_early


def test_a_host_of_workers_that_is_stopped_with_the_chief_waits_for_it():
    host = started("worker 0")
    host.sigterm()
    host.receive(Stopping(host="host-b"))
    host.take_actions()
    host.deadline()
    assert host.take_actions() == []
    host.receive(Done(code=143))
    assert host.take_actions() == ["terminate worker 0 in 5 s at most"]


def test_the_chief_is_stopped_once_with_any_other_host():
    host = started("chief", "worker 0", "ps 0")
    host.receive(Stopping(host="host-b"), Stopping(host="host-c"))
    assert host.take_actions() == ["terminate chief in 100 s"]
    assert host.control.lines == ["host host-b was told to end; so is the chief"]


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("worker 0", "terminate worker 0 in 5 s at most"),
        ("ps 0", "terminate ps 0 in 5 s at most"),
        ("evaluator 0", "terminate evaluator 0 in 60 s"),
    ],
)
def test_the_chief_that_has_ended_well_ends_what_served_it(name, action):
    host = started(name)
    host.receive(Done(code=0))
    assert host.take_actions() == [action]
    host.exit(name, 143, signal=15)
    assert host.take_reports() == []
    assert host.is_over
    assert host.agent.result.outcome(Outcome(code=0), None).code == 0


def test_an_evaluator_has_no_more_time_than_the_platform_gives():
    host = started("evaluator 0")
    host.control.grace = 20.0
    host.receive(Done(code=0))
    assert host.take_actions() == ["terminate evaluator 0 in 20 s"]
