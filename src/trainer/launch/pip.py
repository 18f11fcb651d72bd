"""Install the packages that a user's sources need, with pip."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from trainer.config import UserError
from trainer.launch import failure_file
from trainer.launch.supervise.api import Command, run_step

logger = logging.getLogger(__name__)

REQUIREMENTS = "requirements.txt"
_ERROR = re.compile(r"\s*error: ", re.IGNORECASE)
_EXCEPTION = re.compile(r"\s*[\w.]*(?:Error|Exception)\b.*")
_NO_NETWORK = re.compile(
    r"NewConnectionError|NameResolutionError|ConnectTimeout|Network is unreachable"
    r"|Temporary failure in name resolution"
)


def install(
    packages: Sequence[str],
    *,
    folder: Path,
    env: Mapping[str, str],
    python: str,
    timeout: float,
) -> None:
    """Install the named packages and those that `requirements.txt` lists, if there are any.

    Args:
        packages: Packages as pip takes them; `.` for the folder itself.
        folder: The folder of `requirements.txt`, in which pip runs.
        env: pip's environment, with the PIP_ variables that configure it.
        python: The interpreter to install for.
        timeout: Seconds until pip is terminated.

    Raises:
        UserError: pip failed or took too long.
    """
    file = folder / REQUIREMENTS
    listed = ["-r", REQUIREMENTS] if file.is_file() else []
    if not packages and not listed:
        return
    if env.get("CA_REPOSITORY_ARN"):
        logger.warning("CA_REPOSITORY_ARN is not heeded: pip uses the index it is configured for")
    name = REQUIREMENTS if listed else str(folder)
    logger.info("pip installs %s in %s", " and ".join([*packages, *listed[1:]]), folder)
    # -P, as there may be a pip.py among the sources.
    argv = (python, "-P", "-m", "pip", "install", "--no-input", *packages, *listed)
    quiet = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"}
    command = Command(argv=argv, env={**quiet, **env}, cwd=folder, name="pip")
    outcome = run_step(command, timeout=timeout)
    if outcome.timed_out:
        raise UserError(subject=name, problem=f"pip did not end within {timeout:g} s")
    if outcome.code:
        problem = _problem(outcome.tail)
        if outcome.signal is not None or not problem:
            # No message of pip's: a compiler that it ran may have been killed for memory.
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
    """Return pip's first error, or the exception of the build that it ran."""
    errors = [line.strip() for line in tail if _ERROR.match(line)]
    if not errors:
        return tail[-1].strip() if tail else ""
    if "subprocess-exited" in errors[0]:
        raised = [line.strip(" │╰─>") for line in tail if _EXCEPTION.match(line.strip(" │╰─>"))]
        return f"a build failed: {(raised or errors)[-1]}"
    return _ERROR.sub("", errors[0])


def _line(file: Path, problem: str) -> str:
    """Return the line of the requirements that a problem of pip's is about, if it can be found."""
    best = ""
    for number, line in enumerate(file.read_text(errors="replace").splitlines(), start=1):
        text = line.partition(" #")[0].strip()
        name = re.match(r"[\w.-]+", text)
        if not text or text.startswith(("#", "-")) or name is None:
            continue
        found = f" line {number} ({text})"
        if text.replace(" ", "") in problem.replace(" ", ""):
            return found
        if re.search(rf"(?<![\w.-]){re.escape(name[0])}(?![\w-])", problem, re.IGNORECASE):
            best = best or found
    return best
