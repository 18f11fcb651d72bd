"""Lines that a run prints for people and log filters."""

from __future__ import annotations

from trainer.runtime import output

LEVELS = ("DEBUG", "INFO", "WARN", "ERROR", "FATAL")


class Reporter:
    """Prints whole lines, at once, to standard output.

    Plain lines of `name=value` suit people, CloudWatch's metric patterns and Cloud Logging alike.

    Args:
        verbosity: The lowest level that is printed.
    """

    def __init__(self, verbosity: str = "INFO") -> None:
        self._lowest = LEVELS.index(verbosity)

    def info(self, text: str) -> None:
        """Print progress."""
        self._print("INFO", text)

    def warn(self, text: str) -> None:
        """Print what may be a mistake."""
        self._print("WARN", f"warning: {text}")

    def _print(self, level: str, text: str) -> None:
        if LEVELS.index(level) >= self._lowest:
            output.out(text)
