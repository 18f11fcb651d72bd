"""Tables of names and what implements them, imported when it is first used.

    PLATFORMS: Registry[Platform] = Registry(
        "trainer.platforms",
        {"sagemaker": "sagemaker:PLATFORM", "local": "local:PLATFORM"},
    )
    PLATFORMS["sagemaker"]          # imports trainer.platforms.sagemaker

A new strategy, platform, format, model or verb is one new file and one line in such a table.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """What is known by name; looking at the names alone imports nothing.

    Args:
        package: The package that the modules are in.
        entries: For each name `module:attribute`, the module below the package; `:attribute` may
            be left out where the module itself is meant.
    """

    def __init__(self, package: str, entries: Mapping[str, str]) -> None:
        self._package = package
        self._entries = dict(entries)

    def __getitem__(self, name: str) -> T:
        module, _, attribute = self._entries[name].partition(":")
        found: Any = importlib.import_module(f"{self._package}.{module}")
        value: T = getattr(found, attribute) if attribute else found
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


class NamesOf(Sequence[str]):
    """The names in a registry of a package above this one, for an option's choices.

    Args:
        reference: `package:TABLE`; imported when the names are first asked for.
    """

    def __init__(self, reference: str) -> None:
        self._reference = reference

    def _names(self) -> tuple[str, ...]:
        package, _, table = self._reference.partition(":")
        return tuple(getattr(importlib.import_module(package), table))

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
