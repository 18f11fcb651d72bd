"""The user's own code in a model folder: found, imported, and given the packages it needs.

`code/inference.py` in the model folder is for all models, `<model>/code/inference.py` for one.
`code/lib` is on the path; without it, `code/requirements.txt` is installed when the server starts.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path

from trainer.launch import pip
from trainer.serving.predict import Predictor
from trainer.serving.user_code import requirements
from trainer.serving.user_code.handler import UserCode


class Handlers:
    """The user's code of each model, if there is any.

    Args:
        predictor: See `UserCode`.
        port: See `UserCode`.
        max_queue: See `UserCode`.
    """

    def __init__(self, *, predictor: Predictor, port: int, max_queue: int) -> None:
        self._make = functools.partial(
            UserCode, predictor=predictor, port=port, max_queue=max_queue
        )
        self._all: UserCode | None = None
        self._own: dict[str, UserCode] = {}

    def load(self, folder: Path) -> None:
        """Import all code of a model folder.

        Args:
            folder: The model folder; its `code` is for all models that have none of their own.

        Raises:
            UserError: A file cannot be imported, or lacks the functions.
        """
        for code in (folder / "code", *sorted(folder.glob("*/code"))):
            path = code / "inference.py"
            if not path.is_file():
                continue
            user = self._make(path)
            if code.parent == folder:
                self._all = user
            else:
                self._own[code.parent.name] = user

    @property
    def calling(self) -> bool:
        """True if any of the code is running."""
        return any(user.calling for user in (self._all, *self._own.values()) if user)

    def of(self, model: str) -> UserCode | None:
        """Return the code for a model; None if it has none."""
        return self._own.get(model, self._all)


def install(folder: Path, *, stopped: Callable[[], bool]) -> None:
    """Make the packages importable that the code of a model folder needs.

    Args:
        folder: The model folder.
        stopped: Called again and again; True gives up.

    Raises:
        UserError: pip failed.
        StoppedError: `stopped` returned True.
    """
    for code in (folder / "code", *sorted(folder.glob("*/code"))):
        lib = code / "lib"
        if lib.is_dir():
            sys.path.insert(0, str(lib))
        elif (code / pip.REQUIREMENTS).is_file():
            requirements.install(code, stopped=stopped)
