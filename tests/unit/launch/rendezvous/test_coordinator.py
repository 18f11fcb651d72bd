import pytest

from trainer.launch.host_settings import HostSettings, public_value
from trainer.launch.plan import Member
from trainer.launch.rendezvous.coordinator import Coordinator
from trainer.launch.rendezvous.failure import Failure
from trainer.launch.rendezvous.origin import Origin
from trainer.launch.rendezvous.requests import Sender
from trainer.launch.rendezvous.root_cause import SILENCE, STUCK
from trainer.launch.rendezvous.state import JobSpec
from trainer.launch.timeouts import Timeouts

CHIEF = Member(role="chief", index=0, address="algo-1")
WORKER = Member(role="worker", index=0, address="algo-2")
PS = Member(role="ps", index=0, address="algo-3")

# The coordinator responds to heartbeats at once.
TIMES = Timeouts(heartbeat_hold=0.0)
LOST, HUNG, SILENT = TIMES.lost_after, TIMES.hung_after, TIMES.silent_after


def stated(host="algo-1", **values):
    """What a host states of the job."""
    values = {"trainer": "1.0", "--distribution": "horovod", **values}
    return HostSettings(
        host=host, values={k: v and public_value(v) for k, v in values.items()}
    ).to_dict()


class Job:
    """A coordinator, a clock that stands, and hosts."""

    def __init__(self, *expected, settings=None, **spec):
        self.now = 0.0
        expected = expected or (CHIEF, WORKER, PS)
        settings = HostSettings.from_dict(settings or stated())
        self.coordinator = Coordinator(
            JobSpec(settings=settings, expected=expected, **spec),
            clock=lambda: self.now,
            timeouts=TIMES,
        )

    def ask(self, member, run="1", processes=1, settings=None, origin=None, **more):
        fields = {"member": member.id, "run": run, "host": member.host, "task": member.task}
        settings = stated(member.host) if settings is None else settings
        fields |= {"processes": processes, "settings": settings} | more
        return self.coordinator.handle("join", fields, origin)

    def join(self, member, run="1", **more):
        return self.ask(member, run, **more)["position"]

    def say(self, verb, member, run="1", **what):
        return self.coordinator.handle(verb, {"member": member.id, "run": run, **what})

    def news(self, member, position=0, run="1"):
        return self.say("heartbeat", member, run, position=position)["broadcasts"]

    def kinds(self, member=CHIEF, position=0):
        return [message["kind"] for message in self.news(member, position)]

    def start(self, *members):
        for member in members or (CHIEF, WORKER, PS):
            self.join(member)
        return self

    def pass_by(self, seconds, *beating):
        """Let time go by, in which some send heartbeats."""
        until = self.now + seconds
        while self.now < until:
            self.now += 0.5
            for member in beating:
                self.news(member)
            self.coordinator.tick()

    def cause(self, member=CHIEF):
        failed = [message for message in self.news(member) if message["kind"] == "failed"]
        return Failure.from_dict(failed[-1]["failure"]) if failed else None


def origin(address="10.0.0.2", user=None, reached_at="10.0.0.1"):
    return Origin(address=address, user=user, reached_at=reached_at)


def failure(host="algo-2", process="rank 1", code=1, reason="ValueError: x", secondary=False):
    return Failure(
        host=host, process=process, code=code, reason=reason, secondary=secondary
    ).to_dict()


def test_it_starts_when_the_last_has_come_with_the_numbers_of_all():
    job = Job()
    job.join(CHIEF, processes=2)
    job.join(PS)
    assert job.say("heartbeat", CHIEF, position=0) == {
        "broadcasts": [], "position": 0, "missing": ["worker 0 (algo-2)"],
    }  # fmt: skip
    job.join(WORKER, processes=3, metadata={"key": "x"}, origin=origin(reached_at="10.0.0.1"))
    (start,) = job.news(PS)
    assert start == {
        "kind": "start", "generation": 0, "reached_at": "10.0.0.1", "precision": None,
        "processes": {"chief-0": 2, "worker-0": 3, "ps-0": 1},
        "metadata": {"chief-0": {}, "worker-0": {"key": "x"}, "ps-0": {}},
    }  # fmt: skip
    assert job.news(PS, position=1) == []


