"""What `trainer migrate` prints for a script, and its parts."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from trainer.cli.command_line import main


def printed(folder: Path, capsys, text: str, *flags: str, name: str = "train.py") -> str:
    """Return what the program prints, which bash can read, in one line a command."""
    (folder / name).write_text(text)
    assert main(["migrate", str(folder / name), *flags]) == 0
    out = capsys.readouterr().out
    assert subprocess.run(["bash", "-n"], input=out, text=True, check=False).returncode == 0
    return out.replace(" \\\n   ", "")


def notebook(*cells: str) -> str:
    """Return a notebook with cells of code."""
    return json.dumps({"cells": [{"cell_type": "code", "source": cell} for cell in cells]})


def command(text: str, verb: str) -> str:
    """Return the only command of a verb."""
    (found,) = commands(text, verb)
    return found


def commands(text: str, verb: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(f"trainer {verb}")]


def notes(text: str) -> str:
    return text.partition("# Not carried over:\n")[2]
