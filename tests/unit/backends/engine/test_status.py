"""The state of a job, from what an engine says of its containers."""

from __future__ import annotations

from typing import Any

import pytest

from trainer.backends.engine.job import CHIEF, HOST
from trainer.backends.engine.status import failure_line, job_status, seconds_of

START, END = "2026-01-02T03:04:05.123456789Z", "2026-01-02T03:05:05Z"
NEVER = "0001-01-01T00:00:00Z"


def container(host: str, status: str, code: int = 0, *, end: str = END, **state: Any) -> dict:
    live = status in ("running", "created")
    labels = {HOST: host} | ({CHIEF: "true"} if host == "chief" else {})
    return {
        "Name": f"/job-{host}",
        "Config": {"Labels": labels},
        "HostConfig": {"Memory": state.pop("memory", 0)},
        "State": {
            "Status": status, "ExitCode": code, "OOMKilled": False, "Error": "",
            "StartedAt": NEVER if status == "created" else START,
            "FinishedAt": NEVER if live else end, **state,
        },
    }  # fmt: skip


def test_a_job_runs_while_one_of_its_containers_does():
    status = job_status([container("chief", "running"), container("worker", "exited")])
    assert (status.state, status.detail, status.exit_code) == ("running", "exited of worker", None)
    assert status.started == seconds_of(START)


def test_a_job_that_has_not_started_waits():
    assert job_status([container("chief", "created")]).state == "waiting"


def test_a_container_that_cannot_start_is_a_failure_with_its_reason():
    status = job_status([container("chief", "created", 128, Error="network none not found")])
    assert (status.state, status.failure) == ("failed", "network none not found")


def test_an_unhealthy_container_says_so_while_it_runs():
    sick = container("chief", "running", Health={"Status": "unhealthy"})
    assert job_status([sick]).detail == "unhealthy"


def test_the_chiefs_good_end_is_the_jobs():
    status = job_status([container("chief", "exited"), container("worker", "exited", 143)])
    assert (status.state, status.exit_code) == ("completed", 0)
    assert status.ended == seconds_of(END)


def test_the_first_that_failed_by_itself_decides():
    status = job_status(
        [
            container("chief", "exited", 201),
            container("worker-0", "exited", 1, end="2026-01-02T03:04:40Z"),
            container("worker-1", "exited", 7, end="2026-01-02T03:04:30Z"),
        ]
    )
    assert (status.state, status.exit_code) == ("failed", 7)
    assert status.detail == "exit code 7 of worker-1"


def test_sigterm_is_a_stop():
    status = job_status([container("chief", "exited", 143), container("worker", "exited", 201)])
    assert (status.state, status.exit_code) == ("stopped", 143)


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ({"OOMKilled": True, "memory": 2**30}, "killed for lack of memory: --memory allows 1024 M"),
        ({"OOMKilled": True}, "killed for lack of memory: the machine has no more"),
        ({}, "killed (SIGKILL)"),
    ],
)
def test_a_kill_says_why(state, text):
    assert job_status([container("chief", "exited", 137, **state)]).failure.startswith(text)


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (["step=1", "[a rank 0] trainer: error: --x: bad", "later"], "--x: bad"),
        (['{"severity": "ERROR", "message": "trainer: failed: no room"}'], "no room"),
        (["Traceback", "ValueError: x", ""], "ValueError: x"),
        ([], ""),
    ],
)
def test_the_line_that_says_why_a_job_failed_is_found(lines, text):
    assert failure_line(lines) == text


def test_a_time_of_nine_digits_is_read_and_one_that_never_came_is_none():
    assert seconds_of(START) == pytest.approx(1767323045.123456)
    assert seconds_of("2026-01-02T04:04:05+01:00") == 1767323045
    assert seconds_of(NEVER) is None
    assert seconds_of("no time") is None