def test_who_does_not_come_is_named():
    job = Job(start_timeout=20)
    job.join(CHIEF)
    job.pass_by(20, CHIEF)
    assert job.cause() is None
    job.pass_by(0.5, CHIEF)
    assert job.cause().line == (
        "host algo-2, worker 0: did not come within 20 s (--start-timeout), nor did ps 0 (algo-3)"
    )
    assert job.cause().code == 200
    # Whoever comes now hears it.
    job.join(WORKER)
    assert job.cause(WORKER) == job.cause()


def test_who_goes_while_all_are_waited_for_may_come_again():
    job = Job().start(CHIEF, WORKER)
    job.pass_by(LOST + 1, CHIEF)
    assert job.say("heartbeat", CHIEF, position=0)["missing"] == [
        "worker 0 (algo-2)",
        "ps 0 (algo-3)",
    ]
    job.join(WORKER, run="2")
    job.join(PS)
    assert job.kinds() == ["start"]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (
            stated("algo-2", **{"--distribution": "none"}),
            "--distribution: none on host algo-2, horovod on hosts algo-1 and algo-3; set the same",
        ),
        ({}, "trainer: only that on host algo-1 knows trainer, that on host "),
    ],
)
def test_a_listed_host_that_does_not_fit_ends_all_before_the_start(settings, reason):
    job = Job()
    job.join(CHIEF)
    job.join(WORKER, settings=settings)
    job.join(PS)
    assert reason in job.cause().reason
    assert job.cause().code == 2
    # It hears of it as all others do.
    assert job.cause(WORKER) == job.cause()


def test_hosts_that_differ_give_the_others_time_to_come_and_hear_of_it():
    job = Job()
    job.join(CHIEF)
    job.join(WORKER, settings=stated("algo-2", seed=2))
    job.pass_by(TIMES.gather - 1, CHIEF, WORKER)
    assert job.cause() is None
    job.join(PS)
    assert job.cause(PS).host == "algo-2"


def test_hosts_that_differ_do_not_wait_long_for_one_that_does_not_come():
    job = Job()
    job.join(CHIEF)
    job.join(WORKER, settings=stated("algo-2", **{"--distribution": "none"}))
    job.pass_by(TIMES.gather + 0.5, CHIEF, WORKER)
    assert job.cause().reason.startswith("--distribution: none on host algo-2, horovod on host ")
    job.join(PS)
    assert job.cause(PS) == job.cause()


def test_what_differs_is_said_rather_than_who_did_not_come_in_time():
    job = Job(start_timeout=TIMES.gather / 2)
    job.join(CHIEF)
    job.join(WORKER, settings=stated("algo-2", **{"--distribution": "none"}))
    job.pass_by(TIMES.gather / 2 + 0.5, CHIEF, WORKER)
    assert job.cause().code == 2


def test_a_host_that_goes_and_comes_again_with_the_right_settings_may_take_part():
    job = Job()
    job.join(CHIEF)
    job.join(WORKER, settings=stated("algo-2", **{"--distribution": "none"}))
    job.pass_by(LOST + 1, CHIEF)
    job.join(WORKER, run="2")
    job.pass_by(TIMES.gather - LOST - 0.5, CHIEF)
    job.join(PS)
    assert job.kinds() == ["start"]


def test_what_keeps_the_coordinator_from_starting_is_sent_to_all():
    job = Job(CHIEF, WORKER, settings=stated() | {"problem": "--train /x: does not exist"})
    job.join(CHIEF)
    job.join(WORKER)
    assert job.cause(WORKER).line == "host algo-1, chief 0: --train /x: does not exist"


def test_hosts_with_other_devices_hear_in_which_precision_all_compute():
    job = Job()
    for member, kind in ((CHIEF, "bfloat16"), (WORKER, "float32"), (PS, None)):
        job.join(member, settings=stated(member.host) | {"precision": kind})
    note, start = job.news(PS)
    assert note["kind"] == "note"
    assert note["text"].startswith("precision float32 on all hosts, ")
    assert start["precision"] == "float32"


