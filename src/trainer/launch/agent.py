"""State machine of one host's agent: how it reacts to processes, signals and the coordinator.

waiting --start--> running --the chief is done, or a failure--> ending --> over

Events come from the supervisor (`on_exit`, `on_signal`, `on_deadline`) and from the coordinator
(`on_message`). An event leads to actions: calls of the supervisor's `ProcessControl`, and reports
to the coordinator. At DEBUG each event is logged with the decision.

In such a job all processes train, each with a copy of the model; `server_agent.py` has the agent
for jobs in which some processes serve the chief.
"""

from __future__ import annotations

import logging
import math
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from trainer.config import PEER_CODE, RETRY_CODE, UserError
from trainer.distribution import PlannedProcess
from trainer.launch import failure_file
from trainer.launch.host_result import HostResult
from trainer.launch.plan import Member
from trainer.launch.rendezvous.client import CoordinatorClient
from trainer.launch.rendezvous.failure import Failure, is_secondary
from trainer.launch.rendezvous.messages import Done, Failed, Message, Note, Refused, Start
from trainer.launch.supervise.command import Command, Outcome
from trainer.launch.supervise.policy import Policy, ProcessControl
from trainer.launch.supervise.process import ManagedProcess
from trainer.launch.timeouts import DEFAULTS, Timeouts
from trainer.runtime import output

logger = logging.getLogger(__name__)

USER_MISTAKE = 2


@dataclass(frozen=True, kw_only=True)
class HostCommands:
    """The processes that a host starts.

    Attributes:
        commands: Each process with its command.
        prefix: Whether each line of output gets the name of its process.
    """

    commands: tuple[tuple[PlannedProcess, Command], ...]
    prefix: bool


# Makes the commands from the coordinator's message that the job starts.
MakeCommands = Callable[[Start], HostCommands]


