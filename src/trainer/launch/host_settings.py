"""The statement of one host of a job to the others: texts for people and digests to compare.

A secret is neither sent nor printed. What comes from another host is made one short line.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trainer.launch.printable import printable
from trainer.runtime import mask, output

# Of what a value is made of, the first parts are sent.
_PARTS = 64
_LONGEST, _LONGEST_PROBLEM = 100, 1000


@dataclass(frozen=True, kw_only=True)
class Value:
    """One setting.

    Attributes:
        text: For people, secrets masked.
        digest: What is compared.
        parts: What it is made of, the first of them: files with what is known of each.
    """

    text: str
    digest: str
    parts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class HostSettings:
    """The statement of one host.

    Attributes:
        host: Its name and role, for people.
        values: By the flag that sets them; None where this host has no use for it.
        precision: What its processes compute fastest with, where `--precision` is not given.
        problem: Why the job cannot start here, though the others' might.
    """

    host: str = ""
    values: Mapping[str, Value | None] = field(default_factory=dict)
    precision: str | None = None
    problem: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return an object for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> HostSettings:
        """Return the inverse of `to_dict`; a trainer of another version may state less.

        Raises:
            TypeError, ValueError, KeyError, AttributeError: It is not such a thing.
        """
        values: dict[str, Value | None] = {}
        for name, value in dict(fields.get("values") or {}).items():
            values[_short(name)] = value and Value(
                text=_short(value["text"]),
                digest=_short(value["digest"]),
                parts=tuple((_short(a), _short(b)) for a, b in value["parts"][:_PARTS]),
            )
        precision, problem = fields.get("precision"), fields.get("problem")
        return cls(
            host=_short(fields.get("host", "")),
            values=values,
            precision=_short(precision) if precision else None,
            problem=_short(problem, _LONGEST_PROBLEM) if problem else None,
        )


def plain(value: Any) -> Value:
    """Return a value that holds no secret as it is stated."""
    text = _text(value)
    return Value(text=_short(text), digest=_digest(text))


def masked(name: str, value: Any) -> Value:
    """Return the value of a flag or hyperparameter as it is stated."""
    text = _text(value)
    # Masked as a whole: of a secret that is cut off its beginning would stay.
    secret = mask.looks_secret(name) and not mask.is_figure(name, text)
    shown = mask.MASK if secret else output.clean(text)
    return Value(text=_short(shown), digest=_digest(text))


def described(text: str, *, parts: Sequence[tuple[str, str]], more: Sequence[str] = ()) -> Value:
    """Return what is compared by its parts.

    Args:
        text: What it is called.
        parts: What it is made of; too many to send them all.
        more: What else counts.
    """
    digest = _digest(repr((text, list(parts), list(more))))
    first = tuple((_short(name), _short(known)) for name, known in parts[:_PARTS])
    return Value(text=_short(output.clean(text)), digest=digest, parts=first)


def _text(value: Any) -> str:
    """Return a number by what it is worth, nothing as `none`."""
    if isinstance(value, bool) or value is None:
        return {True: "on", False: "off", None: "none"}[value]
    if isinstance(value, (int, float)):
        # 1024 and 1024.0 are one.
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    return str(value)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:32]


def _short(text: Any, most: int = _LONGEST) -> str:
    if not isinstance(text, str):
        raise TypeError("expected a text")
    return printable(text, longest=most)
