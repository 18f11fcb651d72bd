"""Installing what a user's sources need."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from trainer.config import UserError
from trainer.launch import failure_file
from trainer.launch.supervise.api import Command, run_step
from trainer.runtime import Reporter

REQUIREMENTS = "requirements.txt"
_ERROR = re.compile(r"\s*error: ", re.IGNORECASE)
_EXCEPTION = re.compile(r"\s*[\w.]*(?:Error|Exception)\b.*")
_NO_NETWORK = re.compile(
    r"NewConnectionError|NameResolutionError|ConnectTimeout|Network is unreachable"
    r"|Temporary failure in name resolution"
)


def install(
    what: Sequence[str],
    *,
    folder: Path,
    env: Mapping[str, str],
    python: str,
    timeout: float,
    reporter: Reporter,
) -> None:
    """Install what is named and what `requirements.txt` lists, if there is either.

    Args:
        what: What to install besides: `.` for the folder itself.
        folder: Where `requirements.txt` is, and where pip runs.
        env: Its environment; PIP_ variables in it are heeded.
        python: The interpreter to install for.
        timeout: Seconds.
        reporter: Where it is told.

    Raises:
        UserError: pip failed or took too long.
    """
    file = folder / REQUIREMENTS
    listed = ["-r", REQUIREMENTS] if file.is_file() else []
    if not what and not listed:
        return
    if env.get("CA_REPOSITORY_ARN"):
        reporter.warn("CA_REPOSITORY_ARN is not heeded: pip uses the index it is configured for")
    name = REQUIREMENTS if listed else str(folder)
    reporter.info(f"pip installs {' and '.join([*what, *listed[1:]])} in {folder}")
    # -P: there may be a pip.py among the sources.
    argv = (python, "-P", "-m", "pip", "install", "--no-input", *what, *listed)
    quiet = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"}
    command = Command(argv=argv, env={**quiet, **env}, cwd=folder, name="pip")
    outcome = run_step(command, timeout=timeout)
    if outcome.timed_out:
        raise UserError(
            subject=name,
            problem=f"pip did not end within {timeout:g} s",
        )
    if outcome.code:
        problem = _problem(outcome.tail)
        if outcome.signal is not None or not problem:
            # Compilers take the most memory of all.
            problem = failure_file.ending(outcome)
        line = _line(file, problem) if listed else ""
        offline = any(_NO_NETWORK.search(line) for line in outcome.tail)
        raise UserError(
            subject=f"{name}{line}",
            problem=f"pip failed: {problem}",
            remedy="no network: name wheels among the sources, or extend the image"
            if offline
            else None,
        )


def _problem(tail: Sequence[str]) -> str:
    """What pip says first, or the exception of the build that it ran."""
    errors = [line.strip() for line in tail if _ERROR.match(line)]
    if not errors:
        return tail[-1].strip() if tail else ""
    if "subprocess-exited" in errors[0]:
        raised = [line.strip(" │╰─>") for line in tail if _EXCEPTION.match(line.strip(" │╰─>"))]
        return f"a build failed: {(raised or errors)[-1]}"
    return _ERROR.sub("", errors[0])


def _line(file: Path, problem: str) -> str:
    """The line of the requirements that pip speaks of, as far as that can be told."""
    best = ""
    for number, line in enumerate(file.read_text(errors="replace").splitlines(), start=1):
        text = line.partition(" #")[0].strip()
        name = re.match(r"[\w.-]+", text)
        if not text or text.startswith(("#", "-")) or name is None:
            continue
        told = f" line {number} ({text})"
        if text.replace(" ", "") in problem.replace(" ", ""):
            return told
        if re.search(rf"(?<![\w.-]){re.escape(name[0])}(?![\w-])", problem, re.IGNORECASE):
            best = best or told
    return best
