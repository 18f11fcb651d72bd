"""A function of a user's module, called as it is, each of its mistakes an error of one line."""

from __future__ import annotations

import inspect
import re
import sysconfig
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from trainer.config import RetryableError, UserError
from trainer.runtime import StoppedError, error_message, typed_message

# A frame of a traceback within a message.
_FRAME = re.compile(r'File "([^"\n]+)", line (\d+)')

# Errors of TensorFlow's that no code of the user's causes.
_FOREIGN = (
    "AbortedError",
    "CancelledError",
    "DeadlineExceededError",
    "ResourceExhaustedError",
    "UnavailableError",
)
# Where no code of the user's lies: this package, Python's own modules, and installed commands.
_OTHERS = (
    Path(__file__).parent.parent,
    Path(sysconfig.get_path("stdlib")),
    Path(sysconfig.get_path("scripts")),
)


class UserFunction:
    """A function of a user's module.

    Args:
        function: The function.
        name: Its name.
        module: The module, as `--module` names it.
        parameters: The names of the arguments that it is called with.

    Attributes:
        subject: The function and its module, for errors.
    """

    def __init__(
        self, function: Callable[..., Any], *, name: str, module: str, parameters: Sequence[str]
    ) -> None:
        self._function, self._parameters = function, parameters
        self.__name__ = name
        self.subject = f"{name} of {module}"
        try:
            self.__signature__ = inspect.signature(function)
        except (TypeError, ValueError):
            # Some functions written in C do not tell.
            self.__signature__ = inspect.signature(lambda *args, **options: None)

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Call the function.

        Raises:
            UserError: It takes other arguments, or raises an error; the traceback is its cause.
        """
        try:
            self.__signature__.bind(*args, **options)
        except TypeError:
            takes = ", ".join(self.__signature__.parameters)
            raise self.mistake(
                f"takes ({takes}), expected ({', '.join(self._parameters)})"
            ) from None
        try:
            return self._function(*args, **options)
        except (UserError, RetryableError, StoppedError, MemoryError):
            raise
        except (Exception, SystemExit) as error:
            if is_foreign(error):
                raise
            raise self.mistake(describe(error)) from error

    def mistake(self, problem: str, remedy: str | None = None) -> UserError:
        """Return the error that says what is wrong with the function or what it returned."""
        return UserError(subject=self.subject, problem=problem, remedy=remedy)


def is_foreign(error: BaseException) -> bool:
    """Return whether an error comes from other processes or the machine, whoever calls."""
    return type(error).__name__ in _FOREIGN


def describe(error: BaseException) -> str:
    """Return an error's type, the first line of its message, and the user's line that raised it."""
    what = typed_message(error)
    if isinstance(error, SystemExit):
        # A run that ended here would pass for a finished one, as of `sys.exit(0)`.
        given = "" if error.code is None else error_message(error)
        what = f"it ends the program by sys.exit({given})"
    return f"{what}{place_of(error)}"


def place_of(error: BaseException) -> str:
    """Return the file and line of the user's code that raised an error, as ` (net.py:7)`.

    What TensorFlow runs in threads of its own has its frames in the message alone.
    """
    frames = [(each.filename, each.lineno) for each in traceback.extract_tb(error.__traceback__)]
    quoted = [(name, int(line)) for name, line in _FRAME.findall(str(error))]
    own = [each for each in (*frames, *quoted) if _is_users(each[0])]
    return f" ({own[-1][0]}:{own[-1][1]})" if own else ""


def _is_users(filename: str) -> bool:
    path = Path(filename)
    if {"site-packages", "dist-packages"} & {*path.parts}:
        return False
    if path.name.startswith("__autograph_generated_file") or not path.is_file():
        return False
    return not any(path.is_relative_to(folder) for folder in _OTHERS)