def test_the_first_failure_counts():
    job = Job().start()
    job.say("report", WORKER, kind="failed", failure=failure())
    job.say("report", PS, kind="failed", failure=failure(host="algo-3", reason="KeyError: y"))
    assert job.kinds() == ["start", "failed"]
    assert job.say("leave", PS, code=1, early=False)["failure"] == failure()


def test_a_root_cause_takes_the_place_of_a_secondary_failure_for_a_while():
    job = Job().start()
    job.say("report", PS, kind="failed", failure=failure(host="algo-3", secondary=True))
    job.now += 1
    job.say("report", WORKER, kind="failed", failure=failure())
    assert job.kinds() == ["start", "failed", "failed"]
    assert job.cause().host == "algo-2"
    job = Job().start()
    job.say("report", PS, kind="failed", failure=failure(host="algo-3", secondary=True))
    job.now += 3
    job.say("report", WORKER, kind="failed", failure=failure())
    assert job.cause().host == "algo-3"


def test_a_secondary_failure_is_of_the_host_that_has_fallen_silent():
    job = Job().start()
    job.say("report", PS, kind="failed", failure=failure(host="algo-3", code=200, secondary=True))
    job.now += 2.5
    job.news(PS)
    named = job.say("leave", PS, code=200, early=False)["failure"]
    assert (named["host"], named["process"], named["code"]) == ("algo-2", "worker 0", 200)


def test_a_host_without_sign_of_life_is_lost():
    job = Job().start()
    job.pass_by(LOST, CHIEF, PS)
    assert job.cause() is None
    job.pass_by(0.5, CHIEF, PS)
    assert job.cause().where == "host algo-2, worker 0"
    assert job.cause().code == 200


def test_a_host_whose_connection_stands_gets_more_time():
    job = Job().start()
    assert job.say("keepalive", WORKER) == {}
    job.pass_by(HUNG, CHIEF, PS)
    assert job.cause() is None
    job.pass_by(0.5, CHIEF, PS)
    assert job.cause().where == "host algo-2, worker 0"
    assert job.cause().reason == STUCK


def test_who_joins_twice_as_an_answer_was_late_keeps_its_connection():
    job = Job().start()
    job.say("keepalive", WORKER)
    job.join(WORKER)
    job.pass_by(HUNG, CHIEF, PS)
    assert job.cause() is None
    job.coordinator.connection_closed(Sender(WORKER.id, "1"))
    job.pass_by(0.5, CHIEF, PS)
    assert job.cause().reason == SILENCE


def test_a_host_whose_connection_broke_does_not():
    job = Job().start()
    job.say("keepalive", WORKER)
    assert job.say("keepalive", WORKER, run="another") == {"unknown": True}
    job.pass_by(LOST + 1, CHIEF, PS)
    assert job.cause() is None
    job.coordinator.connection_closed(Sender(WORKER.id, "another"))
    job.pass_by(0.5, CHIEF, PS)
    assert job.cause() is None
    job.coordinator.connection_closed(Sender(WORKER.id, "1"))
    job.pass_by(0.5, CHIEF, PS)
    assert job.cause().reason == SILENCE


def test_the_host_of_the_coordinator_is_never_lost():
    job = Job().start()
    job.pass_by(2 * LOST, WORKER, PS)
    assert job.cause(WORKER) is None


def test_who_has_left_is_not_lost():
    job = Job().start()
    assert job.say("leave", WORKER, code=0, early=False) == {"failure": None}
    job.coordinator.left(Sender(WORKER.id, "1"))
    job.pass_by(2 * LOST, CHIEF, PS)
    assert job.cause() is None
    assert job.coordinator.wait_for_leave(0) == ["algo-3"]


def test_without_some_the_job_goes_on_and_they_may_come_back():
    job = Job(optional=frozenset({WORKER.id})).start()
    job.pass_by(LOST + 1, CHIEF, PS)
    assert job.kinds() == ["start", "note"]
    assert job.news(CHIEF)[1]["text"].endswith("the job goes on without it")
    # A new launcher begins with how the job began.
    assert job.join(WORKER, run="2") == 0
    assert job.news(WORKER, run="2")[0]["kind"] == "start"
    assert job.news(CHIEF)[2]["text"] == "host algo-2, worker 0, is back"
    # One that was only cut off for a while just goes on.
    job.pass_by(LOST + 1, CHIEF, PS)
    assert job.say("heartbeat", WORKER, run="2", position=3)["broadcasts"][-1]["text"].endswith(
        "is back"
    )


