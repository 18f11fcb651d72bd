import pytest

from trainer.launch.host_settings import HostSettings, plain
from trainer.launch.plan import Member
from trainer.launch.rendezvous import coordinator as module
from trainer.launch.rendezvous.coordinator import GATHER, HUNG, LOST, Coordinator
from trainer.launch.rendezvous.failure import Failure
from trainer.launch.rendezvous.origin import Origin
from trainer.launch.rendezvous.root_cause import SILENCE, SILENT, STUCK
from trainer.launch.rendezvous.state import JobSpec

CHIEF = Member(role="chief", index=0, address="algo-1")
WORKER = Member(role="worker", index=0, address="algo-2")
PS = Member(role="ps", index=0, address="algo-3")


@pytest.fixture(autouse=True)
def _answers_at_once(monkeypatch):
    monkeypatch.setattr(module, "HOLD", 0.0)


def stated(host="algo-1", **values):
    """What a host states of the job."""
    values = {"trainer": "1.0", "--distribution": "horovod", **values}
    return HostSettings(host=host, values={k: v and plain(v) for k, v in values.items()}).to_dict()


class Job:
    """A roster, a clock that stands, and hosts."""

    def __init__(self, *expected, **terms):
        self.now = 0.0
        expected = expected or (CHIEF, WORKER, PS)
        self.spec = stated()
        self.roster = Coordinator(
            JobSpec(spec=self.spec, expected=expected, **terms), clock=lambda: self.now
        )

    def ask(self, member, run="1", count=1, spec=None, origin=None, **more):
        told = {"member": member.id, "run": run, "host": member.host, "task": member.task}
        told |= {"count": count, "spec": stated(member.host) if spec is None else spec} | more
        return self.roster.handle("join", told, origin)

    def join(self, member, run="1", **more):
        return self.ask(member, run, **more)["seen"]

    def say(self, verb, member, run="1", **what):
        return self.roster.handle(verb, {"member": member.id, "run": run, **what})

    def news(self, member, seen=0, run="1"):
        return self.say("beat", member, run, seen=seen)["news"]

    def kinds(self, member=CHIEF, seen=0):
        return [told["kind"] for told in self.news(member, seen)]

    def start(self, *members):
        for member in members or (CHIEF, WORKER, PS):
            self.join(member)
        return self

    def pass_by(self, seconds, *beating):
        """Let time go by, in which some beat."""
        until = self.now + seconds
        while self.now < until:
            self.now += 0.5
            for member in beating:
                self.news(member)
            self.roster.tick()

    def cause(self, member=CHIEF):
        failed = [told for told in self.news(member) if told["kind"] == "failed"]
        return Failure.from_dict(failed[-1]["cause"]) if failed else None


def origin(address="10.0.0.2", user=None, reached_at="10.0.0.1"):
    return Origin(address=address, user=user, reached_at=reached_at)


def failure(host="algo-2", process="rank 1", code=1, reason="ValueError: x", echo=False):
    return Failure(host=host, process=process, code=code, reason=reason, echo=echo).to_dict()


def test_it_starts_when_the_last_has_come_with_the_numbers_of_all():
    job = Job()
    job.join(CHIEF, count=2)
    job.join(PS)
    assert job.say("beat", CHIEF, seen=0) == {
        "news": [], "seen": 0, "missing": ["worker 0 (algo-2)"],
    }  # fmt: skip
    job.join(WORKER, count=3, card={"key": "x"}, origin=origin(reached_at="10.0.0.1"))
    (told,) = job.news(PS)
    assert told == {
        "kind": "start", "generation": 0, "reached_at": "10.0.0.1", "precision": None,
        "counts": {"chief-0": 2, "worker-0": 3, "ps-0": 1},
        "cards": {"chief-0": {}, "worker-0": {"key": "x"}, "ps-0": {}},
    }  # fmt: skip
    assert job.news(PS, seen=1) == []


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
    assert job.say("beat", CHIEF, seen=0)["missing"] == ["worker 0 (algo-2)", "ps 0 (algo-3)"]
    job.join(WORKER, run="2")
    job.join(PS)
    assert job.kinds() == ["start"]


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (
            stated("algo-2", **{"--distribution": "none"}),
            "--distribution: none on host algo-2, horovod on hosts algo-1 and algo-3; set the same",
        ),
        ({}, "trainer: only that on host algo-1 knows trainer, that on host "),
    ],
)
def test_a_listed_host_that_does_not_fit_ends_all_before_the_start(spec, told):
    job = Job()
    job.join(CHIEF)
    job.join(WORKER, spec=spec)
    job.join(PS)
    assert told in job.cause().reason
    assert job.cause().code == 2
    # It hears of it as all others do.
    assert job.cause(WORKER) == job.cause()


