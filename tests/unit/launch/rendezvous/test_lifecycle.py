"""The steps of a job, without requests, threads or processes."""

import pytest

from trainer.launch.host_settings import HostSettings, public_value
from trainer.launch.plan import Member
from trainer.launch.rendezvous.failure import Failure
from trainer.launch.rendezvous.lifecycle import Lifecycle
from trainer.launch.rendezvous.messages import Failed, Note, Restart, Start
from trainer.launch.rendezvous.root_cause import SILENCE, STUCK
from trainer.launch.rendezvous.state import LOST, JobSpec, MemberState

CHIEF = Member(role="chief", index=0, address="algo-1")
WORKER = Member(role="worker", index=0, address="algo-2")
FAILURE = Failure(host="algo-2", process="rank 1", code=1, reason="ValueError: x")


def settings(seed=1, host="algo-1", **more):
    return HostSettings(
        host=host, values={"trainer": public_value("1.0"), "--seed": public_value(seed)}, **more
    )


def member(of, **more):
    given = {"settings": settings(), "last_heartbeat": 0.0, **more}
    return MemberState(
        run="1", name=of.host, task=of.task, processes=2, metadata={"key": of.id}, **given
    )


@pytest.fixture
def started():
    return []


def lifecycle(*joined, started=None, own=None, **spec):
    job = Lifecycle(
        JobSpec(settings=own or settings(), expected=(CHIEF, WORKER), **spec),
        on_start=(started if started is not None else []).append,
        clock=lambda: 7.0,
    )
    # Whoever calls its steps holds the lock.
    job._changed.acquire()
    for each in joined:
        job._members[each.id] = member(each)
    return job


def running(**spec):
    job = lifecycle(CHIEF, WORKER, **spec)
    job._start_when_complete()
    del job._state.broadcasts[:]
    return job


def test_it_starts_once_when_all_are_there(started):
    job = lifecycle(CHIEF, started=started)
    job._start_when_complete()
    assert job._state.broadcasts == []
    assert job._missing() == [WORKER]
    job._members[WORKER.id] = member(WORKER)
    job._start_when_complete()
    job._start_when_complete()
    counts = {"chief-0": 2, "worker-0": 2}
    metadata = {"chief-0": {"key": "chief-0"}, "worker-0": {"key": "worker-0"}}
    assert job._state.broadcasts == [Start(processes=counts, metadata=metadata)]
    # Horovod's store is open before any rank is started.
    assert started == [counts]
    assert job._state.started_at == 7.0


@pytest.mark.parametrize("change", [{"state": LOST}, {"ready_for": 1}])
def test_a_member_that_is_not_there_for_this_generation_is_missing(change):
    job = lifecycle(CHIEF)
    job._members[WORKER.id] = member(WORKER, **change)
    assert job._missing() == [WORKER]


@pytest.mark.parametrize(
    ("chiefs", "workers", "blamed"),
    [
        (settings(), settings(2, "algo-2"), "algo-2"),
        (settings(problem="no data"), settings(host="algo-2", problem="no data"), "algo-1"),
        (settings(), settings(host="algo-2", problem="no data"), "algo-2"),
    ],
)
def test_other_settings_fail_the_job_by_the_host_that_has_them(chiefs, workers, blamed):
    job = lifecycle(own=chiefs)
    job._members[CHIEF.id] = member(CHIEF, settings=chiefs)
    job._members[WORKER.id] = member(WORKER, settings=workers)
    job._start_when_complete()
    (failed,) = job._state.broadcasts
    assert isinstance(failed, Failed)
    assert (failed.failure.host, failed.failure.code) == (blamed, 2)
    assert not job._state.started


OPTIONAL = {"optional": frozenset({WORKER.id})}


@pytest.mark.parametrize(
    ("spec", "state", "connections", "broadcast", "reason"),
    [
        ({}, {"started": True}, 0, Failed, SILENCE),
        ({}, {"started": True}, 1, Failed, STUCK),
        (OPTIONAL, {"started": True}, 0, Note, "the job goes on without it"),
        # Before the start it may come again, and so may an optional one during a restart.
        ({}, {"started": False}, 0, None, ""),
        ({}, {"started": False, "generation": 1}, 0, Failed, SILENCE),
        (OPTIONAL, {"started": False, "generation": 1}, 0, None, ""),
        # The chief has ended: nobody needs it.
        ({}, {"started": True, "done": 0}, 0, None, ""),
    ],
)
def test_a_lost_member_ends_the_job_where_it_is_needed(spec, state, connections, broadcast, reason):
    job = lifecycle(CHIEF, WORKER, **spec)
    vars(job._state).update(state)
    lost = job._members[WORKER.id]
    lost.connections = connections
    job._lose(WORKER.id, lost)
    assert lost.state == LOST
    assert [type(each) for each in job._state.broadcasts] == [broadcast][: broadcast is not None]
    assert reason in str(job._state.broadcasts)


def test_a_restart_begins_a_generation_for_which_all_have_to_be_ready():
    job = running(restarts=1, start_timeout=20.0)
    job._restart(FAILURE)
    assert job._state.broadcasts == [Restart(generation=1, failure=FAILURE)]
    assert job._missing() == [CHIEF, WORKER]
    assert job._state.deadline == 27.0
    for each in job._members.values():
        each.ready_for = 1
    job._start_when_complete()
    assert job._state.broadcasts[-1].generation == 1
    # The second one is one too many.
    job._restart(FAILURE)
    assert job._state.broadcasts[-1] == Failed(failure=FAILURE)


@pytest.mark.parametrize(
    ("spec", "state", "broadcasts"),
    [
        ({"restarts": 0}, {}, [Failed(failure=FAILURE)]),
        ({"restarts": 1}, {"stopping": True}, [Failed(failure=FAILURE)]),
        ({"restarts": 1}, {"done": 0}, []),
    ],
)
def test_a_job_that_may_not_be_restarted_fails_unless_it_is_done(spec, state, broadcasts):
    job = running(**spec)
    vars(job._state).update(state)
    job._restart(FAILURE)
    assert job._state.broadcasts == broadcasts


def test_only_the_first_failure_is_broadcast_and_none_after_the_end():
    job = running()
    job._fail(FAILURE)
    job._fail(FAILURE)
    job._restart(FAILURE)
    assert job._state.broadcasts == [Failed(failure=FAILURE)]
    done = running()
    done._state.done = 0
    done._fail(FAILURE)
    assert done._state.broadcasts == []
