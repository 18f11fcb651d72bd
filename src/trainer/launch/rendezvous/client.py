"""Client of the coordinator: it joins, sends heartbeats, receives broadcasts, reports, leaves.

Two threads communicate, so that the loop which watches the processes never waits for the network.
One receives broadcasts and wakes the loop by a byte in a pipe; the other sends reports, in order.
"""

from __future__ import annotations

import http.client
import logging
import queue
import threading
import time
import uuid
from typing import Any

from trainer.config import RETRY_CODE
from trainer.launch.rendezvous.failure import Failure
from trainer.launch.rendezvous.joining import GiveUp, Joining, WaitProgress
from trainer.launch.rendezvous.keepalive import Keepalive, OpenConnection
from trainer.launch.rendezvous.liveness import Liveness
from trainer.launch.rendezvous.mailbox import Mailbox
from trainer.launch.rendezvous.messages import Failed, Message, Note, Refused, Restart, Start
from trainer.launch.rendezvous.requests import (
    Heartbeat,
    Join,
    Leave,
    ReportRequest,
    Request,
    Sender,
)
from trainer.launch.rendezvous.responses import (
    HeartbeatResponse,
    Joined,
    LeaveResponse,
    UnknownRun,
    join_response_from,
)
from trainer.launch.rendezvous.root_cause import SILENCE
from trainer.launch.rendezvous.transport import Transport
from trainer.launch.timeouts import DEFAULTS, Timeouts
from trainer.runtime import printable

logger = logging.getLogger(__name__)

# The exit code of a user's mistake.
USER_MISTAKE = 2
# The coordinator is not there, or what responds is no coordinator.
_UNANSWERED = (OSError, http.client.HTTPException, ValueError, KeyError, TypeError)
_SECOND_START = "its launcher was started a second time, so the first one has died"


