"""A launcher's line to the one on the chief's host: it joins, beats, hears news, reports.

Two threads talk, so that the loop which watches the processes never waits for the network. One
fetches news and wakes the loop by a byte in a pipe; the other sends reports, in their order.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import queue
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from trainer.config import RETRY
from trainer.launch.plan import Member
from trainer.launch.printable import printable
from trainer.launch.rendezvous.coordinator import HOLD, HUNG, LOST
from trainer.launch.rendezvous.failure import Failure
from trainer.launch.rendezvous.keepalive import Keepalive
from trainer.launch.rendezvous.root_cause import SETTLE, SILENCE, SILENT, STUCK
from trainer.launch.rendezvous.signing import RefusedError
from trainer.launch.rendezvous.transport import Transport

# Opens an idle connection to the chief's host, given who we are.
OpenKeepalive = Callable[[Mapping[str, Any]], Keepalive]

# Between two attempts.
_PAUSE = 0.25
# For an attempt to reach a host that does not answer.
_ATTEMPT = 2.0
# For an answer to a beat, beyond the time for which it is held back: two of them fit into the time
# in which a connection is known to be broken.
_MORE = 1.0
# Between two lines that say for whom we wait.
_PROGRESS = 10.0
_NO_CARD: Mapping[str, Any] = MappingProxyType({})
# How long the run that has joined in this host's place has to be heard of to be known to live: one
# that had died just before would have fallen silent.
_LIVES = 2 * SILENT
# The exit code of a user's mistake.
USER_MISTAKE = 2
# For the last words of this host.
_FAREWELL = 2.0
# For them to be heard by a chief that is held up.
_LAST = 8.0


class CoordinatorClient:
    """This host's line to all others.

    Args:
        post: The way to the roster.
        member: This host.
        name: What it is called.
        chief: What the chief's host is called.
        port: Where it is to be found there.
        count: How many processes it has that train.
        spec: What all hosts have to agree on, by name.
        start_timeout: Seconds for the chief to answer.
        card: What the others are told of this host when the job starts.
        open_line: Tells a chief whose launcher gets no processor from one that is gone.

    Attributes:
        fd: Readable when there is news.
    """

    def __init__(
        self,
        post: Transport,
        *,
        member: Member,
        name: str,
        chief: str,
        port: int,
        count: int,
        spec: Mapping[str, Any],
        start_timeout: float,
        card: Mapping[str, Any] = _NO_CARD,
        open_line: OpenKeepalive | None = None,
    ) -> None:
        self._post = post
        self._member = member
        self._name = name
        self._chief = chief
        self._port = port
        self._spec = spec
        self._card = card
        self._count = count
        self._start_timeout = start_timeout
        self._open_line = open_line
        self._line: Keepalive | None = None
        self._me = {"member": member.id, "run": uuid.uuid4().hex}
        self._news: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._reports: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._over = threading.Event()
        self._gone = False
        self.fd, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._threads = [
            threading.Thread(target=work, name=name, daemon=True)
            for work, name in ((self._listen, "peers"), (self._send, "reports"))
        ]

    def __enter__(self) -> CoordinatorClient:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._reports.put(None)
        for thread in self._threads:
            thread.join(timeout=_FAREWELL)
        if self._line:
            self._line.close()
        if not any(thread.is_alive() for thread in self._threads):
            os.close(self.fd)
            os.close(self._wake)

    def news(self) -> list[dict[str, Any]]:
        """What has come since the last call."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.fd, 65536)
        found = []
        while True:
            try:
                found.append(self._news.get_nowait())
            except queue.Empty:
                return found

    def report(self, kind: str, **what: Any) -> None:
        """Tell the roster something; it is sent later, in order."""
        self._reports.put({"kind": kind, **what})

    def leave(self, *, code: int, early: bool, cause: Failure | None) -> Failure | None:
        """Send what is left to be told, and say goodbye.

        Args:
            code: This host's exit code.
            early: Whether it was told to end before its part was done.
            cause: Why the job failed, as far as this host knows.

        Returns:
            Why the job failed, as the chief knows it.
        """
        self._over.set()
        self._reports.put(None)
        if self._gone:
            return cause
        self._threads[1].join(timeout=_FAREWELL)
        told = {**self._me, "code": code, "early": early}
        until = time.monotonic() + _LAST
        while True:
            try:
                answer = self._post("leave", told, SETTLE + _FAREWELL)
                return Failure.from_dict(answer["cause"]) if answer.get("cause") else cause
            except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
                if self._is_there() and time.monotonic() < until:
                    time.sleep(_PAUSE)
                    continue
            # What looked like a process that is gone was the chief's whole host.
            return self._chief_lost(SILENCE) if cause and cause.echo else cause

    def _listen(self) -> None:
        seen = self._join()
        if seen is not None:
            self._hold_line()
        heard = time.monotonic()
        began = told_at = heard
        while seen is not None and not self._over.is_set():
            left = max(_PAUSE, heard + self._patience() - time.monotonic())
            try:
                answer = self._post("beat", {**self._me, "seen": seen}, min(left, HOLD + _MORE))
                unknown = "unknown" in answer
                seen, news, missing = (
                    (seen, [], [])
                    if unknown
                    else (int(answer["seen"]), list(answer["news"]), list(answer["missing"]))
                )
                kinds = [each["kind"] for each in news]
            except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
                silent = time.monotonic() - heard
                if silent >= self._patience():
                    self._lost(STUCK if self._is_there() else SILENCE)
                    return
                self._over.wait(_PAUSE)
                continue
            if unknown:
                self._lost("its launcher was started a second time, so the first one has died")
                return
            heard = time.monotonic()
            for each in news:
                self._tell(each)
            if "again" in kinds:
                began = told_at = heard
            self._hold_line()
            if missing and heard - told_at >= _PROGRESS:
                told_at = heard
                who = ", ".join(map(str, missing))
                self._waiting(f"waiting for {who}: {heard - began:.0f} s")

    def _join(self) -> int | None:
        """Join; the number of the news to begin with, or None if that cannot be."""
        began = told_at = time.monotonic()
        told = {
            **self._me, "host": self._name, "task": self._member.task, "count": self._count,
            "spec": dict(self._spec), "card": dict(self._card),
        }  # fmt: skip
        problem, occupied, since = "no answer", "", None
        while not self._over.is_set():
            try:
                answer = self._post("join", told, _ATTEMPT)
                if "refused" in answer:
                    self._refused(str(answer["refused"]))
                    return None
                if "occupied" not in answer:
                    return int(answer["seen"])
                problem = occupied = str(answer["occupied"])
                since = (since or time.monotonic()) if answer.get("beating") is True else None
                if since and time.monotonic() - since >= _LIVES:
                    self._refused(occupied)
                    return None
            except RefusedError as error:
                self._refused(str(error))
                return None
            except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
                problem = getattr(error, "strerror", None) or str(error) or type(error).__name__
                occupied, since = "", None
            now = time.monotonic()
            if now - began >= self._start_timeout:
                within = f"within {self._start_timeout:g} s (--start-timeout)"
                if occupied:
                    self._refused(occupied)
                else:
                    self._lost(f"cannot be reached at port {self._port} {within}: {problem}")
                return None
            if now - told_at >= _PROGRESS:
                told_at = now
                where = f"{self._chief}:{self._port}"
                self._waiting(f"waiting for the chief at {where}: {now - began:.0f} s, {problem}")
            self._over.wait(min(_PAUSE, began + self._start_timeout - now))
        return None

    def _send(self) -> None:
        while (what := self._reports.get()) is not None:
            # When it cannot be told for so long, the chief counts as lost anyway.
            began = time.monotonic()
            while time.monotonic() - began < self._patience() and not self._gone:
                try:
                    self._post("report", {**self._me, **what}, _ATTEMPT)
                    break
                except (OSError, http.client.HTTPException, ValueError):
                    time.sleep(_PAUSE)

    def _hold_line(self) -> None:
        """Open the connection, or open it again, while the chief is there."""
        if self._open_line and not self._over.is_set() and not self._is_there():
            self._line = self._open_line(self._me)

    def _patience(self) -> float:
        return HUNG if self._is_there() else LOST

    def _is_there(self) -> bool:
        """Whether the chief's host is, as far as its kernel tells."""
        return self._line is not None and self._line.up

    def _lost(self, reason: str) -> None:
        self._gone = True
        self._tell({"kind": "failed", "cause": self._chief_lost(reason).to_dict()})

    def _refused(self, reason: str) -> None:
        """Give up, as the chief does not take this host; it is no failure of the job's."""
        self._gone = True
        where = f"{self._chief}:{self._port}"
        cause = Failure(
            host=self._name,
            process=self._member.task,
            code=USER_MISTAKE,
            reason=f"refused by the chief at {where}: {printable(reason)}",
        )
        self._tell({"kind": "refused", "cause": cause.to_dict()})

    def _chief_lost(self, reason: str) -> Failure:
        return Failure(host=self._chief, process="chief", code=RETRY, reason=reason)

    def _waiting(self, text: str) -> None:
        self._tell({"kind": "note", "text": text})

    def _tell(self, what: dict[str, Any]) -> None:
        self._news.put(what)
        # A full pipe wakes as well.
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake, b"x")
