"""A plain machine: everything is said by flags."""

from __future__ import annotations

from trainer.platforms.base import Reading, Seen

NAME = "local"
NAMES: dict[str, str] = {}


def detect(seen: Seen) -> str:
    """Whatever is no other platform is this one."""
    return "no variable or file of another platform is there"


def read(seen: Seen) -> Reading:
    """A plain machine adds nothing to the flags."""
    return Reading(seen=seen)


def settle(reading: Reading, values: dict[str, object], sources: dict[str, str]) -> tuple[str, ...]:
    """Return no lines: nothing follows."""
    return ()