def test_a_launcher_that_comes_a_second_time_ends_the_job_or_takes_the_first_ones_place():
    job = Job().start()
    job.join(WORKER, run="1")
    assert job.cause() is None
    job.pass_by(SILENT + 0.5, CHIEF, PS)
    job.join(WORKER, run="2")
    assert "started a second time" in job.cause().reason
    assert job.say("heartbeat", WORKER, run="1", position=0) == {"unknown": True}
    job = Job(optional=frozenset({WORKER.id})).start()
    job.pass_by(SILENT + 0.5, CHIEF, PS)
    job.join(WORKER, run="2")
    assert job.cause() is None


@pytest.mark.parametrize("optional", [frozenset(), frozenset({WORKER.id})])
@pytest.mark.parametrize("started", [True, False], ids=["running", "waiting"])
def test_a_second_start_of_a_living_member_is_refused(optional, started):
    others = (CHIEF, PS) if started else (CHIEF,)
    job = Job(optional=optional).start(WORKER, *others)
    answer = job.ask(WORKER, run="2")
    assert answer["alive"]
    assert answer["occupied"].startswith("worker 0 has joined already from host algo-2, and lives")
    # While only its connection stands, it may be gone or not.
    job.say("keepalive", WORKER)
    job.pass_by(SILENT + 0.5, *others)
    assert not job.ask(WORKER, run="2")["alive"]
    assert job.say("heartbeat", WORKER, run="2", position=0) == {"unknown": True}
    assert job.cause() is None
    assert job.say("heartbeat", WORKER, run="1", position=0)["position"] == started
    # Once that is down too, and nothing was heard, it is.
    job.coordinator.connection_closed(Sender(WORKER.id, "1"))
    assert "occupied" in job.ask(WORKER, run="2")
    job.pass_by(SILENT + 0.5, *others)
    assert "position" in job.ask(WORKER, run="2")


def test_a_running_job_goes_on_whoever_comes():
    job = Job(optional=frozenset({PS.id})).start()
    for member, settings, reason in [
        (WORKER, OTHER, "--distribution: none on host algo-2, horovod on host algo-1; set the"),
        (Member(role="worker", index=7), None, "worker-7 is none of those whom the chief expects"),
        (Member(role="evaluator", index=0), None, "evaluator-0 is none of those whom the chief"),
        (PS, {}, "trainer: only that on host algo-1 knows trainer, that on host "),
    ]:
        # Even one that has died is not replaced by another that does not fit.
        job.pass_by(SILENT + 0.5, CHIEF, WORKER)
        assert reason in job.ask(member, run="2", settings=settings)["refused"]
        assert job.say("heartbeat", member, run="2", position=0) == {"unknown": True}
    assert job.cause() is None
    notes = [each["text"] for each in job.news(CHIEF) if each["kind"] == "note"]
    assert notes[0].startswith("host algo-2, worker 0, was refused: --distribution: none on")


def test_who_is_not_listed_is_refused_before_the_start_and_the_job_starts_all_the_same():
    job = Job().start(CHIEF, WORKER)
    assert "none of those" in job.ask(Member(role="ps", index=3), settings={})["refused"]
    job.join(PS)
    assert "start" in job.kinds()
    assert job.cause() is None


def test_what_refused_newcomers_say_is_bounded_and_has_no_control_characters():
    job = Job().start()
    for number in range(100):
        host = Member(role="worker", index=7, address=f"\x1b[2J\nhost{number}")
        job.ask(host)
    notes = [each["text"] for each in job.news(CHIEF) if each["kind"] == "note"]
    assert len(notes) == 10
    assert notes[0].startswith("host \\x1b[2J\\nhost0, worker 7, was refused: worker-7 is none")


