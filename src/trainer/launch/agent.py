"""The part of one host in a job of several processes: what follows from what, here and elsewhere.

waiting --start--> running --the chief is done, or a failure--> ending --> over
   ^                  |
   +----- again ------+   a parameter server was lost: all begin anew from the checkpoint
"""

from __future__ import annotations

import dataclasses
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any

from trainer.config import PEER, RETRY, Job, UserError
from trainer.distribution import PlannedProcess, spec_of
from trainer.launch import failure_file
from trainer.launch.plan import Member
from trainer.launch.rendezvous.client import CoordinatorClient
from trainer.launch.rendezvous.failure import Failure, is_secondary
from trainer.launch.supervise.command import Command, Outcome
from trainer.launch.supervise.policy import Policy
from trainer.launch.supervise.process import ManagedProcess
from trainer.launch.supervise.supervisor import Supervisor
from trainer.runtime import output

# From SIGTERM to SIGKILL when the job has failed: a rank inside a collective cannot react.
PATIENCE = 2.0
# For servers and workers, when the chief has ended well.
_SERVING = 5.0
# For those who train beside the chief, once it has ended well.
CLOSING = 30.0
# For an evaluator to look at the last checkpoint.
EVALUATING = 60.0
# How often a worker or evaluator that ends is started again.
REVIVALS = 3
# For the chief to be told to end as well, before a worker's host goes alone.
_COMPANY = 5.0

# What starts a process of the job: the whole list, what the roster said, its place.
Commands = Callable[[Mapping[str, Any]], tuple[list[tuple[PlannedProcess, Command]], bool]]


