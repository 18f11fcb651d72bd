"""The lines of a job in Cloud Logging.

Sources: `entries.list` and `LogEntry` of the Cloud Logging API, v2; gcloud's `ai/log_util.py` for
the filter: `resource.type="ml_job"` and the job's number as `resource.labels.job_id`.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from trainer.backends.backend import LogLine
from trainer.backends.vertex.states import seconds
from trainer.clouds import GoogleSession
from trainer.config import RetryableError, UserError

PAGE = 1000
# An entry may arrive after others that are later: each call asks for this many seconds again.
LATE = 60.0
# Severities that a line shows, as it may not say them itself.
_SHOWN = ("WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY")


class LogEntries:
    """Reads the lines of all replicas of a job, oldest first.

    Args:
        session: A session with Cloud Logging.
        project: The project of the job.
        number: The number of the job, the last part of its name.
        since: When the job was created, in seconds since 1970; no line is older, and without a time
            the service searches all that it has.
    """

    def __init__(
        self, session: GoogleSession, *, project: str, number: str, since: float = 0.0
    ) -> None:
        self._session, self._project, self._number = session, project, number
        self._newest = since
        # Of the entries of the last minute, those that have been returned.
        self._returned: dict[str, float] = {}

    def read(self) -> Sequence[LogLine]:
        """See `LogReader.read`."""
        entries = [e for e in self._entries() if str(e.get("insertId")) not in self._returned]
        lines = []
        for entry in sorted(entries, key=lambda e: str(e.get("timestamp") or "")):
            when = seconds(entry.get("timestamp")) or 0.0
            self._returned[str(entry.get("insertId"))] = when
            self._newest = max(self._newest, when)
            lines += line_of(entry, when)
        oldest = self._newest - 2 * LATE
        self._returned = {name: when for name, when in self._returned.items() if when >= oldest}
        return lines

    def _entries(self) -> Iterator[Mapping[str, Any]]:
        words = ['resource.type="ml_job"', f'resource.labels.job_id="{self._number}"']
        if self._newest:
            since = datetime.datetime.fromtimestamp(self._newest - LATE, datetime.UTC)
            words.append(f'timestamp>="{since.isoformat().replace("+00:00", "Z")}"')
        body: dict[str, Any] = {
            "resourceNames": [f"projects/{self._project}"],
            "filter": " AND ".join(words),
            "orderBy": "timestamp asc",
            "pageSize": PAGE,
        }
        while True:
            try:
                answer = self._session.request("POST", "/v2/entries:list", body=body)
            except UserError as error:
                if "RESOURCE_EXHAUSTED" in error.problem:
                    # So many questions a minute; the next minute has others.
                    raise RetryableError(f"Cloud Logging: {error.problem}") from None
                raise
            yield from answer.get("entries", ())
            if not answer.get("nextPageToken"):
                return
            body["pageToken"] = answer["nextPageToken"]


def line_of(entry: Mapping[str, Any], when: float) -> list[LogLine]:
    """Return the lines of an entry: one, or several of a text with line ends."""
    payload = entry.get("jsonPayload") or {}
    text = payload.get("message", entry.get("textPayload"))
    if text is None:
        text = str(payload) if payload else ""
    severity = str(entry.get("severity") or "")
    labels = (entry.get("resource") or {}).get("labels") or {}
    host = str(labels.get("task_name") or "")
    trial = (entry.get("labels") or {}).get("ml.googleapis.com/trial_id")
    process = payload.get("process")
    parts = [f"trial {trial}" if trial else "", host, str(process) if process else ""]
    # Vertex AI marks all of stderr as an error; a line of ours says so itself.
    mark = f"{severity}: " if severity in _SHOWN and "levelname" not in payload else ""
    lines = str(text).rstrip("\n").split("\n")
    return [
        LogLine(host=" ".join(filter(None, parts)), text=f"{mark}{line}", time=when)
        for line in lines
    ]
