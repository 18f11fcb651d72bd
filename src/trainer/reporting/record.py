"""The record of a run, as `metrics.json` has it, schema version 1.

    record = read_record("s3://bucket/runs/mnist")
    record.test_accuracy

In a notebook, a record shows itself as a summary of the run.

Keys that this version does not know are left out; keys that an older trainer did not write have
their defaults.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any

import msgspec

from trainer.config import UserError
from trainer.storage import StorageError, is_remote, local_path, remote

SCHEMA_VERSION = 1
FILE_NAME = "metrics.json"


@dataclass(frozen=True, kw_only=True)
class TrainColumns:
    """The learning curve of the training data, a list for each column.

    Attributes:
        step: Steps done.
        seconds: Time of the training steps so far.
        loss: Mean cross-entropy of the steps since the point before.
        accuracy: Share of their examples whose class was right; None where nobody counted.
        learning_rate: Of the next step.
        images_per_second: Examples in a second.
        metrics: Further figures, a list by name.
    """

    step: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    loss: list[float | None] = field(default_factory=list)
    accuracy: list[float | None] = field(default_factory=list)
    learning_rate: list[float | None] = field(default_factory=list)
    images_per_second: list[float | None] = field(default_factory=list)
    metrics: dict[str, list[float | None]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TestColumns:
    """The learning curve of validation or test data, see `TrainColumns`."""

    step: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    loss: list[float | None] = field(default_factory=list)
    accuracy: list[float | None] = field(default_factory=list)
    metrics: dict[str, list[float | None]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Curves:
    """The learning curves; with validation data, that of the test data is its last point."""

    train: TrainColumns = field(default_factory=TrainColumns)
    validation: TestColumns = field(default_factory=TestColumns)
    test: TestColumns = field(default_factory=TestColumns)


@dataclass(frozen=True, kw_only=True)
class RankRecord:
    """The work of one process.

    Attributes:
        rank: Its number.
        images_per_second: Examples in a second of training.
        host: The host that it ran on.
        device: The device, as the log has it.
    """

    rank: int
    images_per_second: float | None = None
    host: str | None = None
    device: str | None = None


@dataclass(frozen=True, kw_only=True)
class CalibrationBin:
    """The test examples whose greatest probability lies in an interval.

    Attributes:
        low: Begin of the interval.
        high: Its end.
        count: How many examples it has.
        confidence: Mean of their greatest probabilities; None without examples.
        accuracy: Share of them whose class is right; None without examples.
    """

    low: float
    high: float
    count: int
    confidence: float | None = None
    accuracy: float | None = None


@dataclass(frozen=True, kw_only=True)
class ClassificationRecord:
    """The answers to the test data, or else to the validation data, at the last evaluation.

    Attributes:
        step: The step that the weights are of.
        split: `test` or `validation`.
        examples: Number of test examples.
        classes: Names of the classes.
        confusion: Counts: a row for each true class, a column for each predicted one.
        calibration: Bins of confidence, lowest first.
    """

    step: int
    split: str = "test"
    examples: int
    classes: list[str] = field(default_factory=list)
    confusion: list[list[int]] | None = None
    calibration: list[CalibrationBin] = field(default_factory=list)

    def __post_init__(self) -> None:
        size = len(self.confusion or ())
        if any(len(row) != size for row in self.confusion or ()):
            raise ValueError("a confusion matrix is not a square")


class SettingRecord(msgspec.Struct, frozen=True, kw_only=True, rename={"source": "from"}):
    """An option of the job: its value, and the flag, variable or file that set it (`from`)."""

    value: Any = None
    source: str | None = None


@dataclass(frozen=True, kw_only=True)
class SplitRecord:
    """The training, the validation or the test data.

    Attributes:
        kind: The data format, `synthetic` or `module`.
        examples: Number of examples, if that is known.
        files: Their names.
        damaged: A line for each file, or part of one, that was left out.
        labels: Number of examples of each class.
    """

    kind: str | None = None
    examples: int | None = None
    files: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    labels: dict[str, int] | None = None


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """All that `metrics.json` says of a run; docs/contracts.md describes each key.

    Times are in seconds; `train_seconds` is that of the training steps alone. `time_split` has the
    seconds of start_up, input, compute, exchange, evaluation, checkpoints, export and other.
    `platform`, `because` and `job` are as `trainer train --dry-run --json` prints them.
    """

    model: str
    steps: int
    schema_version: int = SCHEMA_VERSION
    parameters: int | None = None
    epochs: float | None = None
    stopped: bool = False
    stopped_early: bool = False
    test_accuracy: float | None = None
    test_loss: float | None = None
    best_test_accuracy: float | None = None
    validation_accuracy: float | None = None
    validation_loss: float | None = None
    best_validation_accuracy: float | None = None
    best_step: int | None = None
    metric: str | None = None
    best_metric: float | None = None
    test_metrics: dict[str, float | None] | None = None
    validation_metrics: dict[str, float | None] | None = None
    train_loss: float | None = None
    train_accuracy: float | None = None
    train_seconds: float | None = None
    train_cpu_seconds: float | None = None
    images_per_second: float | None = None
    images_per_cpu_second: float | None = None
    device: dict[str, Any] = field(default_factory=dict)
    distribution: str = "none"
    processes: int = 1
    replicas: int = 1
    classes: int | None = None
    class_names: list[str] = field(default_factory=list)
    data: dict[str, SplitRecord] = field(default_factory=dict)
    hparams: dict[str, Any] | None = None
    trained_before: list[dict[str, Any]] = field(default_factory=list)
    versions: dict[str, str | None] = field(default_factory=dict)
    model_path: str | None = None
    weights_crc32c: list[str] = field(default_factory=list)
    curves: Curves | None = None
    time_split: dict[str, float] | None = None
    ranks: list[RankRecord] = field(default_factory=list)
    evaluation: ClassificationRecord | None = None
    platform: str | None = None
    because: str | None = None
    job: dict[str, SettingRecord] | None = None
    command: list[str] = field(default_factory=list)
    host: str | None = None
    warnings: list[str] = field(default_factory=list)

    def _repr_html_(self) -> str:
        """Return the summary that notebooks show."""
        from trainer.reporting.summary import render_summary

        return render_summary(self)


def encode_record(record: RunRecord) -> dict[str, Any]:
    """Return a record as JSON has it, with null for what is no number."""
    encoded: dict[str, Any] = finite(msgspec.to_builtins(record))
    return encoded


def finite(value: Any) -> Any:
    """Return a value of JSON with null for what is no number; few programs read NaN."""
    if isinstance(value, dict):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def decode_record(data: bytes, *, path: str) -> RunRecord:
    """Return the record in the bytes of a `metrics.json`.

    Args:
        data: The bytes.
        path: Its path, for errors.

    Raises:
        UserError: It is damaged, or of a newer schema.
    """
    try:
        # Python's own reader takes the NaN of a loss that grew without bounds.
        value = json.loads(data)
        if b"\\ud" in data:
            # Half a character, as in a name of a file that is not UTF-8.
            value = json.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))
    except (ValueError, RecursionError):
        raise UserError(
            subject=path,
            problem="it is not JSON: half-written or damaged",
            remedy="copy it again from where the run wrote it",
        ) from None
    version = value.get("schema_version", SCHEMA_VERSION) if isinstance(value, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise UserError(
            subject=path,
            problem=f"it has schema version {version}, this trainer reads up to {SCHEMA_VERSION}",
            remedy="read it with the trainer that wrote it, or a newer one",
        )
    try:
        return msgspec.convert(value, RunRecord)
    except msgspec.ValidationError as error:
        raise UserError(
            subject=path,
            problem=f"it is not the record of a run: {error}",
            remedy="name the folder that a run of trainer wrote",
        ) from None


def read_record(folder: str) -> RunRecord:
    """Return the record of a run.

    Args:
        folder: The folder that the run wrote its `metrics.json` to; s3:// and gs:// too.

    Raises:
        UserError: There is none, or it is damaged or of a newer schema.
    """
    folder = folder if is_remote(folder) else local_path(folder, flag="RUN")
    path = f"{folder.rstrip('/')}/{FILE_NAME}"
    try:
        data = remote.read_file(path)
    except (OSError, StorageError) as error:
        raise UserError(subject=path, problem=f"it cannot be read: {error}") from error
    if data is None:
        raise UserError(
            subject=folder,
            problem=f"there is no {FILE_NAME}, which a run writes when it ends",
            remedy="name the --output-dir of a run",
        )
    return decode_record(data, path=path)
