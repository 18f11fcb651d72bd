"""Errors in a call of the compiled steps: those of the data, and of a user's module."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from trainer.config import RetryableError, Split, UserError
from trainer.data import Stream, TableSet
from trainer.models import ModelModule, describe, is_foreign
from trainer.runtime import StoppedError

# TensorFlow's words for a label beyond the outputs.
_LABEL = re.compile(r"label value of (-?\d+) which is outside the valid range of \[0, (\d+)\)")
# Where the operation that fails is the one that gets a batch of a data set.
_READS = re.compile(
    r"IteratorGetNext\w*(?:\}\})?\]|__wrapped__IteratorGetNext|Detected at node \S*IteratorGetNext"
)
# The errors of operations that values and shapes cause, and not the machine or other processes.
_OF_VALUES = (
    tf.errors.InvalidArgumentError,
    tf.errors.NotFoundError,
    tf.errors.PermissionDeniedError,
    tf.errors.UnimplementedError,
)


def call_reading_data(
    stream: Stream | TableSet | None,
    function: Callable[..., Any],
    *args: Any,
    module: ModelModule,
    split: Split,
) -> Any:
    """Call a function that reads data and runs the model; raise what fails in it in one line.

    TensorFlow turns an error of a Python generator into text; the stream keeps the error itself.

    Args:
        stream: The tables that are read; None for the data of a module of one's own.
        function: Reads the data.
        *args: The arguments of the function.
        module: Makes the model, and perhaps the data.
        split: The part of the data that is read.

    Raises:
        UserError: The data is damaged, training data ends, or the code of a module fails.
    """
    try:
        return function(*args)
    except tf.errors.OutOfRangeError:
        raise UserError(
            subject=f"--module {module.name}",
            problem="its training data ended",
            remedy="input_fn must repeat it",
        ) from None
    except tf.errors.OpError as error:
        if stream is not None and stream.error is not None:
            raise stream.error from None
        if stream is None and (mistake := _mistake_in_data(error, module, split)):
            raise mistake from error
        if module.is_builtin or not _is_of_values(error):
            raise
        raise _mistake(error, module, split) from error
    except (UserError, RetryableError, StoppedError, MemoryError):
        raise
    except Exception as error:
        # Raised while TensorFlow compiles the steps.
        if module.is_builtin:
            raise
        raise _mistake(error, module, split) from error


def _mistake_in_data(error: Exception, module: ModelModule, split: Split) -> UserError | None:
    """Return the mistake in what an `input_fn` has made; None if the error is another."""
    subject = f"input_fn of {module.name}"
    where = "" if split == "train" else f" in the {split} data"
    if label := _LABEL.search(str(error)):
        return UserError(
            subject=subject,
            problem=f"a label is {label[1]}{where}, expected 0 to {int(label[2]) - 1}, as the "
            "model has so many outputs",
        )
    if _READS.search(str(error)) and not is_foreign(error):
        return UserError(subject=subject, problem=f"its data set fails{where}: {describe(error)}")
    return None


def _is_of_values(error: Exception) -> bool:
    """Return whether an error of an operation comes of what the user's code gave it."""
    # TensorFlow has what Python functions raise as an unknown error with a traceback.
    is_python = isinstance(error, tf.errors.UnknownError) and "\nTraceback (" in str(error)
    return is_python or isinstance(error, _OF_VALUES)


def _mistake(error: Exception, module: ModelModule, split: Split) -> UserError:
    what = "a training step fails"
    if split != "train":
        what = f"the evaluation on the {split} data fails"
    return UserError(subject=f"--module {module.name}", problem=f"{what}: {describe(error)}")
