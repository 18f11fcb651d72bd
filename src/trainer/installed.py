"""Which packages are installed, without importing them."""

from __future__ import annotations

import importlib.metadata

# What pip calls this package; the index has another one named `trainer`.
DISTRIBUTION = "trainer-anywhere"


def install(extra: str) -> str:
    """Return the command that installs this package with an extra."""
    return f"pip install '{DISTRIBUTION}[{extra}]'"


def version(*names: str) -> str | None:
    """The version of the first of some packages that is installed."""
    for name in names:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None
