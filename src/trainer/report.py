"""What a run tells: lines for people and log filters, and `metrics.json` for programs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from trainer import atomic

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
            sys.stdout.write(text + "\n")
            sys.stdout.flush()


def write_metrics(folder: Path, metrics: dict[str, Any]) -> Path:
    """Write `metrics.json`, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "metrics.json"
    atomic.write_text(path, json.dumps(metrics, indent=2) + "\n")
    return path
