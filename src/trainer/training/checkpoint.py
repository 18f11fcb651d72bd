"""Checkpoints: everything a killed run needs to end as if it had never been killed.

A checkpoint is a folder `ckpt-00000469` that appears whole. It holds TensorFlow's own checkpoint
files of the model, the optimizer and the dropout generators, and `state.json` with the position in
the data and the names of the variables, so that a checkpoint of another model is recognised before
it is read.
"""

from __future__ import annotations

import itertools
import logging
import os
import re
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from trainer.config import UserError
from trainer.runtime import error_message
from trainer.storage import local, without_wildcards
from trainer.training import checkpoint_state, trained_with
from trainer.training.checkpoint_state import STATE, CheckpointState, DamagedError, Progress
from trainer.training.curves import CurveRecorder
from trainer.training.trained_with import History

logger = logging.getLogger(__name__)

VARIABLES = "variables"
# Lost servers or too little memory may cause these errors: they do not prove a file to be damaged.
_NOT_OF_FILES = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.ResourceExhaustedError,
    tf.errors.UnavailableError,
    MemoryError,
)


class Checkpoints:
    """The checkpoints of one run in one folder.

    Args:
        folder: Made if it is not there.
        model: The model that is trained.
        optimizer: With its variables built.
        keep: Number of the newest checkpoints that stay; the best stays besides.
        device: The device that reads and writes files, if not that of the variables.
        alone: True if no other process writes here, so that unfinished folders are nobody's.
        history: The settings that the steps are trained with; continued from a checkpoint's.
        curves: The learning curves; continued as well.
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
        history: History | None = None,
        curves: CurveRecorder | None = None,
    ) -> None:
        self._history, self._curves = history, curves
        self._folder, self._keep, self._alone = folder, keep, alone
        # The step of the checkpoint that was saved or restored last, which therefore is whole.
        self._current = -1
        # Checkpoints that are passed over: a folder that takes the place of one has another
        # identity.
        self._passed: dict[int, tuple[int, int]] = {}
        self._options = tf.train.CheckpointOptions(experimental_io_device=device)
        variables = [*model.variables, *optimizer.variables]
        # List the variables one by one: TensorFlow, looking for them in the model, would leave out
        # the states of dropout.
        self._objects = tf.train.Checkpoint(variables=[v.value for v in variables])
        self._shapes = [[v.path, list(v.shape)] for v in variables]
        folder.mkdir(parents=True, exist_ok=True)
        if alone:
            local.remove_leftovers(folder)

    def save(self, progress: Progress) -> Path:
        """Write a checkpoint, then remove those no longer kept."""
        step = progress.step
        path = self._path(step)
        if step != self._current:
            if os.path.lexists(path):
                # A damaged checkpoint is there. It must not stay the newest.
                local.remove_folder(path)
            with local.new_folder(path) as part:
                self._objects.write(str(part / VARIABLES), self._options)
                trained = self._history.at(step) if self._history else ()
                curves = self._curves.as_json() if self._curves else None
                checkpoint_state.write(part, progress, self._shapes, trained, curves)
            logger.debug("wrote %s", path)
            self._passed.pop(step, None)
            self._current = step
        steps = self._steps()
        whole = [other for other in steps if other not in self._passed]
        kept = {*whole[-self._keep :], progress.best_step}
        for other in steps:
            # A newer damaged checkpoint stays, and is replaced when the run gets to its step.
            if other not in kept and (other in whole or other < step):
                local.remove_folder(self._path(other))
                self._passed.pop(other, None)
        return path

    def restore(self, *, after: int = -1) -> Progress | None:
        """Load the newest whole checkpoint; damaged ones are passed over with a warning.

        Args:
            after: Load only a checkpoint of a later step.

        Returns:
            The position of the run when it was written, or None if there is no checkpoint.

        Raises:
            UserError: It is of another model or optimizer; or all checkpoints are damaged, and
                this process is the one that writes them.
        """
        steps = [step for step in self._steps() if step > after]
        other: UserError | None = None
        newest = ""
        for step in reversed(steps):
            path = self._path(step)
            if step in self._passed and self._passed[step] == _identity(path):
                continue
            try:
                progress = self._load(path)
            except _OtherModelError as error:
                if error.certain:
                    raise
                other, why = other or error, "is of another model or damaged"
            except DamagedError as error:
                why = str(error)
            else:
                self._current = step
                logger.debug("restored %s", path)
                return progress
            # The chief keeps the newest only, and may have removed this one meanwhile.
            if (identity := _identity(path)) is not None:
                self._passed[step] = identity
                newest = newest or f"{path.name}: {why}"
                logger.warning(
                    "--checkpoint-dir %s: passed over %s: %s", self._folder, path.name, why
                )
        if self._alone and newest:
            if other is not None:
                raise other
            # The state is written last: a single checkpoint without it was never finished.
            if len(steps) > 1 or os.path.lexists(self._path(steps[0]) / STATE):
                raise checkpoint_state.all_damaged(self._folder, len(steps), newest)
        return None

    def load_weights(self, step: int) -> bool:
        """Load the variables that a checkpoint has, and nothing else.

        Returns:
            False if there is no such checkpoint, or it is damaged or of another model.
        """
        path = self._path(step)
        try:
            self._read(path)
        except (DamagedError, _OtherModelError) as error:
            logger.warning("--checkpoint-dir %s: %s: %s", self._folder, path.name, error)
            return False
        return True

    def _load(self, path: Path) -> Progress:
        state = self._read(path)
        if self._history:
            self._history.resume(trained_with.read(state.trained), step=state.progress.step)
        if self._curves:
            self._curves.resume(state.curves, step=state.progress.step)
        return state.progress

    def _read(self, path: Path) -> CheckpointState:
        state = checkpoint_state.read(path)
        past, now = trained_with.read(state.trained), self._history and self._history.now
        changes = trained_with.differences(past[-1], now) if now and past else []
        self._check(path, state.variables, changes, certain=state.checked)
        try:
            self._objects.read(
                str(without_wildcards(path) / VARIABLES), self._options
            ).assert_consumed()
        except _NOT_OF_FILES:
            raise
        except Exception as error:
            # TensorFlow has many errors for a file without checksum that is not what it expects.
            raise DamagedError(f"TensorFlow cannot read it: {error_message(error)}") from None
        return state

    def _check(
        self, path: Path, there: list[list[Any]], changes: list[str], *, certain: bool
    ) -> None:
        for here, other in itertools.zip_longest(self._shapes, there):
            if here != other:
                a, b = (f"{v[0]} {v[1]}" if v else "nothing more" for v in (other, here))
                why = f", and was trained with {'; '.join(changes)}" if changes else ""
                error = _OtherModelError(
                    subject=f"--checkpoint-dir {self._folder}",
                    problem=f"{path.name} is of another model or "
                    f"optimizer: it has {a} where this one has {b}{why}",
                    remedy="name another folder, or train with the flags it was made with",
                )
                error.certain = certain
                raise error

    def _path(self, step: int) -> Path:
        return self._folder / f"ckpt-{step:08d}"

    def _steps(self) -> list[int]:
        names = (re.fullmatch("ckpt-([0-9]{8,15})", path.name) for path in self._folder.iterdir())
        # Take only names as they are written here: two spellings of one step are two folders.
        return sorted(
            int(match[1]) for match in names if match and match[0] == self._path(int(match[1])).name
        )


class _OtherModelError(UserError):
    """A checkpoint has other variables than the model.

    Attributes:
        certain: True if a checksum proves that the names and shapes in it are those written.
    """

    certain = True


def _identity(path: Path) -> tuple[int, int] | None:
    """Return inode and time of a folder, which one in its place would not have; None if none."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
