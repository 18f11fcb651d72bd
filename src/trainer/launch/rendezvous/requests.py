"""Requests of other hosts' launchers, checked field by field before they have any effect.

Whoever reaches the port can send anything: each field has one type and a bound, and what does not
fit is a ValueError.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainer.launch.host_settings import HostSettings
from trainer.launch.printable import LONGEST_HOST, LONGEST_TASK, printable

# Of `worker 0` and the like.
_MEMBER = re.compile(r"(?:chief|worker|ps|evaluator)-\d{1,6}", re.ASCII)
_MOST_PROCESSES = 1024
_LONGEST_RUN = 64


@dataclass(frozen=True, kw_only=True)
class Join:
    """A launcher asks to take part.

    Attributes:
        host: What its host is called.
        task: Its role, for people.
        count: How many processes it has that train.
        settings: What it states of the job.
        card: What the others are told of it when the job starts.
    """

    host: str
    task: str
    count: int
    settings: HostSettings
    card: Mapping[str, Any]

    @classmethod
    def from_request(cls, fields: Mapping[str, Any]) -> Join:
        """Return a checked request.

        Raises:
            KeyError, ValueError: A field is missing or not as launchers send it.
        """
        try:
            settings = HostSettings.from_dict(_object(fields["spec"]))
        except (AttributeError, TypeError):
            raise ValueError("expected settings") from None
        return cls(
            host=text(fields["host"], longest=LONGEST_HOST),
            task=text(fields["task"], longest=LONGEST_TASK),
            count=whole(fields["count"], low=1, high=_MOST_PROCESSES),
            settings=settings,
            card=_object(fields.get("card", {})),
        )


def sender(fields: Any) -> tuple[str, str]:
    """Return which member a request is from, and which run of its launcher.

    Raises:
        KeyError, ValueError: It does not say so.
    """
    checked = _object(fields)
    member = text(checked["member"], longest=_LONGEST_RUN)
    if not _MEMBER.fullmatch(member):
        raise ValueError("no member is called so")
    return member, text(checked["run"], longest=_LONGEST_RUN)


def text(value: Any, *, longest: int) -> str:
    """Return a string that is not too long, as one printable line; else raise a ValueError."""
    if not isinstance(value, str) or len(value) > longest:
        raise ValueError("expected a short string")
    return printable(value, longest=longest)


def whole(value: Any, *, low: int, high: int) -> int:
    """Return a whole number within bounds; else raise a ValueError."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"expected a whole number from {low} to {high}")
    return value


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("expected an object")
    return value
