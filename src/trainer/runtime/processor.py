"""The processor of this machine, as /proc/cpuinfo describes it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Processor:
    """A machine's processor.

    Attributes:
        model: Its name, or the architecture where it has none.
        count: How many logical processors the machine has; 0 if it does not say.
        flags: The feature flags, such as `avx2`.
    """

    model: str
    count: int = 0
    flags: frozenset[str] = frozenset()


def read_processor(root: Path = Path("/")) -> Processor:
    """Return the processor of this machine.

    Args:
        root: The root of the file system.
    """
    model, flags, count = os.uname().machine, frozenset[str](), 0
    try:
        lines = (root / "proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            model = value.strip()
        elif name.strip() in ("flags", "Features"):
            flags = frozenset(value.split())
        elif name.strip() == "processor":
            count += 1
    return Processor(model=model, count=count, flags=flags)