def test_hosts_that_differ_give_the_others_time_to_come_and_hear_of_it():
    job = Job()
    job.join(CHIEF)
    job.join(WORKER, spec=stated("algo-2", seed=2))
    job.pass_by(GATHER - 1, CHIEF, WORKER)
    assert job.cause() is None
    job.join(PS)
    assert job.cause(PS).host == "algo-2"


def test_hosts_that_differ_do_not_wait_long_for_one_that_does_not_come():
    job = Job()
    job.join(CHIEF)
    job.join(WORKER, spec=stated("algo-2", **{"--distribution": "none"}))
    job.pass_by(GATHER + 0.5, CHIEF, WORKER)
    assert job.cause().reason.startswith("--distribution: none on host algo-2, horovod on host ")
    job.join(PS)
    assert job.cause(PS) == job.cause()


def test_what_differs_is_told_rather_than_who_did_not_come_in_time():
    job = Job(start_timeout=GATHER / 2)
    job.join(CHIEF)
    job.join(WORKER, spec=stated("algo-2", **{"--distribution": "none"}))
    job.pass_by(GATHER / 2 + 0.5, CHIEF, WORKER)
    assert job.cause().code == 2


def test_a_host_that_goes_and_comes_again_with_the_right_settings_may_take_part():
    job = Job()
    job.join(CHIEF)
    job.join(WORKER, spec=stated("algo-2", **{"--distribution": "none"}))
    job.pass_by(LOST + 1, CHIEF)
    job.join(WORKER, run="2")
    job.pass_by(GATHER - LOST - 0.5, CHIEF)
    job.join(PS)
    assert job.kinds() == ["start"]


def test_what_keeps_the_coordinator_from_starting_is_told_to_all():
    job = Job()
    job.roster = Coordinator(
        JobSpec(
            spec=job.spec | {"problem": "--train /x: does not exist"}, expected=(CHIEF, WORKER)
        ),
        clock=lambda: job.now,
    )
    job.join(CHIEF)
    job.join(WORKER)
    assert job.cause(WORKER).line == "host algo-1, chief 0: --train /x: does not exist"


def test_hosts_with_other_devices_hear_in_which_precision_all_compute():
    job = Job()
    for member, kind in ((CHIEF, "bfloat16"), (WORKER, "float32"), (PS, None)):
        job.join(member, spec=stated(member.host) | {"precision": kind})
    note, start = job.news(PS)
    assert note["kind"] == "note"
    assert note["text"].startswith("precision float32 on all hosts, ")
    assert start["precision"] == "float32"


def test_the_first_cause_counts():
    job = Job().start()
    job.say("report", WORKER, kind="failed", cause=failure())
    job.say("report", PS, kind="failed", cause=failure(host="algo-3", reason="KeyError: y"))
    assert job.kinds() == ["start", "failed"]
    assert job.say("leave", PS, code=1, early=False)["cause"] == failure()


def test_a_cause_takes_the_place_of_an_echo_for_a_while():
    job = Job().start()
    job.say("report", PS, kind="failed", cause=failure(host="algo-3", echo=True))
    job.now += 1
    job.say("report", WORKER, kind="failed", cause=failure())
    assert job.kinds() == ["start", "failed", "failed"]
    assert job.cause().host == "algo-2"
    job = Job().start()
    job.say("report", PS, kind="failed", cause=failure(host="algo-3", echo=True))
    job.now += 3
    job.say("report", WORKER, kind="failed", cause=failure())
    assert job.cause().host == "algo-3"


def test_an_echo_is_of_the_host_that_has_fallen_silent():
    job = Job().start()
    job.say("report", PS, kind="failed", cause=failure(host="algo-3", code=200, echo=True))
    job.now += 2.5
    job.news(PS)
    told = job.say("leave", PS, code=200, early=False)["cause"]
    assert (told["host"], told["process"], told["code"]) == ("algo-2", "worker 0", 200)


