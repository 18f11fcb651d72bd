"""The coordinator's decision about a newcomer, as a table."""

import pytest

from trainer.launch.host_settings import HostSettings, public_value
from trainer.launch.plan import Member
from trainer.launch.rendezvous.admission import Admission, decide, is_alive
from trainer.launch.rendezvous.requests import Join
from trainer.launch.rendezvous.state import LEFT, LOST, JobSpec, JobState, MemberState

CHIEF = Member(role="chief", index=0, address="algo-1")
WORKER = Member(role="worker", index=0, address="algo-2")
NOW = 100.0


def settings(seed=1, host="algo-1"):
    return HostSettings(
        host=host, values={"trainer": public_value("1.0"), "--seed": public_value(seed)}
    )


def known(last_heartbeat=NOW, **more):
    return MemberState(
        run="1", name="algo-2", task="worker 0", processes=1, metadata={},
        last_heartbeat=last_heartbeat, **more,
    )  # fmt: skip


WAITING = JobState(deadline=600.0)
RUNNING = JobState(deadline=600.0, started=True, started_at=50.0)
JUST_STARTED = JobState(deadline=600.0, started=True, started_at=96.0)
RESTARTING = JobState(deadline=600.0, generation=1, started_at=50.0)
LISTED, UNLISTED = {}, {"unlisted_evaluators": True}
LATE = {**UNLISTED, "late_evaluators": True}
ACCEPT, REFUSE, RETRY, DIFFERS = Admission


@pytest.mark.parametrize(
    ("id", "state", "spec", "seed", "before", "unlisted", "admission", "reason"),
    [
        ("worker-0", WAITING, LISTED, 1, None, 0, ACCEPT, ""),
        ("worker-0", RUNNING, LISTED, 1, None, 0, ACCEPT, ""),
        # Other settings end the job only before it starts.
        ("worker-0", WAITING, LISTED, 2, None, 0, DIFFERS, "--seed"),
        ("worker-0", RUNNING, LISTED, 2, None, 0, REFUSE, "--seed"),
        ("worker-0", RESTARTING, LISTED, 2, None, 0, REFUSE, "--seed"),
        ("evaluator-0", WAITING, UNLISTED, 2, None, 0, REFUSE, "--seed"),
        # A member whose run lives keeps its place, but not against the settings.
        ("worker-0", RUNNING, LISTED, 1, known(), 0, RETRY, "has joined already from host algo-2"),
        ("worker-0", WAITING, LISTED, 2, known(), 0, RETRY, "has joined already from host algo-2"),
        ("worker-0", RUNNING, LISTED, 2, known(), 0, REFUSE, "--seed"),
        ("worker-0", RUNNING, LISTED, 1, known(90.0), 0, ACCEPT, ""),
        ("worker-0", RUNNING, LISTED, 1, known(state=LOST), 0, ACCEPT, ""),
        # Who is not listed.
        ("worker-7", WAITING, LISTED, 1, None, 0, REFUSE, "worker-7 is none of those"),
        ("worker-7", WAITING, UNLISTED, 1, None, 0, REFUSE, "worker-7 is none of those"),
        ("evaluator-0", WAITING, LISTED, 1, None, 0, REFUSE, "expects: chief-0, worker-0"),
        ("evaluator-0", WAITING, UNLISTED, 1, None, 0, ACCEPT, ""),
        ("evaluator-0", WAITING, UNLISTED, 1, None, 16, REFUSE, "16 evaluators"),
        ("evaluator-0", JUST_STARTED, UNLISTED, 1, None, 0, ACCEPT, ""),
        ("evaluator-0", RUNNING, UNLISTED, 1, None, 0, REFUSE, "the job runs already"),
        ("evaluator-0", RESTARTING, UNLISTED, 1, None, 0, REFUSE, "the job runs already"),
        ("evaluator-0", RUNNING, LATE, 1, None, 0, ACCEPT, ""),
        # One that has been there may come back.
        ("evaluator-0", RUNNING, UNLISTED, 1, known(90.0), 16, ACCEPT, ""),
    ],
)
def test_a_newcomer_is_decided_about(id, state, spec, seed, before, unlisted, admission, reason):
    of = JobSpec(settings=settings(), expected=(CHIEF, WORKER), **spec)
    join = Join(host="algo-2", task="worker 0", processes=1, settings=settings(seed, "algo-2"))
    decision = decide(of, state, id, join, known=before, now=NOW, unlisted=unlisted)
    assert decision.admission is admission
    assert reason in decision.reason
    assert bool(decision.reason) == bool(reason)


@pytest.mark.parametrize(
    ("member", "alive"),
    [
        (known(), True),
        (known(NOW - 1.5), True),
        (known(NOW - 1.7), False),
        (known(NOW - 50.0, connections=1), True),
        (known(state=LOST), False),
        (known(state=LEFT, connections=1), False),
    ],
)
def test_a_member_lives_while_it_is_heard_of_or_connected(member, alive):
    assert is_alive(member, NOW, silent_after=1.6) is alive
