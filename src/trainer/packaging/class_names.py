"""The names of the classes that a SavedModel chooses from, in a file beside its graph."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

# TensorFlow leaves `assets.extra` to whoever writes a SavedModel.
CLASS_NAMES = "assets.extra/classes.txt"
# Of longer files nothing is read: 65,536 names are far fewer bytes.
MOST_BYTES = 2**24


def write_class_names(folder: Path, names: Sequence[str]) -> None:
    """Write the names of the classes into the folder of a SavedModel, a line each."""
    path = folder / CLASS_NAMES
    path.parent.mkdir(exist_ok=True)
    lines = (" ".join(name.split()) for name in names)
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")


def read_class_names(folder: Path) -> tuple[str, ...]:
    """Return the names of the classes by label; empty if the folder has none that can be read."""
    path = folder / CLASS_NAMES
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
        return () if len(raw) > MOST_BYTES else tuple(raw.decode("utf-8").splitlines())
    except (OSError, UnicodeDecodeError):
        return ()
