"""Print with all secrets masked; the trainer itself prints only through this module.

    output.begin(os.environ, argv)      # once, when the process starts
    output.err("trainer: error: …")

A user's code may print by itself; its lines are passed on unchanged.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal

from trainer.runtime.secrets import collect, mask

_hide: frozenset[str] = frozenset()
# Prints tracebacks in another format than Python's.
_traceback: Callable[[BaseException], None] | None = None


def begin(env: Mapping[str, str], argv: Sequence[str] = ()) -> None:
    """Note the secrets in the environment and the arguments, in place of any before.

    Args:
        env: The environment of the process.
        argv: The arguments of the process.
    """
    global _hide
    _hide = collect.known_secrets(env) | collect.known_in_argv(argv)
    logging.lastResort = _LastResort(logging.WARNING)
    # TensorFlow has a handler of its own, and logs what a user's functions raise.
    logger = logging.getLogger("tensorflow")
    if not any(isinstance(each, _Masking) for each in logger.filters):
        logger.addFilter(_Masking())
    sys.excepthook = _excepthook
    threading.excepthook = _thread_excepthook


def protect(names: Mapping[str, str]) -> None:
    """Note the secrets among hyperparameters, or in the environment of a child process."""
    global _hide
    _hide |= collect.known_secrets(names)


def clean(text: str) -> str:
    """Return a text with secrets masked, to be printed, written or sent to other hosts."""
    return mask.mask_text(text, hide=_hide)


def clean_value(value: Any) -> Any:
    """Return a value of JSON with secrets masked."""
    return mask.mask_value(value, hide=_hide)


def out(text: str) -> None:
    """Print a line to standard output, at once."""
    sys.stdout.write(clean(text) + "\n")
    sys.stdout.flush()


def err(text: str) -> None:
    """Print a line to standard error, at once."""
    sys.stderr.write(clean(text) + "\n")
    sys.stderr.flush()


def out_json(value: Any) -> None:
    """Print a value as JSON to standard output."""
    sys.stdout.write(json.dumps(clean_value(value), indent=2) + "\n")
    sys.stdout.flush()


def line_json(value: Any, *, to: Literal["out", "err"]) -> None:
    """Print a value as one line of JSON, at once."""
    stream = sys.stdout if to == "out" else sys.stderr
    stream.write(json.dumps(clean_value(value)) + "\n")
    stream.flush()


def print_tracebacks(by: Callable[[BaseException], None] | None) -> None:
    """Print tracebacks by a function from now on; None for Python's own format."""
    global _traceback
    _traceback = by


def err_traceback(error: BaseException) -> None:
    """Print the traceback of an error to standard error."""
    if _traceback:
        _traceback(error)
        return
    err("".join(traceback.format_exception(error)).rstrip("\n"))


class _LastResort(logging.Handler):
    """Prints what libraries log without a handler, as Python itself does, with secrets masked."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            err(self.format(record))
        except Exception:
            self.handleError(record)


class _Masking(logging.Filter):
    """Masks what a library logs, and lets it pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        with contextlib.suppress(Exception):
            record.msg, record.args = clean(record.getMessage()), None
        return True


def _excepthook(
    kind: type[BaseException], error: BaseException, where: TracebackType | None
) -> None:
    err_traceback(error.with_traceback(where))


def _thread_excepthook(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and args.exc_type is not SystemExit:
        err_traceback(args.exc_value)
