"""Find whether a person watches on a terminal, where a run shows a bar."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from trainer.config import Job
from trainer.runtime import live_bar

# Values of TERM of terminals that cannot move the cursor.
_DUMB = ("", "dumb", "unknown")


def begin_bar(job: Job, env: Mapping[str, str]) -> None:
    """Show progress by a bar if standard output is a terminal for it, and the lines are text.

    Args:
        job: The job.
        env: The environment of the process; NO_COLOR and TERM=dumb ask for plain lines, and so
            does a notebook, whose cells keep each state of a bar that is drawn over.
    """
    if job.log_format != "json" and job.verbosity in ("INFO", "DEBUG"):
        begin_bar_for_lines(env)


def begin_bar_for_lines(env: Mapping[str, str]) -> None:
    """Show progress by a bar if standard output is a terminal for it; lines are text."""
    # Jupyter sets it for what a notebook runs, at a terminal of its own.
    plain = env.get("NO_COLOR") or env.get("JPY_PARENT_PID") or env.get("TERM", "") in _DUMB
    # The bar has characters that other encodings lack.
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    if not plain and encoding == "utf8" and sys.stdout.isatty():
        live_bar.begin(sys.stdout.fileno())