def test_a_host_without_sign_of_life_is_lost():
    job = Job().start()
    job.pass_by(LOST, CHIEF, PS)
    assert job.cause() is None
    job.pass_by(0.5, CHIEF, PS)
    assert job.cause().where == "host algo-2, worker 0"
    assert job.cause().code == 200


def test_a_host_whose_connection_stands_gets_more_time():
    job = Job().start()
    assert job.say("line", WORKER) == {}
    job.pass_by(HUNG, CHIEF, PS)
    assert job.cause() is None
    job.pass_by(0.5, CHIEF, PS)
    assert job.cause().where == "host algo-2, worker 0"
    assert job.cause().reason == STUCK


def test_who_joins_twice_as_an_answer_was_late_keeps_its_connection():
    job = Job().start()
    job.say("line", WORKER)
    job.join(WORKER)
    job.pass_by(HUNG, CHIEF, PS)
    assert job.cause() is None
    job.roster.line_broke(WORKER.id, "1")
    job.pass_by(0.5, CHIEF, PS)
    assert job.cause().reason == SILENCE


def test_a_host_whose_connection_broke_does_not():
    job = Job().start()
    job.say("line", WORKER)
    assert job.say("line", WORKER, run="another") == {"unknown": True}
    job.pass_by(LOST + 1, CHIEF, PS)
    assert job.cause() is None
    job.roster.line_broke(WORKER.id, "another")
    job.pass_by(0.5, CHIEF, PS)
    assert job.cause() is None
    job.roster.line_broke(WORKER.id, "1")
    job.pass_by(0.5, CHIEF, PS)
    assert job.cause().reason == SILENCE


def test_the_host_that_keeps_the_roster_is_never_lost():
    job = Job().start()
    job.pass_by(2 * LOST, WORKER, PS)
    assert job.cause(WORKER) is None


def test_who_has_left_is_not_lost():
    job = Job().start()
    assert job.say("leave", WORKER, code=0, early=False) == {"cause": None}
    job.roster.left(WORKER.id, "1")
    job.pass_by(2 * LOST, CHIEF, PS)
    assert job.cause() is None
    assert job.roster.wait_for_leave(0) == ["algo-3"]


def test_without_some_the_job_goes_on_and_they_may_come_back():
    job = Job(spared=frozenset({WORKER.id})).start()
    job.pass_by(LOST + 1, CHIEF, PS)
    assert job.kinds() == ["start", "note"]
    assert job.news(CHIEF)[1]["text"].endswith("the job goes on without it")
    # A new launcher begins with how the job began.
    assert job.join(WORKER, run="2") == 0
    assert job.news(WORKER, run="2")[0]["kind"] == "start"
    assert job.news(CHIEF)[2]["text"] == "host algo-2, worker 0, is back"
    # One that was only cut off for a while just goes on.
    job.pass_by(LOST + 1, CHIEF, PS)
    assert job.say("beat", WORKER, run="2", seen=3)["news"][-1]["text"].endswith("is back")


def test_a_launcher_that_comes_a_second_time_ends_the_job_or_takes_the_first_ones_place():
    job = Job().start()
    job.join(WORKER, run="1")
    assert job.cause() is None
    job.pass_by(SILENT + 0.5, CHIEF, PS)
    job.join(WORKER, run="2")
    assert "started a second time" in job.cause().reason
    assert job.say("beat", WORKER, run="1", seen=0) == {"unknown": True}
    job = Job(spared=frozenset({WORKER.id})).start()
    job.pass_by(SILENT + 0.5, CHIEF, PS)
    job.join(WORKER, run="2")
    assert job.cause() is None


