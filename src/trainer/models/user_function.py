"""A function of a user's module, called as it is, each of its mistakes an error of one line."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from trainer.config import RetryableError, UserError
from trainer.runtime import StoppedError, output

# The most characters of a message.
MOST_CHARACTERS = 300

# Errors of TensorFlow's that come from other processes or from the machine, whoever calls.
_FOREIGN = (
    "AbortedError",
    "CancelledError",
    "DeadlineExceededError",
    "ResourceExhaustedError",
    "UnavailableError",
)
_OURS = Path(__file__).parent.parent


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
        except Exception as error:
            if type(error).__name__ in _FOREIGN:
                raise
            raise self.mistake(describe(error)) from error

    def mistake(self, problem: str, remedy: str | None = None) -> UserError:
        """Return the error that says what is wrong with the function or what it returned."""
        return UserError(subject=self.subject, problem=problem, remedy=remedy)


def describe(error: Exception) -> str:
    """Return an error's type, the first line of its message, and the user's line that raised it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # Secrets are masked whole, before a cut could leave half of one.
    text = output.clean(" ".join((lines or [""])[0].split()))[:MOST_CHARACTERS]
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _is_users(frame.filename)]
    where = f" ({own[-1].filename}:{own[-1].lineno})" if own else ""
    return f"{type(error).__name__}: {text}{where}" if text else f"{type(error).__name__}{where}"


def _is_users(filename: str) -> bool:
    path = Path(filename)
    installed = {"site-packages", "dist-packages"} & set(path.parts)
    return path.is_file() and not installed and not path.is_relative_to(_OURS)