class HostAgent(Policy):
    """The rules of this host.

    Args:
        job: As this host sees it.
        member: This host.
        name: What it is called.
        peers: The line to the others.
        commands: Makes the processes of this host and their commands from the news that the job
            starts; also says whether lines get a name.

    Attributes:
        cause: Why the job failed, as far as this host knows.
        done: The chief's exit code, once it has ended well.
    """

    def __init__(
        self,
        job: Job,
        *,
        member: Member,
        name: str,
        peers: CoordinatorClient,
        commands: Commands,
    ) -> None:
        self.fd = peers.fd
        self.cause: Failure | None = None
        self.done: int | None = None
        self._job = job
        self._member = member
        self._name = name
        self._peers = peers
        self._commands = commands
        self._served = spec_of(job).coordinated
        self._started: dict[str, tuple[PlannedProcess, Command]] = {}
        self._prefix = True
        self._waiting = True
        self._generation = 0
        self._again: int | None = None
        self._revived: dict[str, int] = {}
        self._told = self._stopping = self._broken = False
        self._codes: list[int] = []
        self._bad: ManagedProcess | None = None

    # ---- what happens here

    def ended(self, run: Supervisor, child: ManagedProcess) -> None:
        """A process has ended."""
        process, command = self._started[child.name]
        child.read()
        if self._again is not None:
            return
        if not self._helps(process):
            self._ended_training(run, child, process)
        elif child.told or self.cause or self.done is not None:
            return
        elif process.role == "ps":
            self._break(self._cause(child, process, code=RETRY))
        elif child.code == 2 or self._revived.get(command.name, 0) >= REVIVALS:
            self._fail(run, child, process)
        else:
            self._revived[command.name] = self._revived.get(command.name, 0) + 1
            child.kill()
            run.say(f"{child.name} ended with {child.code}; it is started again")
            self._begin(run, process, command)

    def _ended_training(
        self, run: Supervisor, child: ManagedProcess, process: PlannedProcess
    ) -> None:
        if child.code == 0 or (child.code == self._job.stopped_code and child.signal is None):
            self._codes.append(child.code)
            if process.role == "chief" and self.done is None:
                self._peers.report("done", code=child.code)
                self._close(run, child.code)
        elif child.told and child.signal is not None:
            # Ended from here, for a reason that is known; once the chief has saved, no failure.
            if self.done is None:
                self._bad = self._bad or child
        elif self.done is not None:
            # All is saved; a rank that only closes its connections may find the others gone.
            run.say(f"{child.name} ended with {child.code} after the chief had ended well")
        elif self._served and child.code in (RETRY, PEER) and not child.told:
            self._break(self._cause(child, process, code=RETRY))
        else:
            self._fail(run, child, process)

    def told(self, run: Supervisor, number: int) -> None:
        """This host was told to end."""
        self._told = True
        if not self._served or self._member.role == "evaluator":
            run.end(run.grace)
            return
        chief = [child for child in run.living if self._started[child.name][0].role == "chief"]
        held = any(process.role in ("chief", "ps") for process, _ in self._started.values())
        if held:
            # What is on the servers can only be saved by the chief.
            self._peers.report("told")
        else:
            self.until = time.monotonic() + _COMPANY
        run.end(run.grace, only=chief)

    def tick(self, run: Supervisor) -> None:
        """A time is over: for those who train still, or for the chief to be told too."""
        self.until = float("inf")
        if self.done is not None or not self._stopping:
            run.end(PATIENCE, sooner=True)

    def over(self, run: Supervisor) -> bool:
        """Whether this host's part is over, now that none of its processes is left."""
        if self.cause or self._told:
            return True
        if self._again is not None:
            self._generation, self._again = self._again, None
            self._waiting, self._broken = True, False
            self._started.clear()
            run.clear()
            self._peers.report("ready", generation=self._generation)
            return False
        return self.done is not None or not (self._waiting or self._broken)

    @property
    def early(self) -> bool:
        """Whether this host was told to end before its part was done."""
        return self._told and self.done is None and not (self._codes and self._bad is None)

    def outcome(self, ran: Outcome, cause: Failure | None) -> Outcome:
        """How it ended.

        Args:
            ran: The processes of this host.
            cause: Why the job failed, if it did.
        """
        if cause:
            return dataclasses.replace(ran, code=cause.code, failed=cause.process, cause=cause)
        if ran.failed:
            # It could not be killed.
            return ran
        if self._bad is not None:
            code = self._bad.code or 1
            return dataclasses.replace(
                ran,
                code=code,
                failed=self._bad.name,
                signal=self._bad.signal,
                tail=self._bad.tail,
                killed=self._bad.killed,
            )
        codes = self._codes or [128 + signal.SIGTERM if self.done is None else self.done]
        return dataclasses.replace(ran, code=max(codes), failed=None, tail=())

    # ---- what happens elsewhere

    def news(self, run: Supervisor) -> None:
        """Others have told something."""
        for told in self._peers.news():
            kind = told["kind"]
            if kind == "note":
                run.say(told["text"])
            elif kind == "start" and not self._told and self.cause is None:
                self._start(run, told)
            elif kind == "failed":
                self._fail_with(run, Failure.from_dict(told["cause"]))
            elif kind == "refused":
                # Nothing runs here yet, and the reason is the last line.
                self.cause = Failure.from_dict(told["cause"])
            elif kind == "again" and told["generation"] > self._generation:
                self._begin_anew(run, told)
            elif kind == "done" and self.done is None:
                self._close(run, int(told["code"]))
            elif kind == "stopping":
                self._stop(run, told["host"])

    def _start(self, run: Supervisor, told: dict[str, Any]) -> None:
        self._waiting = False
        self._generation = told["generation"]
        self._revived.clear()
        try:
            commands, self._prefix = self._commands(told)
        except UserError as error:
            self._cannot_start(run, error)
            return
        for process, command in commands:
            self._begin(run, process, command)

    def _begin(self, run: Supervisor, process: PlannedProcess, command: Command) -> None:
        self._started[command.name] = process, command
        try:
            run.start(command, prefix=self._prefix)
        except UserError as error:
            self._cannot_start(run, error)

    def _cannot_start(self, run: Supervisor, error: UserError) -> None:
        reason = output.clean(str(error))
        cause = Failure(host=self._name, process="launcher", code=2, reason=reason)
        self._peers.report("failed", cause=cause.to_dict())
        self._fail_with(run, cause)

    def _begin_anew(self, run: Supervisor, told: dict[str, Any]) -> None:
        if self._told or self.cause:
            return
        self._again = told["generation"]
        run.say(f"{Failure.from_dict(told['cause']).line}; all begin anew from the last checkpoint")
        # There is nothing left to save.
        run.kill()

    def _close(self, run: Supervisor, code: int) -> None:
        """The chief has ended well: so do the others."""
        self.done = code
        if not self._served:
            self.until = time.monotonic() + CLOSING
        elif self._member.role == "evaluator":
            run.end(min(run.grace, EVALUATING))
        else:
            run.end(_SERVING, sooner=True)

    def _stop(self, run: Supervisor, host: str) -> None:
        self._stopping = True
        for child in run.living:
            if self._served and self._started[child.name][0].role == "chief" and not child.told:
                run.say(f"host {host} was told to end; so is the chief")
                run.end(run.grace, only=[child])

    # ---- failures

    def _fail(self, run: Supervisor, child: ManagedProcess, process: PlannedProcess) -> None:
        cause = self._cause(child, process, code=RETRY if child.code == PEER else child.code or 1)
        self._peers.report("failed", cause=cause.to_dict())
        self._fail_with(run, cause)

    def _fail_with(self, run: Supervisor, cause: Failure) -> None:
        if self.cause is None:
            left = ", ".join(child.name for child in run.living)
            run.say(f"{cause.where} failed" + (f"; ending {left}" if left else ""))
        if self.cause is None or self.cause.echo:
            self.cause = cause
        run.end(PATIENCE)

    def _break(self, cause: Failure) -> None:
        """Without this process the job cannot go on, but perhaps begin anew; the roster decides."""
        self._broken = True
        self._peers.report("broken", cause=cause.to_dict(), generation=self._generation)

    def _cause(self, child: ManagedProcess, process: PlannedProcess, *, code: int) -> Failure:
        ended = Outcome(
            code=child.code or 0, failed=process.name, signal=child.signal, tail=child.tail
        )
        reason = failure_file.reason_from(ended)
        # What the kernel has ended is no consequence of another failure.
        left = child.signal in (None, signal.SIGABRT)
        echo = child.code == PEER or (left and is_secondary(reason))
        return Failure(host=self._name, process=process.name, code=code, reason=reason, echo=echo)

    def _helps(self, process: PlannedProcess) -> bool:
        """Whether it never ends by itself."""
        return process.role in ("ps", "evaluator") or (self._served and process.role == "worker")