@pytest.mark.parametrize("spared", [frozenset(), frozenset({WORKER.id})])
@pytest.mark.parametrize("started", [True, False], ids=["running", "waiting"])
def test_a_second_start_of_a_living_member_is_refused(spared, started):
    others = (CHIEF, PS) if started else (CHIEF,)
    job = Job(spared=spared).start(WORKER, *others)
    answer = job.ask(WORKER, run="2")
    assert answer["beating"]
    assert answer["occupied"].startswith("worker 0 has joined already from host algo-2, and lives")
    # While only its connection stands, it may be gone or not.
    job.say("line", WORKER)
    job.pass_by(SILENT + 0.5, *others)
    assert not job.ask(WORKER, run="2")["beating"]
    assert job.say("beat", WORKER, run="2", seen=0) == {"unknown": True}
    assert job.cause() is None
    assert job.say("beat", WORKER, run="1", seen=0)["seen"] == started
    # Once that is down too, and nothing was heard, it is.
    job.roster.line_broke(WORKER.id, "1")
    assert "occupied" in job.ask(WORKER, run="2")
    job.pass_by(SILENT + 0.5, *others)
    assert "seen" in job.ask(WORKER, run="2")


def test_a_running_job_goes_on_whoever_comes():
    job = Job(spared=frozenset({PS.id})).start()
    for member, spec, told in [
        (WORKER, OTHER, "--distribution: none on host algo-2, horovod on host algo-1; set the"),
        (Member(role="worker", index=7), None, "worker-7 is none of those whom the chief expects"),
        (Member(role="evaluator", index=0), None, "evaluator-0 is none of those whom the chief"),
        (PS, {}, "trainer: only that on host algo-1 knows trainer, that on host "),
    ]:
        # Even one that has died is not replaced by another that does not fit.
        job.pass_by(SILENT + 0.5, CHIEF, WORKER)
        assert told in job.ask(member, run="2", spec=spec)["refused"]
        assert job.say("beat", member, run="2", seen=0) == {"unknown": True}
    assert job.cause() is None
    notes = [told["text"] for told in job.news(CHIEF) if told["kind"] == "note"]
    assert notes[0].startswith("host algo-2, worker 0, was refused: --distribution: none on")


def test_who_is_not_listed_is_refused_before_the_start_and_the_job_starts_all_the_same():
    job = Job().start(CHIEF, WORKER)
    assert "none of those" in job.ask(Member(role="ps", index=3), spec={})["refused"]
    job.join(PS)
    assert "start" in job.kinds()
    assert job.cause() is None


def test_what_refused_newcomers_say_is_bounded_and_told_without_control_characters():
    job = Job().start()
    for number in range(100):
        host = Member(role="worker", index=7, address=f"\x1b[2J\nhost{number}")
        job.ask(host)
    notes = [told["text"] for told in job.news(CHIEF) if told["kind"] == "note"]
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
    assert job.roster.has_joined_from(own)
    assert not job.roster.has_joined_from(stranger)
    assert not job.roster.has_joined_from(origin(user=1000))
    # It may reach this host by another route later.
    other = origin("10.1.0.2", reached_at="10.1.0.1")
    fields = {"member": WORKER.id, "seen": 0}
    job.roster.handle("beat", {**fields, "run": "2"}, other)
    assert not job.roster.has_joined_from(other)
    job.roster.handle("beat", {**fields, "run": "1"}, other)
    assert job.roster.has_joined_from(other)


@pytest.mark.parametrize(
    ("verb", "what"),
    [
        ("report", {"kind": "failed", "cause": failure()}),
        ("report", {"kind": "done", "code": 0}),
        ("leave", {"code": 1, "early": True}),
    ],
)
def test_what_another_run_says_has_no_effect(verb, what):
    job = Job().start()
    assert job.say(verb, WORKER, run="2", **what) == {"unknown": True}
    job.roster.left(WORKER.id, "2")
    job.roster.left(WORKER.id, "1")
    assert job.kinds() == ["start"]
    assert set(job.roster.wait_for_leave(0)) == {"algo-2", "algo-3"}