class HostAgent(Policy):
    """Decides for the processes of this host.

    Args:
        member: This host.
        name: This host's name, for people.
        client: Exchanges messages with the coordinator.
        make_commands: Makes this host's processes and their commands when the job starts.
        stopped_code: The exit code of a process that has stopped as it was asked to.
        timeouts: How long processes have to end.
        clock: Seconds, never going back.

    Attributes:
        failure: Why the job failed, as far as this host knows.
        result: How the training processes of this host ended.
    """

    def __init__(
        self,
        *,
        member: Member,
        name: str,
        client: CoordinatorClient,
        make_commands: MakeCommands,
        stopped_code: int = 128 + signal.SIGTERM,
        timeouts: Timeouts = DEFAULTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.fd = client.fd
        self.failure: Failure | None = None
        self.result = HostResult()
        self._stopped_code = stopped_code
        self._member = member
        self._name = name
        self._client = client
        self._make_commands = make_commands
        self._timeouts = timeouts
        self._clock = clock
        self._started: dict[str, tuple[PlannedProcess, Command]] = {}
        self._prefix = True
        # True while this host waits for the coordinator's next message before it decides.
        self._waiting = True
        self._stop_requested = False

    @property
    def stopped_early(self) -> bool:
        """True if this host was asked to stop before its work was done."""
        return self._stop_requested and not self.result.is_complete

    # ---- events from the supervisor

    def on_exit(self, control: ProcessControl, process: ManagedProcess) -> None:
        """React to the end of a process of this host."""
        process.read()
        self.on_trainer_exit(control, process, self._started[process.name][0])

    def on_trainer_exit(
        self, control: ProcessControl, process: ManagedProcess, planned: PlannedProcess
    ) -> None:
        """React to the end of a process that trains, or coordinates the training."""
        code, done = process.code or 0, self.result.done
        if code == 0 or (code == self._stopped_code and process.signal is None):
            explain(process, "well")
            self.result.codes.append(code)
            if planned.role == "chief" and done is None:
                self._client.report(Done(code=code))
                self._close(control, code)
        elif process.terminating and process.signal is not None:
            explain(process, "by a signal of this launcher")
            if done is None:
                self.result.terminated = self.result.terminated or process
        elif done is not None:
            # The chief has saved everything; a rank that closes its connections last may fail.
            control.log(f"{process.name} ended with {code} after the chief had ended well")
        else:
            self.on_trainer_failure(control, process, planned)

    def on_trainer_failure(
        self, control: ProcessControl, process: ManagedProcess, planned: PlannedProcess
    ) -> None:
        """React to a failure of such a process while the job is under way."""
        self._fail(control, process, planned)

    def on_signal(self, control: ProcessControl, number: int) -> None:
        """React to a signal that asks this host to stop."""
        self._stop_requested = True
        control.terminate(control.grace)

    def on_deadline(self, control: ProcessControl) -> None:
        """End the processes that are still there some time after the chief has ended well."""
        self.deadline = math.inf
        logger.debug("time is up")
        control.terminate(self._timeouts.failure_grace, sooner=True)

    def is_over(self, control: ProcessControl) -> bool:
        """Return whether this host's work is over, now that none of its processes is left."""
        if self.failure or self._stop_requested:
            return True
        return self.result.done is not None or not self._waiting

    # ---- messages from the coordinator

    def on_message(self, control: ProcessControl) -> None:
        """React to all messages that have come."""
        for message in self._client.messages():
            logger.debug("message from the coordinator: %s", message.kind)
            self.on_broadcast(control, message)

    def on_broadcast(self, control: ProcessControl, message: Message) -> None:
        """React to one message."""
        match message:
            case Note(text=text):
                control.log(text)
            case Start() if not self._stop_requested and self.failure is None:
                self._start(control, message)
            case Failed(failure=failure):
                self._end_failed(control, failure)
            case Refused(failure=failure):
                # Nothing runs here yet, and the reason is printed as the last line.
                self.failure = failure
            case Done(code=code) if self.result.done is None:
                self._close(control, code)

    def _start(self, control: ProcessControl, start: Start) -> None:
        self._waiting = False
        try:
            made = self._make_commands(start)
        except UserError as error:
            self._cannot_start(control, error)
            return
        self._prefix = made.prefix
        for planned, command in made.commands:
            self._start_process(control, planned, command)

    def _start_process(
        self, control: ProcessControl, planned: PlannedProcess, command: Command
    ) -> None:
        self._started[command.name] = planned, command
        try:
            control.start(command, prefix=self._prefix)
        except UserError as error:
            self._cannot_start(control, error)

    def _cannot_start(self, control: ProcessControl, error: UserError) -> None:
        reason = output.clean(str(error))
        failure = Failure(host=self._name, process="launcher", code=USER_MISTAKE, reason=reason)
        self._client.report(Failed(failure=failure))
        self._end_failed(control, failure)

    def _close(self, control: ProcessControl, code: int) -> None:
        """Let this host's processes end, as the chief has ended well."""
        self.result.done = code
        self.deadline = self._clock() + self._timeouts.trainer_grace

    # ---- failures

    def failure_of(self, process: ManagedProcess, planned: PlannedProcess, code: int) -> Failure:
        """Return the failure of a process.

        Args:
            process: The process, which has ended.
            planned: What it was to do.
            code: The exit code that the job gets for it.
        """
        ended = Outcome(
            code=process.code or 0, failed=planned.name, signal=process.signal, tail=process.tail
        )
        reason = failure_file.reason_from(ended)
        # A process that the kernel killed did not end because of another failure.
        exited = process.signal in (None, signal.SIGABRT)
        secondary = process.code == PEER_CODE or (exited and is_secondary(reason))
        return Failure(
            host=self._name, process=planned.name, code=code, reason=reason, secondary=secondary
        )

    def _fail(
        self, control: ProcessControl, process: ManagedProcess, planned: PlannedProcess
    ) -> None:
        explain(process, "the job fails")
        code = RETRY_CODE if process.code == PEER_CODE else process.code or 1
        failure = self.failure_of(process, planned, code)
        self._client.report(Failed(failure=failure))
        self._end_failed(control, failure)

    def _end_failed(self, control: ProcessControl, failure: Failure) -> None:
        if self.failure is None:
            left = ", ".join(process.name for process in control.running)
            control.log(f"{failure.where} failed" + (f"; ending {left}" if left else ""))
        if self.failure is None or self.failure.secondary:
            self.failure = failure
        control.terminate(self._timeouts.failure_grace)


def explain(process: ManagedProcess, text: str) -> None:
    """Log at DEBUG what the end of a process means."""
    logger.debug("%s ended with %s: %s", process.name, process.code, text)
