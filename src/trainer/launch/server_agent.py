"""State machine of one host's agent in a job with parameter servers, or with mpirun.

waiting --start--> running --the chief is done, or a failure--> ending --> over
   ^                  |
   +---- restart -----+   a parameter server was lost: all begin anew from the checkpoint

Only the chief's process decides whether the job has ended well. The others serve it, and run until
they are ended: parameter servers hold the variables, workers compute, evaluators evaluate. A worker
or evaluator that ends is started again.
"""

from __future__ import annotations

from collections import Counter

from trainer.config import PEER_CODE, RETRY_CODE
from trainer.distribution import PlannedProcess
from trainer.launch.agent import USER_MISTAKE, HostAgent, explain
from trainer.launch.rendezvous.messages import Broken, Message, Ready, Restart, Start, Stopping
from trainer.launch.supervise.policy import ProcessControl
from trainer.launch.supervise.process import ManagedProcess

# Times that the agent starts a worker or evaluator again after it has ended.
PROCESS_RESTARTS = 3


class ServerAgent(HostAgent):
    """Decides for the processes of this host, some of which serve the chief's."""

    _generation = 0
    # The generation that begins once the processes of this one have been killed.
    _next_generation: int | None = None
    # True once another host was asked to stop, so that the chief stops too.
    _job_stopping = False
    _restarts: Counter[str]

    def on_exit(self, control: ProcessControl, process: ManagedProcess) -> None:
        """React to the end of a process of this host."""
        planned, command = self._started[process.name]
        process.read()
        if self._next_generation is not None:
            explain(process, "all begin anew")
        elif not self._serves(planned):
            self.on_trainer_exit(control, process, planned)
        elif process.terminating or self.failure or self.result.done is not None:
            explain(process, "the job ends")
        elif planned.role == "ps":
            self._report_broken(process, planned)
        elif process.code == USER_MISTAKE or self._restarts[command.name] >= PROCESS_RESTARTS:
            self._fail(control, process, planned)
        else:
            self._restarts[command.name] += 1
            process.kill()
            control.log(f"{process.name} ended with {process.code}; it is started again")
            self._start_process(control, planned, command)

    def on_trainer_failure(
        self, control: ProcessControl, process: ManagedProcess, planned: PlannedProcess
    ) -> None:
        """Let the coordinator decide if the chief's process failed for lack of a server."""
        if process.code in (RETRY_CODE, PEER_CODE) and not process.terminating:
            self._report_broken(process, planned)
        else:
            self._fail(control, process, planned)

    def on_signal(self, control: ProcessControl, number: int) -> None:
        """Stop the chief first: only it can save the variables that parameter servers hold."""
        if self._member.role == "evaluator":
            super().on_signal(control, number)
            return
        self._stop_requested = True
        if any(planned.role in ("chief", "ps") for planned, _ in self._started.values()):
            self._client.report(Stopping(host=self._name))
        else:
            self.deadline = self._clock() + self._timeouts.chief_stop
        control.terminate(control.grace, only=self._chief(control))

    def on_deadline(self, control: ProcessControl) -> None:
        """End this host's processes, unless the chief's is about to end too."""
        if self.result.done is not None or not self._job_stopping:
            super().on_deadline(control)
        self.deadline = float("inf")

    def is_over(self, control: ProcessControl) -> bool:
        """Return whether this host's work is over; begin anew if that was decided."""
        if self._next_generation is None or self.failure or self._stop_requested:
            return super().is_over(control)
        self._generation, self._next_generation = self._next_generation, None
        self._waiting = True
        self._started.clear()
        control.reset()
        self._client.report(Ready(generation=self._generation))
        return False

    def on_broadcast(self, control: ProcessControl, message: Message) -> None:
        """React to one message."""
        match message:
            case Restart(generation=generation):
                if generation > self._generation:
                    self._prepare_restart(control, message)
            case Stopping(host=host):
                self.on_stopping(control, host)
            case _:
                super().on_broadcast(control, message)

    def on_stopping(self, control: ProcessControl, host: str) -> None:
        """React to another host having been asked to stop."""
        self._job_stopping = True
        for chief in self._chief(control):
            if not chief.terminating:
                control.log(f"host {host} was told to end; so is the chief")
                control.terminate(control.grace, only=[chief])

    def _start(self, control: ProcessControl, start: Start) -> None:
        self._generation = start.generation
        self._restarts = Counter()
        super()._start(control, start)

    def _prepare_restart(self, control: ProcessControl, restart: Restart) -> None:
        if self._stop_requested or self.failure:
            return
        self._next_generation = restart.generation
        control.log(f"{restart.failure.line}; all begin anew from the last checkpoint")
        # SIGKILL, as there is nothing left to save.
        control.kill()

    def _close(self, control: ProcessControl, code: int) -> None:
        """End what served the chief, as it has ended well."""
        self.result.done = code
        if self._member.role == "evaluator":
            control.terminate(min(control.grace, self._timeouts.evaluator_grace))
        else:
            control.terminate(self._timeouts.server_grace, sooner=True)

    def _report_broken(self, process: ManagedProcess, planned: PlannedProcess) -> None:
        """Let the coordinator decide whether the job fails or begins anew."""
        explain(process, "the coordinator decides whether all begin anew")
        self._waiting = True
        failure = self.failure_of(process, planned, RETRY_CODE)
        self._client.report(Broken(failure=failure, generation=self._generation))

    def _chief(self, control: ProcessControl) -> list[ManagedProcess]:
        """Return the chief's process if it runs on this host, else nothing."""
        return [each for each in control.running if self._started[each.name][0].role == "chief"]

    def _serves(self, planned: PlannedProcess) -> bool:
        """Return whether a process runs until it is ended."""
        return planned.role in ("ps", "evaluator", "worker")
