"""Responses of the coordinator to the requests of launchers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from trainer.launch.rendezvous.failure import Failure
from trainer.launch.rendezvous.fields import boolean, items, mapping, whole
from trainer.launch.rendezvous.messages import Message, broadcast_from
from trainer.runtime import printable

_HIGHEST_POSITION = 1 << 31


@dataclass(frozen=True, kw_only=True)
class Response:
    """A response that says no more than that the request was received."""

    def to_dict(self) -> dict[str, Any]:
        """Return an object for JSON."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, kw_only=True)
class UnknownRun(Response):
    """The coordinator does not know this start of the launcher: it was restarted itself."""

    unknown: bool = True

    @staticmethod
    def matches(fields: Mapping[str, Any]) -> bool:
        """Return whether an object is such a response."""
        return "unknown" in fields


@dataclass(frozen=True, kw_only=True)
class Joined(Response):
    """The host takes part.

    Attributes:
        position: Where in the broadcasts it begins to read.
    """

    position: int


@dataclass(frozen=True, kw_only=True)
class JoinRefused(Response):
    """The host cannot take part, and asking again is of no use.

    Attributes:
        refused: Why.
    """

    refused: str


@dataclass(frozen=True, kw_only=True)
class PlaceTaken(Response):
    """Another run of this member has joined; the launcher asks again until it is known to live.

    Attributes:
        occupied: Who that is.
        alive: Whether its heartbeats arrive.
    """

    occupied: str
    alive: bool


JoinResponse = Joined | JoinRefused | PlaceTaken


def join_response_from(fields: Mapping[str, Any]) -> JoinResponse:
    """Return the response to a request to join.

    Raises:
        KeyError, TypeError, ValueError: It is no such response.
    """
    if "refused" in fields:
        return JoinRefused(refused=printable(str(fields["refused"])))
    if "occupied" in fields:
        occupied = printable(str(fields["occupied"]))
        return PlaceTaken(occupied=occupied, alive=boolean(fields["alive"]))
    return Joined(position=whole(fields["position"], low=0, high=_HIGHEST_POSITION))


@dataclass(frozen=True, kw_only=True)
class HeartbeatResponse(Response):
    """The broadcasts that a launcher has not received yet.

    Attributes:
        broadcasts: These messages.
        position: How many it has received with them.
        missing: Members for which the start is waiting, for people.
    """

    broadcasts: tuple[Message, ...] = ()
    position: int
    missing: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """Return an object for JSON."""
        broadcasts = [each.to_dict() for each in self.broadcasts]
        missing = list(self.missing)
        return {"broadcasts": broadcasts, "position": self.position, "missing": missing}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Return the inverse of `to_dict`.

        Raises:
            KeyError, TypeError, ValueError: It is no such response.
        """
        return cls(
            broadcasts=tuple(broadcast_from(each) for each in items(fields["broadcasts"])),
            position=whole(fields["position"], low=0, high=_HIGHEST_POSITION),
            missing=tuple(str(each) for each in items(fields["missing"])),
        )


@dataclass(frozen=True, kw_only=True)
class LeaveResponse(Response):
    """The last word of the coordinator.

    Attributes:
        failure: Why the job failed, if it did.
    """

    failure: Failure | None

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Return the inverse of `to_dict`.

        Raises:
            KeyError, TypeError, ValueError: It is no such response.
        """
        failure = fields.get("failure")
        return cls(failure=Failure.from_dict(dict(mapping(failure))) if failure else None)