@pytest.mark.parametrize(
    ("verb", "what"),
    [
        ("beat", {"seen": -1}),
        ("beat", {"seen": 10**9}),
        ("beat", {"seen": float("inf")}),
        ("beat", {"seen": True}),
        ("beat", {}),
        ("report", {"kind": ["failed"]}),
        ("report", {"kind": "failed", "cause": {**failure(), "code": "1"}}),
        ("report", {"kind": "failed", "cause": {**failure(), "host": None}}),
        ("report", {"kind": "failed", "cause": []}),
        ("report", {"kind": "broken", "generation": 1, "cause": failure()}),
        ("report", {"kind": "broken", "generation": 0, "cause": {}}),
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
    assert set(job.roster.wait_for_leave(0)) == {"algo-2", "algo-3"}


@pytest.mark.parametrize(("sent", "taken"), [(0, 1), (-9, 1), (256, 1), (255, 255), (7, 7)])
def test_a_failure_has_the_code_of_one(sent, taken):
    job = Job().start()
    job.say("report", WORKER, kind="failed", cause=failure(code=sent))
    assert job.cause().code == taken


def test_connections_of_one_host_are_bounded():
    job = Job().start()
    for _ in range(4):
        job.say("line", WORKER)
    with pytest.raises(ValueError, match="too many"):
        job.say("line", WORKER)


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
    job.say("report", EVALUATOR, run="2", kind="failed", cause=failure())
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


def test_what_is_broken_begins_anew_once_all_are_ready():
    job = Job(restarts=1).start()
    for member in (PS, CHIEF):
        # The second speaks of what has been seen to already.
        job.say("report", member, kind="broken", generation=0, cause=failure(code=200))
    assert job.kinds() == ["start", "again"]
    for member in (CHIEF, WORKER, PS):
        assert job.kinds(seen=2) == []
        job.say("report", member, kind="ready", generation=1)
    (told,) = job.news(CHIEF, seen=2)
    assert (told["kind"], told["generation"]) == ("start", 1)
    # Who comes now does not hear of the first beginning.
    assert job.join(WORKER) == 2
    job.say("report", PS, kind="broken", generation=1, cause=failure(code=200))
    assert job.cause().code == 200


def test_a_servers_host_that_is_lost_while_the_job_begins_anew_ends_it():
    job = Job(spared={WORKER.id}, restarts=3).start()
    # The chief cannot reach the server, before anybody knows that its whole host has gone.
    broken = failure(host="algo-1", process="chief", code=200)
    job.say("report", CHIEF, kind="broken", generation=0, cause=broken)
    job.pass_by(LOST + 1, CHIEF, WORKER)
    assert job.cause().line == f"host algo-3, ps 0: {SILENCE}"
    assert job.cause().code == 200


def test_a_spared_host_that_is_lost_while_the_job_begins_anew_may_come_again():
    job = Job(spared={WORKER.id}, restarts=3).start()
    job.say("report", PS, kind="broken", generation=0, cause=failure(host="algo-3"))
    job.pass_by(LOST + 1, CHIEF, PS)
    for member in (CHIEF, PS):
        job.say("report", member, kind="ready", generation=1)
    job.join(WORKER, run="2")
    assert job.cause() is None
    assert job.kinds() == ["start", "again", "start"]


def test_who_is_not_ready_again_in_time_is_named():
    job = Job(restarts=1, start_timeout=20).start()
    job.say("report", PS, kind="broken", generation=0, cause=failure(code=200))
    job.say("report", CHIEF, kind="ready", generation=1)
    job.say("report", PS, kind="ready", generation=1)
    job.pass_by(20.5, CHIEF, PS)
    assert job.cause().where == "host algo-2, worker 0"


def test_what_is_told_to_stop_does_not_begin_anew():
    job = Job(restarts=1).start()
    job.say("report", PS, kind="told")
    job.say("report", WORKER, kind="told")
    assert job.kinds() == ["start", "stopping"]
    job.say("report", PS, kind="broken", generation=0, cause=failure(code=200))
    assert job.cause().code == 200


def test_what_comes_after_the_chief_is_done_is_no_failure():
    job = Job().start()
    job.say("report", CHIEF, kind="done", code=143)
    job.say("report", WORKER, kind="failed", cause=failure())
    job.pass_by(LOST + 1, CHIEF, PS)
    assert job.news(CHIEF)[1:] == [{"kind": "done", "code": 143}]


def test_who_is_told_to_end_before_the_job_is_done_ends_it():
    job = Job().start()
    job.say("leave", PS, code=143, early=True)
    assert job.cause().line == "host algo-3, ps 0: was told to end before the job was done"
    assert job.cause().code == 143
    spared = Job(spared=frozenset({WORKER.id})).start()
    spared.say("leave", WORKER, code=143, early=True)
    assert spared.cause() is None
