"""Messages about the job: what a launcher reports, and what the coordinator broadcasts to all.

    report:     Failed, Broken, Ready, Done, Stopping
    broadcast:  Start, Note, Failed, Restart, Done, Stopping

On the wire each is a JSON object with its `kind`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from trainer.launch.rendezvous.failure import Failure
from trainer.launch.rendezvous.fields import LONGEST_HOST, mapping, text, whole
from trainer.runtime import printable

_MOST = 1 << 31


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message about the job."""

    kind: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """Return an object for JSON."""
        return {"kind": self.kind, **dataclasses.asdict(self)}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Return the inverse of `to_dict`.

        Raises:
            KeyError, TypeError, ValueError: A field is missing or not as launchers send it.
        """
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Start(Message):
    """All hosts are there: each starts its processes.

    Attributes:
        generation: How often the job has been restarted.
        processes: For each member, how many processes it has that train.
        metadata: For each member, what it states of itself to the others.
        reached_at: The address at which the other hosts reach the coordinator's.
        precision: The precision on which the hosts have agreed, if they had to.
    """

    kind = "start"
    generation: int = 0
    processes: Mapping[str, int]
    metadata: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    reached_at: str | None = None
    precision: str | None = None

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Return the inverse of `to_dict`."""
        reached_at, precision = fields["reached_at"], fields["precision"]
        if not all(each is None or isinstance(each, str) for each in (reached_at, precision)):
            raise ValueError("expected texts")
        return cls(
            generation=whole(fields["generation"], low=0, high=_MOST),
            processes=mapping(fields["processes"]),
            metadata=mapping(fields["metadata"]),
            reached_at=reached_at,
            precision=precision,
        )


@dataclass(frozen=True, kw_only=True)
class Note(Message):
    """A line that every launcher prints."""

    kind = "note"
    text: str

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Return the inverse of `to_dict`."""
        if not isinstance(fields["text"], str):
            raise ValueError("expected a text")
        return cls(text=printable(fields["text"]))


@dataclass(frozen=True, kw_only=True)
class Failed(Message):
    """A failure ends the job; a later one takes the place of a secondary failure."""

    kind = "failed"
    failure: Failure

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Return the inverse of `to_dict`."""
        return cls(failure=Failure.from_dict(fields["failure"]))


@dataclass(frozen=True, kw_only=True)
class Broken(Message):
    """A process ended without which the job cannot go on, but perhaps be restarted.

    Attributes:
        failure: What happened.
        generation: In which generation of the job.
    """

    kind = "broken"
    failure: Failure
    generation: int

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Return the inverse of `to_dict`."""
        failure = Failure.from_dict(fields["failure"])
        return cls(failure=failure, generation=whole(fields["generation"], low=0, high=_MOST))


@dataclass(frozen=True, kw_only=True)
class Restart(Message):
    """All hosts end their processes and start them again from the last checkpoint.

    Attributes:
        failure: Why.
        generation: The number of the generation that begins.
    """

    kind = "restart"
    failure: Failure
    generation: int

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Return the inverse of `to_dict`."""
        failure = Failure.from_dict(fields["failure"])
        return cls(failure=failure, generation=whole(fields["generation"], low=0, high=_MOST))


@dataclass(frozen=True, kw_only=True)
class Ready(Message):
    """A host has ended its processes and can start those of the next generation."""

    kind = "ready"
    generation: int

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Return the inverse of `to_dict`."""
        return cls(generation=whole(fields["generation"], low=0, high=_MOST))


@dataclass(frozen=True, kw_only=True)
class Done(Message):
    """The chief has ended well, with this exit code."""

    kind = "done"
    code: int

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Return the inverse of `to_dict`."""
        return cls(code=whole(fields["code"], low=0, high=255))


@dataclass(frozen=True, kw_only=True)
class Stopping(Message):
    """A host got SIGTERM: the chief saves and ends."""

    kind = "stopping"
    host: str

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Return the inverse of `to_dict`."""
        return cls(host=text(fields["host"], longest=LONGEST_HOST))


@dataclass(frozen=True, kw_only=True)
class Refused(Message):
    """The coordinator does not take this host; its own client says so, it is never sent."""

    kind = "refused"
    failure: Failure


_REPORTS: Mapping[str, type[Message]] = {
    each.kind: each for each in (Failed, Broken, Ready, Done, Stopping)
}
_BROADCASTS: Mapping[str, type[Message]] = {
    each.kind: each for each in (Start, Note, Failed, Restart, Done, Stopping)
}


def report_from(fields: Any) -> Message:
    """Return what a launcher reports.

    Raises:
        KeyError, TypeError, ValueError: It is no such message.
    """
    return _parse(_REPORTS, mapping(fields))


def broadcast_from(fields: Any) -> Message:
    """Return what the coordinator broadcasts.

    Raises:
        KeyError, TypeError, ValueError: It is no such message.
    """
    return _parse(_BROADCASTS, mapping(fields))


def _parse(kinds: Mapping[str, type[Message]], fields: Mapping[str, Any]) -> Message:
    kind = fields["kind"]
    if not isinstance(kind, str) or kind not in kinds:
        raise ValueError("no such message")
    return kinds[kind].from_dict(fields)
