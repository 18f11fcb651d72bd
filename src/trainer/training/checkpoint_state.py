"""`state.json` of a checkpoint: the position of the run, and the checksums of all files.

It holds a CRC32C of each file and of itself, so that a flipped bit is found before TensorFlow reads
it. Checkpoints of earlier versions have sizes only, and are checked as far as those go.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import google_crc32c

from trainer.config import UserError

if TYPE_CHECKING:
    from trainer.training.trained_with import TrainedSteps

STATE = "state.json"
# The keys in a checkpoint of an earlier version, which has no checksums.
_UNCHECKED = {"progress", "files", "variables"}
_CRC, _FILE_CRCS = "crc32c", "files_crc32c"
_PIECE = 2**20


class DamagedError(Exception):
    """A checkpoint is not as it was written; the message says what is wrong with which file."""


@dataclass(frozen=True)
class Progress:
    """The position of a run.

    Attributes:
        step: Steps done.
        examples: Training examples used by all processes, which is the position in the data.
        best_step: The step of the best evaluation; -1 before the first.
        best_value: Its value of the figure that `--metric` names, the test accuracy by default.
        train_cpu_seconds: Processor time of the steps done.
        train_seconds: Time of the steps done.
        waited: Evaluations since the last that was better in the sense of `--early-stop`.
        reference: The value of that one.
    """

    step: int = 0
    examples: int = 0
    best_step: int = -1
    best_value: float = -1.0
    train_cpu_seconds: float = 0.0
    train_seconds: float = 0.0
    waited: int = 0
    reference: float = -1.0

    @classmethod
    def of(cls, numbers: Iterable[float]) -> Progress:
        """Invert `dataclasses.astuple`, where all numbers have become floats."""
        kinds = (int, int, int, float, float, float, int, float)
        return cls(*(kind(number) for kind, number in zip(kinds, numbers, strict=True)))


@dataclass(frozen=True)
class CheckpointState:
    """The contents of `state.json`.

    Attributes:
        progress: The position of the run.
        variables: Path and shape of each variable.
        checked: True if checksums prove it; checkpoints of earlier versions have none.
        trained: The settings that the steps were trained with, see `trained_with.read`.
        curves: The learning curves, see `CurveRecorder.resume`.
    """

    progress: Progress
    variables: list[list[Any]]
    checked: bool = True
    trained: Any = None
    curves: Any = None


def write(
    folder: Path,
    progress: Progress,
    variables: Sequence[Sequence[Any]],
    trained: Sequence[TrainedSteps] = (),
    curves: Mapping[str, Any] | None = None,
) -> None:
    """Describe all files that are in the folder of a checkpoint."""
    files = sorted(path for path in folder.iterdir() if path.name != STATE)
    state: dict[str, Any] = {
        "progress": dataclasses.asdict(progress),
        "files": {path.name: path.stat().st_size for path in files},
        _FILE_CRCS: {path.name: f"{_crc_of(path):08x}" for path in files},
        "variables": variables,
        "trained": [dataclasses.asdict(stretch) for stretch in trained],
        "curves": curves,
    }
    state[_CRC] = _own_crc(state)
    (folder / STATE).write_text(json.dumps(state, indent=1))


def read(folder: Path) -> CheckpointState:
    """Read and check a checkpoint, all of its files included.

    Raises:
        DamagedError: Something is missing, damaged or not as expected.
    """
    try:
        state = json.loads((folder / STATE).read_bytes())
        checked = isinstance(state, dict) and state.keys() != _UNCHECKED
        whole = not checked or state.get(_CRC) == _own_crc(state)
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedError(f"{STATE}: {_reason(error)}") from None
    if not whole:
        raise DamagedError(f"{STATE}: its checksum differs")
    try:
        files, crcs = state["files"], state[_FILE_CRCS] if checked else {}
        found = CheckpointState(
            _progress(state["progress"]),
            _variables(state["variables"]),
            checked,
            state.get("trained"),
            state.get("curves"),
        )
        for name, size in files.items():
            _check_file(folder / name, size, crcs[name] if checked else None)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise DamagedError(f"{STATE}: is not of the expected form") from None
    if folder.name != f"ckpt-{found.progress.step:08d}" and folder.name.startswith("ckpt-"):
        raise DamagedError(f"{STATE}: is of step {found.progress.step}")
    return found


def all_damaged(folder: Path | str, count: int, newest: str) -> UserError:
    """Return the error of a run that finds checkpoints, but none to go on from."""
    which = "the only checkpoint is" if count == 1 else f"all {count} checkpoints are"
    return UserError(
        subject=f"--checkpoint-dir {folder}",
        problem=f"{which} damaged ({newest})",
        remedy="remove them to begin anew, or name another folder",
    )


def _check_file(path: Path, size: int, crc: str | None) -> None:
    try:
        there = path.stat().st_size
        if there != size:
            raise DamagedError(f"{path.name}: has {there} bytes, {size} were written")
        # Open nothing but a file: a reader of a pipe, for one, would wait for ever.
        if crc is not None and (not path.is_file() or f"{_crc_of(path):08x}" != crc):
            raise DamagedError(f"{path.name}: its checksum differs")
    except OSError as error:
        raise DamagedError(f"{path.name}: {_reason(error)}") from None


def _progress(numbers: dict[str, Any]) -> Progress:
    """Check types and ranges, as a state without a checksum may hold anything."""
    # Earlier versions knew no figure but the accuracy.
    numbers = {"best_value": numbers.get("best_accuracy", -1.0), **numbers}
    names = [field.name for field in dataclasses.fields(Progress)]
    progress = Progress(**{name: numbers[name] for name in names if name in numbers})
    whole = (progress.step, progress.examples, progress.best_step, progress.waited)
    values = (progress.best_value, progress.reference)
    rest = (*values, progress.train_cpu_seconds, progress.train_seconds)
    if not all(type(number) is int and -1 <= number < 2**53 for number in whole):
        raise ValueError
    if not all(type(number) in (int, float) and math.isfinite(number) for number in rest):
        raise ValueError
    if progress.step < 1 or progress.examples < 0 or progress.train_seconds < 0:
        raise ValueError
    return progress


def _variables(listed: Any) -> list[list[Any]]:
    for path, shape in listed:
        if type(path) is not str or not all(type(size) is int for size in shape):
            raise ValueError
    return [[path, list(shape)] for path, shape in listed]


def _own_crc(state: dict[str, Any]) -> str:
    """Return the checksum of everything but itself, whatever the spaces between."""
    rest = {name: value for name, value in state.items() if name != _CRC}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return f"{google_crc32c.value(text.encode()):08x}"


def _crc_of(path: Path) -> int:
    crc = 0
    with path.open("rb", buffering=0) as file:
        while piece := file.read(_PIECE):
            crc = google_crc32c.extend(crc, piece)
    return int(crc)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return (error.strerror or str(error)).lower()
    return "is no JSON"
