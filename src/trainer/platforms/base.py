"""What every platform is given, and what it gives."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.config import Cluster, Trial, UserError


@dataclass(frozen=True, kw_only=True)
class Environment:
    """What a process finds when it starts; nothing else is looked at.

    Attributes:
        env: The environment.
        argv: The arguments of the command.
        root: The root of the file system; another folder in tests.
    """

    env: Mapping[str, str]
    argv: Sequence[str] = ()
    root: Path = Path("/")

    def path(self, absolute: str) -> Path:
        """Where an absolute path is under `root`."""
        return self.root / absolute.lstrip("/")

    def json(self, variable: str) -> Any:
        """A variable that holds JSON; None if it is missing or empty.

        Raises:
            UserError: It holds anything else.
        """
        text = self.env.get(variable)
        return parse_json(text, where=variable) if text else None


@dataclass(frozen=True, kw_only=True)
class PlatformSettings:
    """What a platform says about a run.

    Attributes:
        environment: What was read, completed by what the platform's own tools make of it.
        values: What the platform itself says: fields of `Job` by name.
        sources: For each of them the variable or file that says so.
        hyperparameters: What the user has the platform pass on, by the name it was given.
        cluster: Who takes part.
        trial: Of a tuning job.
        stopped_code: See `Job`.
        grace: See `Job`.
        late_evaluators: See `Job`.
        failure_file: See `Job`.
        notes: Lines for the log.
        reducers: Whether hosts listed as parameter servers may be the platform's own, which only
            add up gradients (Vertex AI's Reduction Server).
    """

    environment: Environment
    values: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    cluster: Cluster = field(default_factory=Cluster)
    trial: Trial | None = None
    stopped_code: int = 128 + 15
    grace: float = 120.0
    late_evaluators: bool = False
    failure_file: str | None = None
    notes: tuple[str, ...] = ()
    reducers: bool = False


def parse_json(text: str, *, where: str) -> Any:
    """Parse JSON, or raise a UserError that names the variable or file."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        # What comes after a colon is a value, and may be a secret.
        begins = text.partition(":")[0][:30]
        raise UserError(
            subject=where,
            problem=f"expected JSON, found text that begins with {begins!r} ({error})",
            remedy="set it as the platform does, or not at all",
        ) from None


def expect(kind: type, value: Any, *, where: str) -> Any:
    """Return `value`, or raise a UserError that says it should be a dict, list, str or int."""
    if not isinstance(value, kind) or isinstance(value, bool):
        names = {dict: "an object", list: "a list", str: "a string", int: "a whole number"}
        raise UserError(
            subject=where,
            problem=f"expected {names[kind]}, found {shown(value)}",
        )
    return value


def shown(value: Any) -> str:
    """A value as an error shows it: on one line, not long, and nothing of what is nested in it."""
    if isinstance(value, (dict, list, tuple)):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    text = "null" if value is None else repr(value)
    return text if len(text) <= 80 else text[:80] + "…"