def test_an_address_is_believed_only_of_who_has_joined():
    job = Job()
    stranger, own = origin("10.9.9.9", reached_at="10.9.9.1"), origin()
    job.ask(Member(role="worker", index=7), origin=stranger)
    job.join(CHIEF)
    job.join(WORKER, origin=own)
    job.ask(WORKER, run="2", origin=stranger)
    job.join(PS)
    assert job.news(PS)[-1]["reached_at"] == "10.0.0.1"
    assert job.coordinator.has_joined_from(own)
    assert not job.coordinator.has_joined_from(stranger)
    assert not job.coordinator.has_joined_from(origin(user=1000))
    # It may reach this host by another route later.
    other = origin("10.1.0.2", reached_at="10.1.0.1")
    fields = {"member": WORKER.id, "position": 0}
    job.coordinator.handle("heartbeat", {**fields, "run": "2"}, other)
    assert not job.coordinator.has_joined_from(other)
    job.coordinator.handle("heartbeat", {**fields, "run": "1"}, other)
    assert job.coordinator.has_joined_from(other)


@pytest.mark.parametrize(
    ("verb", "what"),
    [
        ("report", {"kind": "failed", "failure": failure()}),
        ("report", {"kind": "done", "code": 0}),
        ("leave", {"code": 1, "early": True}),
    ],
)
def test_what_another_run_says_has_no_effect(verb, what):
    job = Job().start()
    assert job.say(verb, WORKER, run="2", **what) == {"unknown": True}
    job.coordinator.left(Sender(WORKER.id, "2"))
    job.coordinator.left(Sender(WORKER.id, "1"))
    assert job.kinds() == ["start"]
    assert set(job.coordinator.wait_for_leave(0)) == {"algo-2", "algo-3"}


@pytest.mark.parametrize(
    ("verb", "what"),
    [
        ("heartbeat", {"position": -1}),
        ("heartbeat", {"position": 10**9}),
        ("heartbeat", {"position": float("inf")}),
        ("heartbeat", {"position": True}),
        ("heartbeat", {}),
        ("report", {"kind": ["failed"]}),
        ("report", {"kind": "failed", "failure": {**failure(), "code": "1"}}),
        ("report", {"kind": "failed", "failure": {**failure(), "host": None}}),
        ("report", {"kind": "failed", "failure": []}),
        ("report", {"kind": "broken", "generation": 1, "failure": failure()}),
        ("report", {"kind": "broken", "generation": 0, "failure": {}}),
        ("report", {"kind": "ready", "generation": 1}),
        ("report", {"kind": "done", "code": 0}),
        ("leave", {"code": 256, "early": True}),
        ("leave", {"code": 1, "early": "yes"}),
        ("leave", {"code": 1}),
    ],
)
def test_a_malformed_request_has_no_effect(verb, what):
    job = Job(restarts=3).start()
    with pytest.raises((KeyError, TypeError, ValueError)):
        job.say(verb, WORKER, **what)
    assert job.kinds() == ["start"]
    assert set(job.coordinator.wait_for_leave(0)) == {"algo-2", "algo-3"}


@pytest.mark.parametrize(("sent", "taken"), [(0, 1), (-9, 1), (256, 1), (255, 255), (7, 7)])
def test_a_failure_has_the_code_of_one(sent, taken):
    job = Job().start()
    job.say("report", WORKER, kind="failed", failure=failure(code=sent))
    assert job.cause().code == taken


def test_connections_of_one_host_are_bounded():
    job = Job().start()
    for _ in range(4):
        job.say("keepalive", WORKER)
    with pytest.raises(ValueError, match="too many"):
        job.say("keepalive", WORKER)


OTHER = stated("algo-2", **{"--distribution": "none"})
EVALUATOR = Member(role="evaluator", index=0)


def test_an_evaluator_that_nobody_lists_comes_before_the_start_and_goes():
    job = Job(unlisted_evaluators=True).start(CHIEF, EVALUATOR, WORKER, PS)
    assert job.news(EVALUATOR)[0]["kind"] == "start"
    job.pass_by(LOST + 1, CHIEF, WORKER, PS)
    assert job.cause() is None
    # It may come back, as it has been there; another may not.
    job.join(EVALUATOR, run="2")
    assert "list it, or start it together" in job.ask(Member(role="evaluator", index=1))["refused"]
    # Its failure is its own.
    job.say("report", EVALUATOR, run="2", kind="failed", failure=failure())
    assert job.cause() is None
    assert job.news(CHIEF)[-1]["text"].endswith("ValueError: x; the job goes on without it")


