"""A host's agent with fakes at its edges: no process, no network, no waiting."""

from __future__ import annotations

from collections.abc import Collection

from trainer.config.errors import UserError
from trainer.distribution.planned_process import PlannedProcess
from trainer.launch.agent import HostAgent, HostCommands
from trainer.launch.plan import Member
from trainer.launch.rendezvous.messages import Message, Start
from trainer.launch.supervise.command import Command
from trainer.launch.timeouts import Timeouts

TIMES = Timeouts(
    failure_grace=2, server_grace=5, trainer_grace=30, evaluator_grace=60, chief_stop=4
)


class FakeProcess:
    """A process as an agent sees it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.code: int | None = None
        self.signal: int | None = None
        self.terminating = self.killed = False
        self.tail: tuple[str, ...] = ()

    def read(self) -> None:
        pass

    def kill(self) -> None:
        self.terminating = self.killed = True


class FakeControl:
    """Notes each action, and does it to fakes."""

    grace = 100.0

    def __init__(self) -> None:
        self.actions: list[str] = []
        self.lines: list[str] = []
        self.processes: list[FakeProcess] = []
        self.cannot_start = False

    @property
    def running(self) -> list[FakeProcess]:
        return [process for process in self.processes if process.code is None]

    def start(self, command: Command, *, prefix: bool) -> None:
        if self.cannot_start:
            raise UserError(subject=command.name, problem="cannot start python")
        self.processes.append(FakeProcess(command.name))
        self.actions.append(f"start {command.name}")

    def terminate(
        self,
        within: float,
        *,
        only: Collection[FakeProcess] | None = None,
        sooner: bool = False,
    ) -> None:
        chosen = [each for each in self.running if only is None or each in only]
        for process in chosen:
            process.terminating = True
        names = ", ".join(process.name for process in chosen) or "nobody"
        self.actions.append(f"terminate {names} in {within:g} s" + (" at most" if sooner else ""))

    def kill(self) -> None:
        for process in self.running:
            process.kill()
        self.actions.append("kill all")

    def fail(self, process: FakeProcess) -> None:
        raise AssertionError("an agent decides about failures itself")

    def reset(self) -> None:
        self.processes.clear()
        self.actions.append("reset")

    def log(self, text: str) -> None:
        self.lines.append(text)


class FakeClient:
    """Holds what the coordinator sends, and what it is sent."""

    fd = -1

    def __init__(self) -> None:
        self.inbox: list[Message] = []
        self.reports: list[Message] = []

    def messages(self) -> list[Message]:
        found, self.inbox = self.inbox, []
        return found

    def report(self, message: Message) -> None:
        self.reports.append(message)


class FakeHost:
    """One host, to which events happen.

    Args:
        kind: The class of its agent.
        processes: What it starts when the job starts.
        member: Which host it is.
    """

    def __init__(
        self, kind: type[HostAgent], *processes: PlannedProcess, member: Member, **more
    ) -> None:
        self.now = 1000.0
        self.control = FakeControl()
        self.client = FakeClient()
        self.planned = processes
        self.mistake: UserError | None = None
        self.agent = kind(
            member=member,
            name="host-a",
            client=self.client,
            make_commands=self._commands,
            timeouts=TIMES,
            clock=lambda: self.now,
            **more,
        )

    def _commands(self, start: Start) -> HostCommands:
        if self.mistake:
            raise self.mistake
        made = tuple((p, Command(argv=("x",), env={}, name=p.name)) for p in self.planned)
        return HostCommands(commands=made, prefix=True)

    def start(self, generation: int = 0) -> None:
        self.receive(Start(processes={}, generation=generation))

    def receive(self, *messages: Message) -> None:
        self.client.inbox += messages
        self.agent.on_message(self.control)

    def exit(self, name: str, code: int, *, signal: int | None = None, tail: str = "") -> None:
        """Let a running process end."""
        process = next(each for each in self.control.running if each.name == name)
        process.code, process.signal, process.tail = code, signal, tuple(tail.splitlines())
        self.agent.on_exit(self.control, process)

    def sigterm(self) -> None:
        self.agent.on_signal(self.control, 15)

    def deadline(self) -> None:
        """Let time pass to what the agent waits for."""
        self.now = self.agent.deadline
        self.agent.on_deadline(self.control)

    @property
    def is_over(self) -> bool:
        return self.agent.is_over(self.control)

    def take_actions(self) -> list[str]:
        """Return the actions since the last call."""
        found, self.control.actions = self.control.actions, []
        return found

    def take_reports(self) -> list[Message]:
        """Return the reports since the last call."""
        found, self.client.reports = self.client.reports, []
        return found
