"""Requests of launchers to the coordinator, checked field by field before they have any effect."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from trainer.launch.host_settings import HostSettings
from trainer.launch.rendezvous.fields import (
    LONGEST_HOST,
    LONGEST_TASK,
    boolean,
    mapping,
    text,
    whole,
)
from trainer.launch.rendezvous.messages import Message, report_from

# The id of `worker 0` and the like.
_MEMBER = re.compile(r"(?:chief|worker|ps|evaluator)-\d{1,6}", re.ASCII)
_MOST_PROCESSES = 1024
_LONGEST_RUN = 64
_HIGHEST_POSITION = 1 << 31


@dataclass(frozen=True)
class Sender:
    """The sender of a request.

    Attributes:
        member: The id of the member, `worker-0`.
        run: Which start of its launcher it is.
    """

    member: str
    run: str

    def to_dict(self) -> dict[str, Any]:
        """Return an object for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: Any) -> Self:
        """Return who sends a request.

        Raises:
            KeyError, ValueError: It does not say so.
        """
        checked = mapping(fields)
        member = text(checked["member"], longest=_LONGEST_RUN)
        if not _MEMBER.fullmatch(member):
            raise ValueError("no member is called so")
        return cls(member, text(checked["run"], longest=_LONGEST_RUN))


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request of a launcher to the coordinator."""

    verb: ClassVar[str]

    @property
    def name(self) -> str:
        """The request, as the log calls it."""
        return self.verb

    def to_dict(self) -> dict[str, Any]:
        """Return an object for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Return a checked request.

        Raises:
            KeyError, TypeError, ValueError: A field is missing or not as launchers send it.
        """
        return cls()


@dataclass(frozen=True, kw_only=True)
class Join(Request):
    """A launcher asks to take part.

    Attributes:
        host: The name of its host.
        task: Its role, for people.
        processes: How many processes it has that train.
        settings: What it states of the job.
        metadata: What it states of itself to the others, when the job starts.
    """

    verb = "join"
    host: str
    task: str
    processes: int
    settings: HostSettings
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Return a checked request."""
        try:
            settings = HostSettings.from_dict(mapping(fields["settings"]))
        except (AttributeError, TypeError):
            raise ValueError("expected settings") from None
        return cls(
            host=text(fields["host"], longest=LONGEST_HOST),
            task=text(fields["task"], longest=LONGEST_TASK),
            processes=whole(fields["processes"], low=1, high=_MOST_PROCESSES),
            settings=settings,
            metadata=mapping(fields.get("metadata", {})),
        )


@dataclass(frozen=True, kw_only=True)
class OpenKeepalive(Request):
    """The connection of this request stays open and idle: a sign of life of the host's kernel."""

    verb = "keepalive"


@dataclass(frozen=True, kw_only=True)
class Heartbeat(Request):
    """A launcher lives, and asks for the broadcasts that it has not received yet.

    Attributes:
        position: How many it has received.
    """

    verb = "heartbeat"
    position: int

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Return a checked request."""
        return cls(position=whole(fields["position"], low=0, high=_HIGHEST_POSITION))


@dataclass(frozen=True, kw_only=True)
class ReportRequest(Request):
    """A launcher reports what happened to its processes."""

    verb = "report"
    message: Message

    @property
    def name(self) -> str:
        """The request, as the log calls it."""
        return f"{self.verb} {self.message.kind}"

    def to_dict(self) -> dict[str, Any]:
        """Return an object for JSON."""
        return self.message.to_dict()

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Return a checked request."""
        return cls(message=report_from(fields))


@dataclass(frozen=True, kw_only=True)
class Leave(Request):
    """A launcher says goodbye.

    Attributes:
        code: Its exit code.
        early: Whether it was stopped before its part was done.
    """

    verb = "leave"
    code: int
    early: bool

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Return a checked request."""
        return cls(code=whole(fields["code"], low=0, high=255), early=boolean(fields["early"]))


_VERBS: Mapping[str, type[Request]] = {
    each.verb: each for each in (Join, OpenKeepalive, Heartbeat, ReportRequest, Leave)
}


def request_from(verb: str, fields: Mapping[str, Any]) -> Request:
    """Return a checked request.

    Raises:
        KeyError, TypeError, ValueError: It is no such request.
    """
    return _VERBS[verb].from_dict(fields)
