"""Checkpoints: everything a killed run needs to end as if it had never been killed.

A checkpoint is a folder `ckpt-00000469` that appears whole: TensorFlow's own checkpoint files of
the model, the optimizer and the dropout generators, and `state.json` with the position in the data
and what the variables are, so that another model's checkpoint is told from ours before it is read.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from trainer import atomic
from trainer.errors import UserError

STATE, VARIABLES = "state.json", "variables"


@dataclass(frozen=True)
class Progress:
    """Where a run is.

    Attributes:
        step: Steps done.
        examples: Training examples seen by all processes, which is the position in the data.
        best_step: The step of the best evaluation; -1 before the first.
        best_accuracy: On the test set, then.
        train_cpu_seconds: Processor time of the steps done.
        train_seconds: Time of the steps done.
    """

    step: int = 0
    examples: int = 0
    best_step: int = -1
    best_accuracy: float = -1.0
    train_cpu_seconds: float = 0.0
    train_seconds: float = 0.0

    @classmethod
    def of(cls, numbers: Iterable[float]) -> Progress:
        """The inverse of `dataclasses.astuple`, where all numbers have become floats."""
        kinds = (int, int, int, float, float, float)
        return cls(*(kind(number) for kind, number in zip(kinds, numbers, strict=True)))


class Checkpoints:
    """The checkpoints of one run in one folder.

    Args:
        folder: Made if it is not there.
        model: What is trained.
        optimizer: With its variables built.
        keep: How many of the newest stay; the best stays besides.
        device: Where files are read and written, if not where the variables are.
        alone: Whether no other process writes here, so that what is left unfinished is nobody's.
    """

    def __init__(
        self,
        folder: Path,
        *,
        model: keras.Model,
        optimizer: keras.Optimizer,
        keep: int,
        device: str | None = None,
        alone: bool = True,
    ) -> None:
        self._folder, self._keep = folder, keep
        self._options = tf.train.CheckpointOptions(experimental_io_device=device)
        variables = [*model.variables, *optimizer.variables]
        # Listed one by one: found through the model, the states of dropout would be left out.
        self._objects = tf.train.Checkpoint(variables=[v.value for v in variables])
        self._shapes = [[v.path, list(v.shape)] for v in variables]
        folder.mkdir(parents=True, exist_ok=True)
        if alone:
            atomic.remove_leftovers(folder)

    def save(self, progress: Progress) -> Path:
        """Write a checkpoint, then remove those no longer kept."""
        path = self._path(progress.step)
        if not path.exists():
            with atomic.new_folder(path) as part:
                self._objects.write(str(part / VARIABLES), self._options)
                sizes = {file.name: file.stat().st_size for file in sorted(part.iterdir())}
                state = {
                    "progress": dataclasses.asdict(progress),
                    "files": sizes,
                    "variables": self._shapes,
                }
                (part / STATE).write_text(json.dumps(state, indent=1))
        kept = {*self._steps()[-self._keep :], progress.best_step}
        for step in self._steps():
            if step not in kept:
                atomic.remove_folder(self._path(step))
        return path

    def restore(self, *, after: int = -1) -> Progress | None:
        """Load the newest whole checkpoint.

        Args:
            after: Only one of a later step.

        Returns:
            Where it was made, or None if there is none.

        Raises:
            UserError: It was made by another model or optimizer.
        """
        for step in reversed(self._steps()):
            path = self._path(step)
            state = _read(path) if step > after else None
            if state is None:
                continue
            self._check(path, state["variables"])
            self._objects.read(str(path / VARIABLES), self._options).assert_consumed()
            return Progress(**state["progress"])
        return None

    def _check(self, path: Path, there: list[list]) -> None:
        for here, other in itertools.zip_longest(self._shapes, there):
            if here != other:
                a, b = (f"{v[0]} {v[1]}" if v else "nothing more" for v in (other, here))
                raise UserError(
                    f"--checkpoint-dir {self._folder}: {path.name} is of another model or "
                    f"optimizer: it has {a} where this one has {b}; name another folder, or "
                    "train with the flags it was made with"
                )

    def _path(self, step: int) -> Path:
        return self._folder / f"ckpt-{step:08d}"

    def _steps(self) -> list[int]:
        names = (p.name.removeprefix("ckpt-") for p in self._folder.glob("ckpt-*"))
        return sorted(int(name) for name in names if name.isdigit())


def _read(path: Path) -> dict[str, Any] | None:
    """The state of a checkpoint, or None if one of its files is missing or short."""
    try:
        state = json.loads((path / STATE).read_text())
        whole = all((path / n).stat().st_size == size for n, size in state["files"].items())
    except (OSError, ValueError, KeyError):
        return None
    return state if whole else None
