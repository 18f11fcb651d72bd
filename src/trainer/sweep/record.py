"""The record of a sweep, `sweep.json`: its space and all trials, from which a sweep goes on."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from trainer.config import MetricGoal, UserError
from trainer.runtime import output
from trainer.storage import local
from trainer.sweep.space import Space

FILE_NAME = "sweep.json"
# 1 had the accuracy of a trial as `test_accuracy`.
SCHEMA_VERSION = 2
ENDED = ("complete", "pruned", "failed")
ENDED_EARLY = ("pruned", "stopped")


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """A trial.

    Attributes:
        trial: Its number.
        state: `running`, `complete`, `pruned` (ended early), `failed`, or `stopped` with the sweep.
        values: What it tried.
        value: The figure that trials are compared by at its end, on the validation data if there is
            any; None if it did not come to that.
        seconds: How long it ran.
        error: The last line of its log if it failed.
        curve: That figure at each of its evaluations.
    """

    trial: int
    state: str
    values: dict[str, Any]
    value: float | None = None
    seconds: float | None = None
    error: str | None = None
    curve: list[float] = field(default_factory=list)

    @property
    def last_value(self) -> float | None:
        """The figure at its end, or the last before it was ended; None if it failed."""
        early = self.curve[-1] if self.curve and self.state in ENDED_EARLY else None
        return early if self.value is None else self.value


@dataclass(frozen=True, kw_only=True)
class SweepRecord:
    """A sweep.

    Attributes:
        space: What it searches.
        best: The number of the best trial.
        command: What trains with the values of that.
        metric: What trials are compared by, as their lines name it; None if none was evaluated.
        trials: All trials.
    """

    space: Space
    schema_version: int = SCHEMA_VERSION
    best: int | None = None
    command: str | None = None
    metric: str | None = None
    trials: list[TrialRecord] = field(default_factory=list)


def best_of(trials: list[TrialRecord], goal: MetricGoal) -> TrialRecord | None:
    """Return the trial with the best figure, the first of equals; None if none came to its end."""
    best: TrialRecord | None = None
    for each in trials:
        if each.value is not None and (
            best is None or best.value is None or goal.is_better(each.value, best.value)
        ):
            best = each
    return best


def write_record(folder: Path, record: SweepRecord) -> None:
    """Write `sweep.json`."""
    value = output.clean_value(msgspec.to_builtins(record))
    local.write_text(folder / FILE_NAME, json.dumps(value, indent=2) + "\n")


def read_sweep(folder: Path) -> SweepRecord | None:
    """Return the record in a folder, None if there is none.

    Raises:
        UserError: It is damaged, or not of this version.
    """
    path = folder / FILE_NAME
    try:
        value = json.loads(path.read_bytes())
        version = value.get("schema_version") if isinstance(value, dict) else None
        if isinstance(version, int) and version != SCHEMA_VERSION:
            raise _of_other_version(path, version)
        record = msgspec.convert(value, SweepRecord)
        names = {each.name for each in record.space.dimensions}
        if any(names - {*each.values} for each in record.trials):
            raise ValueError("a trial has no value of something that was searched for")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(
            subject=str(path), problem=f"it is not the record of a sweep: {error}",
            remedy="name another --out",
        ) from error  # fmt: skip
    return record


def _of_other_version(path: Path, version: int) -> UserError:
    return UserError(
        subject=str(path),
        problem=f"it has schema version {version}, expected {SCHEMA_VERSION}",
        remedy="name another --out",
    )
