import pytest

from trainer.backends.vertex.log_entries import LogEntries, line_of
from trainer.config import RetryableError, UserError


class Pages:
    """A session that answers each request with the next page."""

    def __init__(self, *pages) -> None:
        self.pages, self.bodies = [*pages], []

    def request(self, method, path, *, body):
        assert (method, path) == ("POST", "/v2/entries:list")
        self.bodies.append(dict(body))
        page = self.pages.pop(0)
        if isinstance(page, Exception):
            raise page
        return page


def entry(name: str, second: int, text: str) -> dict:
    return {
        "insertId": name,
        "timestamp": f"2026-01-01T00:00:{second:02}.5Z",
        "textPayload": text,
        "resource": {"type": "ml_job", "labels": {"task_name": "workerpool0-0"}},
    }


def reader(*pages) -> tuple[LogEntries, Pages]:
    session = Pages(*pages)
    return LogEntries(session, project="p", number="7", since=1767225600.0), session


def test_only_entries_since_the_job_was_created_are_asked_for():
    entries, session = reader({})
    assert entries.read() == []
    (body,) = session.bodies
    assert body["filter"] == (
        'resource.type="ml_job" AND resource.labels.job_id="7" AND '
        'timestamp>="2025-12-31T23:59:00Z"'
    )
    assert body["resourceNames"] == ["projects/p"]


def test_an_entry_that_arrives_late_comes_once_and_none_twice():
    entries, _ = reader(
        {"entries": [entry("a", 1, "one")], "nextPageToken": "x"},
        {"entries": [entry("c", 3, "three")]},
        {"entries": [entry("a", 1, "one"), entry("b", 2, "two"), entry("c", 3, "three")]},
        {"entries": [entry("c", 3, "three")]},
    )
    assert [line.text for line in entries.read()] == ["one", "three"]
    assert [line.text for line in entries.read()] == ["two"]
    assert entries.read() == []


def test_a_minute_with_too_many_questions_is_waited_for():
    refused = UserError(subject="Cloud Logging", problem="Quota exceeded (RESOURCE_EXHAUSTED)")
    entries, _ = reader(refused, {"entries": [entry("a", 1, "one")]})
    with pytest.raises(RetryableError):
        entries.read()
    assert [line.text for line in entries.read()] == ["one"]


def test_other_refusals_are_the_users():
    entries, _ = reader(UserError(subject="Cloud Logging", problem="no (PERMISSION_DENIED)"))
    with pytest.raises(UserError):
        entries.read()


def shown(**fields) -> list[tuple[str, str]]:
    resource = {"labels": {"task_name": "workerpool1-0"}}
    return [(line.host, line.text) for line in line_of({"resource": resource} | fields, 1.0)]


def test_lines_of_ours_have_their_message_and_their_process():
    assert shown(jsonPayload={"message": "step=1", "loss": 2.0, "process": "rank 1"}) == [
        ("workerpool1-0 rank 1", "step=1")
    ]
    assert shown(jsonPayload={"message": "damaged"}, severity="WARNING") == [
        ("workerpool1-0", "WARNING: damaged")
    ]


def test_lines_of_a_trial_name_it():
    assert shown(textPayload="a", labels={"ml.googleapis.com/trial_id": "3"}) == [
        ("trial 3 workerpool1-0", "a")
    ]


def test_lines_of_other_programs():
    assert shown(textPayload="two\nlines\n") == [
        ("workerpool1-0", "two"), ("workerpool1-0", "lines"),
    ]  # fmt: skip
    assert shown(jsonPayload={"other": 1}) == [("workerpool1-0", "{'other': 1}")]
    # The service marks all that goes to stderr as an error.
    assert shown(jsonPayload={"message": "a", "levelname": "ERROR"}, severity="ERROR") == [
        ("workerpool1-0", "a")
    ]
