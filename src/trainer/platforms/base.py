"""What every platform is given, and what it gives."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.cluster import Cluster
from trainer.errors import UserError
from trainer.hypertune import Trial


@dataclass(frozen=True, kw_only=True)
class Seen:
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
class Reading:
    """What a platform says about a run.

    Attributes:
        values: Fields of `Job` or `Hparams` by name.
        sources: For each of them the variable, file or hyperparameter that says so.
        cluster: Who takes part.
        trial: Of a tuning job.
        stopped_code: See `Job`.
        grace: See `Job`.
        failure_file: See `Job`.
        notes: Lines for the log.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    cluster: Cluster = field(default_factory=Cluster)
    trial: Trial | None = None
    stopped_code: int = 128 + 15
    grace: float = 120.0
    failure_file: str | None = None
    notes: tuple[str, ...] = ()


def parse_json(text: str, *, where: str) -> Any:
    """Parse JSON, or raise a UserError that names the variable or file."""
    try:
        return json.loads(text)
    except ValueError as error:
        shown = text if len(text) <= 60 else text[:60] + "…"
        raise UserError(f"{where}: is not JSON ({error}): {shown!r}") from None


def expect(kind: type, value: Any, *, where: str) -> Any:
    """Return `value`, or raise a UserError that says it should be a dict, list or str."""
    if not isinstance(value, kind):
        names = {dict: "an object", list: "a list", str: "a string", int: "a whole number"}
        raise UserError(f"{where}: expected {names[kind]}, found {value!r}")
    return value