class CoordinatorClient:
    """A launcher's access to the coordinator.

    Args:
        transport: The way to the coordinator.
        id: The id of this host's member.
        join: The request by which this host joins.
        chief: The name of the chief's host.
        port: The coordinator's port there.
        start_timeout: Seconds for the coordinator to take this host.
        open_keepalive: Opens the connection by which a coordinator starved of CPU differs
            from one that is gone; None in the coordinator's own process.
        timeouts: How long to wait for the coordinator.

    Attributes:
        fd: Readable when there are messages.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        id: str,
        join: Join,
        chief: str,
        port: int,
        start_timeout: float,
        open_keepalive: OpenConnection | None = None,
        timeouts: Timeouts = DEFAULTS,
    ) -> None:
        self._transport = transport
        self._id = id
        self._join_request = join
        self._chief = chief
        self._port = port
        self._start_timeout = start_timeout
        self._open_keepalive = open_keepalive
        self._timeouts = timeouts
        self._keepalive: Keepalive | None = None
        self._sender = Sender(id, uuid.uuid4().hex)
        self._generation = 0
        self._mailbox = Mailbox()
        self.fd = self._mailbox.fd
        self._reports: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._given_up = False
        self._threads = [
            threading.Thread(target=work, name=name, daemon=True)
            for work, name in ((self._receive, "heartbeats"), (self._send_reports, "reports"))
        ]

    def __enter__(self) -> CoordinatorClient:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._reports.put(None)
        for thread in self._threads:
            thread.join(timeout=self._timeouts.farewell)
        if self._keepalive:
            self._keepalive.close()
        if not any(thread.is_alive() for thread in self._threads):
            self._mailbox.close()

    def messages(self) -> list[Message]:
        """Return what was received since the last call, the client's own notes among it."""
        return self._mailbox.take()

    def report(self, message: Message) -> None:
        """Report something to the coordinator; it is sent later, in order."""
        self._reports.put(message)

    def leave(self, *, code: int, early: bool, failure: Failure | None) -> Failure | None:
        """Send the reports that are left, and say goodbye.

        Args:
            code: This host's exit code.
            early: Whether it was stopped before its part was done.
            failure: Why the job failed, as far as this host knows.

        Returns:
            Why the job failed, as the coordinator knows it.
        """
        self._closing.set()
        self._reports.put(None)
        if self._given_up:
            return failure
        times, goodbye = self._timeouts, Leave(code=code, early=early)
        self._threads[1].join(timeout=times.farewell)
        until = time.monotonic() + times.leave
        while True:
            try:
                answer = self._request(goodbye, timeout=times.settle + times.farewell)
                return LeaveResponse.from_dict(answer).failure or failure
            except _UNANSWERED:
                if self._is_connected() and time.monotonic() < until:
                    time.sleep(times.retry_pause)
                    continue
            # The process that this host reports as lost was part of the loss of the chief's host.
            secondary = failure and failure.secondary
            return self._chief_lost(SILENCE) if secondary else failure

    # ---- the thread that receives

    def _receive(self) -> None:
        joined = self._join()
        if joined is None:
            return
        self._connect()
        position, now = joined.position, time.monotonic()
        liveness = Liveness(self._timeouts, now)
        progress = WaitProgress(every=self._timeouts.progress, now=now)
        while not self._closing.is_set():
            now, connected = time.monotonic(), self._is_connected()
            timeout = liveness.request_timeout(now, connected=connected)
            try:
                answer = self._request(Heartbeat(position=position), timeout=timeout)
                if UnknownRun.matches(answer):
                    self._lose(_SECOND_START)
                    return
                response = HeartbeatResponse.from_dict(answer)
            except _UNANSWERED:
                loss = liveness.loss(time.monotonic(), connected=self._is_connected())
                if loss:
                    self._lose(loss)
                    return
                self._closing.wait(self._timeouts.retry_pause)
                continue
            now, position = time.monotonic(), response.position
            liveness.responded(now)
            for message in response.broadcasts:
                self._deliver(message)
            if any(isinstance(message, Restart) for message in response.broadcasts):
                progress = WaitProgress(every=self._timeouts.progress, now=now)
            self._connect()
            if response.missing and progress.is_due(now):
                names, seconds = ", ".join(response.missing), progress.seconds(now)
                self._mailbox.put(Note(text=f"waiting for {names}: {seconds:.0f} s"))

    def _join(self) -> Joined | None:
        """Join, and return where in the broadcasts to begin; None if this host cannot join."""
        joining = Joining(
            chief=self._chief,
            port=self._port,
            start_timeout=self._start_timeout,
            timeouts=self._timeouts,
            now=time.monotonic(),
        )
        while not self._closing.is_set():
            try:
                answer = self._request(self._join_request, timeout=self._timeouts.request)
                step = joining.on_response(join_response_from(answer), time.monotonic())
            except _UNANSWERED as error:
                step = joining.on_error(error, time.monotonic())
            logger.debug("attempt of %s to join: %s", self._id, type(step).__name__)
            if isinstance(step, Joined):
                return step
            if isinstance(step, GiveUp):
                self._give_up(step)
                return None
            if step.note:
                self._mailbox.put(Note(text=step.note))
            self._closing.wait(step.pause)
        return None

    # ---- the thread that sends

    def _send_reports(self) -> None:
        times = self._timeouts
        while (message := self._reports.get()) is not None:
            report = ReportRequest(message=message)
            # If the report cannot be sent for so long, the coordinator counts as lost anyway.
            began = time.monotonic()
            while not self._given_up:
                limit = times.hung_after if self._is_connected() else times.lost_after
                if time.monotonic() - began >= limit:
                    break
                try:
                    self._request(report, timeout=times.request)
                    break
                except (OSError, http.client.HTTPException, ValueError):
                    time.sleep(times.retry_pause)

    # ---- both

    def _request(self, request: Request, *, timeout: float) -> dict[str, Any]:
        fields = {**self._sender.to_dict(), **request.to_dict()}
        logger.debug(
            "sent %s from %s to %s:%d, generation %d",
            request.name, self._id, self._chief, self._port, self._generation,
        )  # fmt: skip
        try:
            return self._transport(request.verb, fields, timeout)
        except _UNANSWERED as error:
            # Log only the kind of error: its text may hold bytes that another program sent.
            reason = getattr(error, "strerror", None) or type(error).__name__
            logger.debug("no response to %s from %s: %s", request.name, self._id, reason)
            raise

    def _connect(self) -> None:
        """Open the keepalive connection, or open it again, while the coordinator is there."""
        if self._open_keepalive and not self._closing.is_set() and not self._is_connected():
            self._keepalive = self._open_keepalive(self._sender)
            state = "open" if self._keepalive.is_open else "refused"
            logger.debug("sent keepalive from %s to %s: %s", self._id, self._chief, state)

    def _is_connected(self) -> bool:
        """Return whether the coordinator's host is there, as far as its kernel says."""
        return self._keepalive is not None and self._keepalive.is_open

    # ---- to the agent

    def _lose(self, reason: str) -> None:
        """Count the coordinator as lost."""
        self._given_up = True
        self._mailbox.put(Failed(failure=self._chief_lost(reason)))

    def _give_up(self, step: GiveUp) -> None:
        if not step.refused:
            self._lose(step.reason)
            return
        # The failure of this host, not of the job.
        self._given_up = True
        where = f"{self._chief}:{self._port}"
        failure = Failure(
            host=self._join_request.host,
            process=self._join_request.task,
            code=USER_MISTAKE,
            reason=f"refused by the chief at {where}: {printable(step.reason)}",
        )
        self._mailbox.put(Refused(failure=failure))

    def _chief_lost(self, reason: str) -> Failure:
        return Failure(host=self._chief, process="chief", code=RETRY_CODE, reason=reason)

    def _deliver(self, message: Message) -> None:
        """Hand a broadcast to the agent."""
        if isinstance(message, (Start, Restart)):
            self._generation = message.generation
        logger.debug(
            "received %s from %s:%d for %s, generation %d",
            message.kind, self._chief, self._port, self._id, self._generation,
        )  # fmt: skip
        self._mailbox.put(message)
