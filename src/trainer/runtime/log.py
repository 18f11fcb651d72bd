"""Write what the trainer logs: one handler for all packages, whose lines are a contract.

    logger = logging.getLogger(__name__)
    logger.info("step=%d test_accuracy=%.4f", step, accuracy)

    log.begin("INFO")                      # once a process, when it knows how much to print

People, CloudWatch's metric patterns and Cloud Logging read the same lines: a message is one line,
`name=value` where it has numbers. A run reports on standard output. Code that starts and supervises
processes writes `trainer: …` to standard error, and so does the server. Secrets are masked.

With the format `json`, the same text is the message of a line of JSON, and numbers are fields:

    logger.info("step=%d", step, extra={"fields": {"step": step}})
"""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import Any, Literal

from trainer.runtime import json_lines, live_bar, output, std_streams

# The values of --verbosity: each prints what it names and what is worse.
LEVELS = {
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARN": logging.WARNING,
    "ERROR": logging.ERROR,
    "FATAL": logging.CRITICAL,
}
Verbosity = Literal["DEBUG", "INFO", "WARN", "ERROR", "FATAL"]
# The values of --log-format.
FORMATS = ("text", "json")

ROOT = "trainer"
# Packages that log to standard error, with `trainer: ` before each line, in every process.
_SUPERVISION = ("cli", "distribution", "launch", "sagemaker")
# Modules of them that log where the rest of their process does: they prepare a run or a server.
_NOT_SUPERVISION = ("launch.pip", "sagemaker.script_mode")


# So many warnings are remembered.
MOST_WARNINGS = 100


def begin(
    verbosity: str = "INFO",
    *,
    to: Literal["out", "err"] = "out",
    prefix: str = "",
    form: str | None = None,
) -> None:
    """Print what the packages log from now on; replaces an earlier call.

    Args:
        verbosity: The lowest level that is printed, one of `LEVELS`.
        to: The stream of a verb's own lines, standard output or standard error.
        prefix: What stands before each of them.
        form: One of `FORMATS`, by default text.
    """
    json_lines.switch(form == "json")
    output.print_tracebacks(by=_uncaught if form == "json" else None)
    logger = logging.getLogger(ROOT)
    for handler in [h for h in logger.handlers if isinstance(h, LineHandler)]:
        logger.removeHandler(handler)
    logger.addHandler(LineHandler(to=to, prefix=prefix))
    logger.setLevel(LEVELS[verbosity])
    logger.propagate = False


def end() -> None:
    """Take the handler away, so that Python's own defaults hold again."""
    logger = logging.getLogger(ROOT)
    for handler in [h for h in logger.handlers if isinstance(h, LineHandler)]:
        logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)
    logger.propagate = True


def enable() -> None:
    """Undo that a user's module has disabled the trainer's loggers.

    `logging.config.dictConfig` and `fileConfig` disable every logger that they find, unless asked
    not to. Call this after code of a user's has run.
    """
    for name, logger in logging.root.manager.loggerDict.items():
        if isinstance(logger, logging.Logger) and _within(name, (ROOT,)):
            logger.disabled = False


def failure(line: str, error: BaseException | None = None) -> None:
    """Print why this process failed to standard error, in the format of `begin`.

    It is printed and not logged: the modules of a user may have disabled all loggers.

    Args:
        line: The line as text.
        error: Its traceback comes before the line, or is a field of it.
    """
    if json_lines.is_on():
        output.line_json(_failed(line, error), to="err")
        return
    if error:
        output.err_traceback(error)
    output.err(line)


def warnings() -> list[str]:
    """Return what this process has warned of since `begin`, the last of it, secrets not masked."""
    handlers = logging.getLogger(ROOT).handlers
    return [text for h in handlers if isinstance(h, LineHandler) for text in h.warnings]


def is_set_up() -> bool:
    """Return whether a handler prints the trainer's records."""
    return logging.getLogger(ROOT).hasHandlers()


class LineHandler(logging.Handler):
    """Prints each record as one line, at once.

    Args:
        to: See `begin`.
        prefix: See `begin`.
    """

    def __init__(self, *, to: Literal["out", "err"], prefix: str) -> None:
        super().__init__()
        self._to = to
        self._prefix = prefix
        self.warnings: deque[str] = deque(maxlen=MOST_WARNINGS)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if live_bar.is_on() and live_bar.update(getattr(record, "fields", {})):
                std_streams.draw_bar()
                return
            name = record.name.removeprefix(f"{ROOT}.")
            supervises = _within(name, _SUPERVISION) and not _within(name, _NOT_SUPERVISION)
            prefix = "trainer: " if supervises else self._prefix
            text = record.getMessage()
            to: Literal["out", "err"] = "err" if supervises else self._to
            if record.levelno < logging.INFO:
                to, prefix, text = "err", "trainer: ", f"debug: {name}: {text}"
            elif record.levelno == logging.WARNING:
                self.warnings.append(text)
                text = f"warning: {text}"
            _write(record, f"{prefix}{text}", to=to)
        except Exception:
            self.handleError(record)


def _write(record: logging.LogRecord, line: str, *, to: Literal["out", "err"]) -> None:
    error = record.exc_info[1] if record.exc_info else None
    if json_lines.is_on():
        fields = dict(getattr(record, "fields", {}))
        if error:
            fields |= json_lines.stack_trace(error)
        value = json_lines.as_object(
            line, level=record.levelno, seconds=record.created, fields=fields
        )
        output.line_json(value, to=to)
        return
    (output.err if to == "err" else output.out)(line)
    if error:
        output.err_traceback(error)


def _failed(line: str, error: BaseException | None) -> dict[str, Any]:
    fields = json_lines.stack_trace(error) if error else {}
    return json_lines.as_object(line, level=logging.ERROR, seconds=time.time(), fields=fields)


def _uncaught(error: BaseException) -> None:
    """Print an error that nobody expected as one line of JSON."""
    line = " ".join(f"{type(error).__name__}: {error}".split())
    output.line_json(_failed(line, error), to="err")


def _within(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)
