"""Versions of installed packages, found without importing them."""

from __future__ import annotations

import importlib.metadata

# The name of this package for pip; the index has another one named `trainer`.
DISTRIBUTION = "trainer-anywhere"
# docker/build/alias makes pip count TensorFlow as installed under its other name, and names
# itself as the installer.
ALIAS = "trainer-image"


def install_command(extra: str) -> str:
    """Return the command that installs this package with an extra."""
    return f"pip install '{DISTRIBUTION}[{extra}]'"


def installed_version(*names: str) -> str | None:
    """Return the version of the first of some packages that is really installed, or None."""
    for name in names:
        try:
            found = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        if (found.read_text("INSTALLER") or "").strip() != ALIAS:
            return found.version
    return None