def test_an_evaluator_that_was_started_with_the_others_may_be_a_little_late():
    job = Job(unlisted_evaluators=True).start()
    job.pass_by(4.5, CHIEF, WORKER, PS)
    job.join(EVALUATOR)
    assert job.news(EVALUATOR)[0]["kind"] == "start"


def test_an_evaluator_that_nobody_can_list_may_come_late():
    job = Job(unlisted_evaluators=True, late_evaluators=True).start()
    job.pass_by(60, CHIEF, WORKER, PS)
    job.join(EVALUATOR)
    assert job.news(EVALUATOR)[0]["kind"] == "start"
    for index in range(1, 16):
        job.join(Member(role="evaluator", index=index))
    assert "16 evaluators" in job.ask(Member(role="evaluator", index=16))["refused"]


def test_what_is_broken_is_restarted_once_all_are_ready():
    job = Job(restarts=1).start()
    for member in (PS, CHIEF):
        # The second reports what has been handled already.
        job.say("report", member, kind="broken", generation=0, failure=failure(code=200))
    assert job.kinds() == ["start", "restart"]
    for member in (CHIEF, WORKER, PS):
        assert job.kinds(position=2) == []
        job.say("report", member, kind="ready", generation=1)
    (start,) = job.news(CHIEF, position=2)
    assert (start["kind"], start["generation"]) == ("start", 1)
    # Who comes now does not hear of the first beginning.
    assert job.join(WORKER) == 2
    job.say("report", PS, kind="broken", generation=1, failure=failure(code=200))
    assert job.cause().code == 200


def test_a_servers_host_that_is_lost_while_the_job_is_restarted_ends_it():
    job = Job(optional={WORKER.id}, restarts=3).start()
    # The chief cannot reach the server, before anybody knows that its whole host has gone.
    broken = failure(host="algo-1", process="chief", code=200)
    job.say("report", CHIEF, kind="broken", generation=0, failure=broken)
    job.pass_by(LOST + 1, CHIEF, WORKER)
    assert job.cause().line == f"host algo-3, ps 0: {SILENCE}"
    assert job.cause().code == 200


def test_an_optional_host_that_is_lost_while_the_job_is_restarted_may_come_again():
    job = Job(optional={WORKER.id}, restarts=3).start()
    job.say("report", PS, kind="broken", generation=0, failure=failure(host="algo-3"))
    job.pass_by(LOST + 1, CHIEF, PS)
    for member in (CHIEF, PS):
        job.say("report", member, kind="ready", generation=1)
    job.join(WORKER, run="2")
    assert job.cause() is None
    assert job.kinds() == ["start", "restart", "start"]


def test_who_is_not_ready_again_in_time_is_named():
    job = Job(restarts=1, start_timeout=20).start()
    job.say("report", PS, kind="broken", generation=0, failure=failure(code=200))
    job.say("report", CHIEF, kind="ready", generation=1)
    job.say("report", PS, kind="ready", generation=1)
    job.pass_by(20.5, CHIEF, PS)
    assert job.cause().where == "host algo-2, worker 0"


def test_what_is_to_stop_does_not_begin_anew():
    job = Job(restarts=1).start()
    job.say("report", PS, kind="stopping", host="x")
    job.say("report", WORKER, kind="stopping", host="x")
    assert job.kinds() == ["start", "stopping"]
    job.say("report", PS, kind="broken", generation=0, failure=failure(code=200))
    assert job.cause().code == 200


def test_what_comes_after_the_chief_is_done_is_no_failure():
    job = Job().start()
    job.say("report", CHIEF, kind="done", code=143)
    job.say("report", WORKER, kind="failed", failure=failure())
    job.pass_by(LOST + 1, CHIEF, PS)
    assert job.news(CHIEF)[1:] == [{"kind": "done", "code": 143}]


def test_who_is_stopped_before_the_job_is_done_ends_it():
    job = Job().start()
    job.say("leave", PS, code=143, early=True)
    assert job.cause().line == "host algo-3, ps 0: was told to end before the job was done"
    assert job.cause().code == 143
    without = Job(optional=frozenset({WORKER.id})).start()
    without.say("leave", WORKER, code=143, early=True)
    assert without.cause() is None
