"""The platforms, in the order in which `detect_platform` asks them."""

from __future__ import annotations

from trainer.config import Registry
from trainer.platforms.base import Environment, Platform

# The plain machine comes last, as it accepts whatever is left.
PLATFORMS: Registry[Platform] = Registry(
    "trainer.platforms",
    {
        "sagemaker": "sagemaker.platform:PLATFORM",
        "kubernetes": "kubernetes.platform:PLATFORM",
        "ai-platform": "google.platform:PLATFORM",
        "local": "local:PLATFORM",
    },
)


def detect_platform(environment: Environment) -> tuple[Platform, str]:
    """Return the platform that this process runs on, and the reason in words for the log."""
    for platform in PLATFORMS.values():
        because = platform.detect(environment)
        if because:
            return platform, because
    raise AssertionError("the plain machine accepts every environment")
