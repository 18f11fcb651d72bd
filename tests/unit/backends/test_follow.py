import dataclasses

import pytest

from trainer.backends import Follower, JobStatus, exit_code_of
from trainer.backends.backend import LogLine
from trainer.config import RetryableError
from trainer.runtime import StopRequest, log


class FakeService:
    """A service whose job does what a list of states and lines says, one at each question."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.lines = []

    def status(self, name):
        found = self.answers.pop(0)
        if isinstance(found, Exception):
            raise found
        self.lines = found[1]
        return found[0]

    def logs(self, name):
        return self

    def read(self):
        lines, self.lines = self.lines, []
        return lines


def follow(service, stop=None):
    stop, again = stop or StopRequest(), "trainer jobs logs job"
    return Follower(service, "job", stop=stop, again=again, pause=lambda _: False).follow()


RUNNING = JobStatus(state="running")
DONE = JobStatus(state="completed")


def test_lines_are_printed_with_their_host_until_the_job_completes(capsys):
    log.begin(to="err")
    service = FakeService(
        (RUNNING, [LogLine(host="algo-1", text="step=1")]), (DONE, [LogLine(host="", text="end")])
    )
    assert follow(service) == 0
    out, err = capsys.readouterr()
    assert out == "[algo-1] step=1\nend\n"
    assert err.splitlines() == ["job running", "job completed"]


def test_lines_that_a_service_shows_late_are_waited_for(capsys):
    """The last lines of a job that failed say why."""
    log.begin(to="err")
    waits = []
    ended = dataclasses.replace(DONE, late_lines=5.0)
    service = FakeService((ended, [LogLine(host="", text="early")]))

    def pause(seconds):
        waits.append(seconds)
        service.lines = [LogLine(host="", text="late")]
        return False

    assert Follower(service, "job", stop=StopRequest(), again="", pause=pause).follow() == 0
    assert (capsys.readouterr().out, waits) == ("early\nlate\n", [5.0])


def test_a_failed_job_shows_why_and_its_last_lines(capsys):
    failed = JobStatus(state="failed", failure="ExecuteUserScriptError: exit code 2")
    service = FakeService((failed, [LogLine(host="a", text="trainer: error: bad")]))
    assert follow(service) == 2
    err = capsys.readouterr().err
    assert "job job failed: ExecuteUserScriptError: exit code 2" in err
    assert "  [a] trainer: error: bad" in err


def test_an_outage_of_the_service_does_not_end_the_following(capsys):
    assert follow(FakeService(RetryableError("no answer"), (DONE, []))) == 0


def test_an_interrupt_leaves_the_job_and_says_how_to_come_back(caplog):
    stop = StopRequest()
    stop.set()
    with caplog.at_level("WARNING"):
        assert follow(FakeService((RUNNING, [])), stop) == 130
    assert "the job goes on; to follow it again: trainer jobs logs job" in caplog.text


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (JobStatus(state="completed"), 0),
        (JobStatus(state="failed", exit_code=200), 200),
        (JobStatus(state="failed", failure="AlgorithmError: exit code: 2"), 2),
        (JobStatus(state="failed", failure="exited with code 137"), 137),
        (JobStatus(state="failed", failure="quota"), 1),
        (JobStatus(state="stopped"), 143),
    ],
)
def test_the_exit_code_is_the_jobs_where_it_is_known(status, code):
    assert exit_code_of(status) == code
