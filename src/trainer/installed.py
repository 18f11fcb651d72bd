"""Which packages are installed, without importing them."""

from __future__ import annotations

import importlib.metadata


def version(*names: str) -> str | None:
    """The version of the first of some packages that is installed."""
    for name in names:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None
