"""A plain machine, where flags alone describe the job."""

from __future__ import annotations

from trainer.platforms.base import Environment, Platform, PlatformSettings


def detect(environment: Environment) -> str:
    """Accept whatever no other platform has claimed."""
    return "no variable or file of another platform is there"


def read(environment: Environment) -> PlatformSettings:
    """Return settings that add nothing to the flags."""
    return PlatformSettings(environment=environment)


PLATFORM = Platform(
    name="local", detect=detect, read=read, lists_evaluators=False, is_fallback=True
)
