"""Tables from names to what implements them, imported when it is first used.

    PLATFORMS: Registry[Platform] = Registry(
        "trainer.platforms",
        {"sagemaker": "sagemaker.platform:PLATFORM", "local": "local:PLATFORM"},
    )
    PLATFORMS["sagemaker"]          # imports trainer.platforms.sagemaker.platform

A new strategy, platform, format, model or verb is one new file and one line in such a table.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """A table from names to objects; looking at the names alone imports nothing.

    Args:
        package: The package that the modules are in.
        entries: For each name `module:attribute`, the module below the package; `:attribute` may
            be left out where the module itself is meant.
    """

    def __init__(self, package: str, entries: Mapping[str, str]) -> None:
        self._package = package
        self._entries = dict(entries)

    def __getitem__(self, name: str) -> T:
        attribute = self._entries[name].partition(":")[2]
        found: Any = importlib.import_module(self.module(name))
        value: T = getattr(found, attribute) if attribute else found
        return value

    def module(self, name: str) -> str:
        """Return the full name of the module that an entry is in."""
        return f"{self._package}.{self._entries[name].partition(':')[0]}"

    def summary(self, name: str) -> str:
        """Return how that module's docstring begins, without importing the module."""
        spec = importlib.util.find_spec(self.module(name))
        source = Path(spec.origin).read_text(encoding="utf-8") if spec and spec.origin else ""
        first = (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0].rstrip(".")
        return first[:1].lower() + first[1:]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


class NamesOf(Sequence[str]):
    """The names in a registry of a package above this one, for an option's choices.

    Args:
        reference: `package:TABLE`; imported when the names are first asked for.
        explained: True if `--help` shows the summary of each entry.
    """

    def __init__(self, reference: str, *, explained: bool = False) -> None:
        self._reference = reference
        self._explained = explained

    def _table(self) -> Registry[Any]:
        package, _, table = self._reference.partition(":")
        registry: Registry[Any] = getattr(importlib.import_module(package), table)
        return registry

    def _names(self) -> tuple[str, ...]:
        return tuple(self._table())

    def explanation(self) -> str:
        """Return `name: summary; …` for `--help`; empty where the names explain themselves."""
        if not self._explained:
            return ""
        table = self._table()
        return "; ".join(f"{name}: {table.summary(name)}" for name in table)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...
    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        return self._names()[index]

    def __len__(self) -> int:
        return len(self._names())

    def __repr__(self) -> str:
        return f"NamesOf({self._reference!r})"
