"""Follow a job to its end: its lines, its state, and what its end means here."""

from __future__ import annotations

import logging
import re
import time
from collections import deque
from collections.abc import Callable

from trainer.backends.backend import JobService, JobStatus, LogReader
from trainer.config import RetryableError
from trainer.runtime import StopRequest, output

logger = logging.getLogger(__name__)

# Seconds between two questions for the state, and at most between two lines that say it.
POLL, LONGEST = 5.0, 60.0
# Lines of a failed job that are shown again below its failure.
LAST_LINES = 10
FAILURE, INTERRUPTED, TERMINATED = 1, 130, 143
_EXIT = re.compile(r"exit(?:ed with)?[ _-]?(?:code|status)?[ :=]+(\d{1,3})\b", re.IGNORECASE)


class Follower:
    """Prints what a job prints until it ends.

    Args:
        service: The backend's service.
        name: The job.
        stop: Set by SIGINT or SIGTERM.
        again: The command that follows the job again.
        clock: Returns seconds.
        pause: Waits for some seconds, and returns early on a stop.
    """

    def __init__(
        self,
        service: JobService,
        name: str,
        *,
        stop: StopRequest,
        again: str,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], bool] | None = None,
    ) -> None:
        self._service, self._name, self._stop, self._again = service, name, stop, again
        self._clock, self._pause = clock, pause or stop.wait
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        self._said, self._said_at = "", clock()
        self._outage = ""

    def follow(self) -> int:
        """Print the job's lines and states until it ends.

        Returns:
            The exit code: 0 for a job that completed, the job's own where it is known, 1 for any
            other that failed or was stopped, 130 if the follower was interrupted, which leaves the
            job as it is.
        """
        reader = self._service.logs(self._name)
        while True:
            # Asked before the lines are read, so that those of a job that has ended are all there.
            status = self._status()
            self._print_lines(reader)
            if status:
                if status.late_lines:
                    self._pause(status.late_lines)
                    self._print_lines(reader)
                self._say(status)
                if status.is_over:
                    self._print_lines(reader)
                    return self._end(status)
            if self._stop() or self._pause(POLL):
                logger.warning("the job goes on; to follow it again: %s", self._again)
                return INTERRUPTED

    def _status(self) -> JobStatus | None:
        """Return the job's state, or None while the service does not answer."""
        try:
            status = self._service.status(self._name)
        except RetryableError as error:
            if str(error) != self._outage:
                self._outage = str(error)
                logger.warning("%s; still following", error)
            return None
        self._outage = ""
        return status

    def _print_lines(self, reader: LogReader) -> None:
        try:
            lines = reader.read()
        except RetryableError as error:
            if str(error) != self._outage:
                self._outage = str(error)
                logger.warning("%s; still following", error)
            return
        for line in lines:
            text = f"[{line.host}] {line.text}" if line.host else line.text
            output.out(text)
            self._last.append(text)

    def _say(self, status: JobStatus) -> None:
        text = f"{status.state}: {status.detail}" if status.detail else status.state
        now = self._clock()
        if text == self._said and now - self._said_at < LONGEST:
            return
        self._said, self._said_at = text, now
        waited = f" for {span_text(time.time() - status.started)}" if status.started else ""
        logger.info("%s %s%s", self._name, text, "" if status.is_over else waited)

    def _end(self, status: JobStatus) -> int:
        if status.state == "completed":
            return 0
        output.err(f"trainer: job {self._name} {status.state}: {status.failure or status.detail}")
        if status.state == "failed" and self._last:
            output.err("\n".join(["its last lines:", *(f"  {line}" for line in self._last)]))
        return exit_code_of(status)


def exit_code_of(status: JobStatus) -> int:
    """Return the exit code of the command that followed a job to its end."""
    if status.state == "completed":
        return 0
    if status.exit_code:
        return status.exit_code
    found = _EXIT.search(f"{status.failure} {status.detail}")
    if found and 0 < int(found.group(1)) < 256:
        return int(found.group(1))
    return FAILURE if status.state == "failed" else TERMINATED


def span_text(seconds: float) -> str:
    """Return a time span as people write it: `45 s`, `12 min`, `3 h 05 min`."""
    whole = max(0, int(seconds))
    if whole < 120:
        return f"{whole} s"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
