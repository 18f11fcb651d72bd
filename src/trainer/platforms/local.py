"""A plain machine: everything is said by flags."""

from __future__ import annotations

from trainer.platforms.base import Environment, PlatformSettings

NAME = "local"
NAMES: dict[str, str] = {}


def detect(environment: Environment) -> str:
    """Whatever is no other platform is this one."""
    return "no variable or file of another platform is there"


def read(environment: Environment) -> PlatformSettings:
    """A plain machine adds nothing to the flags."""
    return PlatformSettings(environment=environment)


def settle(
    reading: PlatformSettings, values: dict[str, object], sources: dict[str, str]
) -> tuple[str, ...]:
    """Return no lines: nothing follows."""
    return ()
