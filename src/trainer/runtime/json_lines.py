"""Lines of JSON as Cloud Logging reads them: severity, message, time, and numbers as fields.

https://cloud.google.com/logging/docs/structured-logging
"""

from __future__ import annotations

import datetime
import json
import logging
import math
import time
import traceback
from collections.abc import Mapping
from typing import Any

from trainer.runtime import output

_SEVERITIES = {
    logging.DEBUG: "DEBUG",
    logging.INFO: "INFO",
    logging.WARNING: "WARNING",
    logging.ERROR: "ERROR",
    logging.CRITICAL: "CRITICAL",
}
# Each line begins so; a line of a program of the user's hardly does.
_BEGINNING = b'{"severity": "'
# Whether this process prints such lines, that which says why it failed included.
_is_on = False


def switch(on: bool) -> None:
    """Print such lines from now on, or plain ones."""
    global _is_on
    _is_on = on


def is_on() -> bool:
    """Return whether this process prints such lines."""
    return _is_on


def formatted(line: str, *, level: int = logging.INFO) -> str:
    """Return a line in this process's format, for those who write it by themselves."""
    if not _is_on:
        return output.clean(line)
    value = as_object(line, level=level, seconds=time.time(), fields={})
    return json.dumps(output.clean_value(value))


def as_object(
    message: str, *, level: int, seconds: float, fields: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a line as a JSON object.

    Args:
        message: The line as text.
        level: Its level, one of `logging`.
        seconds: When, since 1970.
        fields: More fields; those of Cloud Logging's own come before them.
    """
    when = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    own = {
        "severity": _SEVERITIES.get(level, "DEFAULT"),
        "message": output.clean(message),
        "time": when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    return own | {name: _value(value) for name, value in fields.items() if name not in own}


def stack_trace(error: BaseException) -> dict[str, str]:
    """Return the field in which Cloud Logging's error reports look for a traceback."""
    return {"stack_trace": "".join(traceback.format_exception(error))}


def _value(value: Any) -> Any:
    """Return a value that JSON has; of numbers that are not finite it has none."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def is_json_line(line: bytes) -> bool:
    """Return whether a line, without its end, is one of these."""
    return line.startswith(_BEGINNING) and line.endswith(b"}")


def with_process(line: bytes, name: str) -> bytes:
    """Return a line with the name of the process that printed it as a further field."""
    return line[:-1] + f', "process": {json.dumps(name)}}}'.encode()


def message_of(line: bytes) -> str:
    """Return the text of a line, whether it is JSON or not."""
    if is_json_line(line):
        try:
            return str(json.loads(line)["message"])
        except (ValueError, KeyError):
            pass
    return line.decode(errors="replace")
