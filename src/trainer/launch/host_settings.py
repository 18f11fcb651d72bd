"""Settings that one host of a job sends to the others: texts for people, digests to compare.

A secret is neither sent nor printed. A text from another host is made one short line.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trainer.runtime import mask, output, printable

# The most parts of a value that a host sends.
_PARTS = 64
_LONGEST, _LONGEST_PROBLEM = 100, 1000


@dataclass(frozen=True, kw_only=True)
class StatedValue:
    """The value of one setting.

    Attributes:
        text: The value for people, secrets masked.
        digest: Compared between hosts.
        parts: The first parts of the value, as files with what is known of each.
    """

    text: str
    digest: str
    parts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class HostSettings:
    """The settings that one host states.

    Attributes:
        host: Its name and role, for people.
        values: The values by the flag that sets them, or by a name of `agreement`; None where this
            host has no use for the setting.
        precision: The precision in which its processes compute fastest, where `--precision` is not
            given.
        problem: Why the job cannot start on this host.
    """

    host: str = ""
    values: Mapping[str, StatedValue | None] = field(default_factory=dict)
    precision: str | None = None
    problem: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return an object for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> HostSettings:
        """Return the inverse of `to_dict`; a trainer of another version may state less.

        Raises:
            TypeError, ValueError, KeyError, AttributeError: It is not such an object.
        """
        values: dict[str, StatedValue | None] = {}
        for name, value in dict(fields.get("values") or {}).items():
            values[_short(name)] = value and StatedValue(
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


def public_value(value: Any) -> StatedValue:
    """Return the statement of a value that holds no secret."""
    text = _text(value)
    return StatedValue(text=_short(text), digest=_digest(text))


def masked_value(name: str, value: Any) -> StatedValue:
    """Return the statement of a flag or hyperparameter, masked where it may be a secret."""
    text = _text(value)
    # Mask before the text is cut: else the beginning of a secret would stay.
    secret = mask.looks_secret(name) and not mask.is_figure(name, text)
    shown = mask.MASK if secret else output.clean(text)
    return StatedValue(text=_short(shown), digest=_digest(text))


def described(
    text: str, *, parts: Sequence[tuple[str, str]], more: Sequence[str] = ()
) -> StatedValue:
    """Return the statement of a value that is compared by its parts.

    Args:
        text: The value for people.
        parts: All parts, of which the first are sent.
        more: What else is compared, but not sent.
    """
    digest = _digest(repr((text, list(parts), list(more))))
    first = tuple((_short(name), _short(known)) for name, known in parts[:_PARTS])
    return StatedValue(text=_short(output.clean(text)), digest=digest, parts=first)


def _text(value: Any) -> str:
    """Return a value as text, equal numbers alike, and None as `none`."""
    if isinstance(value, bool) or value is None:
        return {True: "on", False: "off", None: "none"}[value]
    if isinstance(value, (int, float)):
        # 1024 and 1024.0 are the same number.
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    return str(value)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:32]


def _short(text: Any, most: int = _LONGEST) -> str:
    if not isinstance(text, str):
        raise TypeError("expected a text")
    return printable(text, longest=most)
