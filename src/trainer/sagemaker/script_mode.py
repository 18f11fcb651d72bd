"""SageMaker's script mode: the user's own program runs in the image.

What is fetched, installed and run, and how hyperparameters become arguments, follows SageMaker's
training toolkit (`sagemaker_training/entry_point.py`, `mapping.py` and `process.py` in
github.com/aws/sagemaker-training-toolkit), except where that loses something: sources are copied
over what is in the code folder, which the toolkit may leave as it is, and arguments reach the
program unchanged, without a shell. The requirements of a shell script are installed too.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from trainer.config import RETRY_CODE, UserError
from trainer.launch import Command, exiting_on_sigterm, failure_file, pip, run_step
from trainer.platforms import is_secret
from trainer.runtime import cuda, log_waiting
from trainer.sagemaker import source_dir
from trainer.storage import StorageError, unpack_archive

logger = logging.getLogger(__name__)

NAME = "user script"
_PROGRAM = "sagemaker_program"
_SOURCES = "sagemaker_submit_directory"
_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
# Hyperparameters that the toolkit keeps to itself, besides all that begin with sagemaker_.
_RESERVED = {"default_user_module_name", "_tuning_objective_metric"}


def prepare(
    *,
    program: str,
    submit_directory: str | None,
    code_dir: Path,
    hyperparameters: Mapping[str, Any],
    env: Mapping[str, str],
    python: str = sys.executable,
    fetch_timeout: float = 600,
    install_timeout: float = 1800,
) -> Command:
    """Fetch the sources, install what they need, and return what to run.

    To be called from the main thread, as it handles signals while it fetches and installs.

    Args:
        program: A `.py` or `.sh` file among the sources, another executable file, or a module
            where they hold `setup.py` or `pyproject.toml`.
        submit_directory: `s3://` address of a tar file, a local tar file or a folder (as a path
            or `file://`); None if the sources are in `code_dir` already.
        code_dir: The folder of the sources, in which the program runs.
        hyperparameters: Become the program's arguments; values as parsed from JSON.
        env: The environment of the program, of pip and of the process that fetches.
        python: The interpreter that runs all three.
        fetch_timeout: Seconds for fetching the sources.
        install_timeout: Seconds for pip.

    Raises:
        UserError: An argument is wrong, or the sources are.
        StorageError: The sources cannot be fetched now.
        SystemExit: A signal asked this process to stop; there is nothing to save yet.
    """
    code_dir = code_dir.absolute()
    args = arguments(hyperparameters)
    with exiting_on_sigterm():
        if submit_directory:
            _fetch_sources(submit_directory, code_dir, env, python, fetch_timeout)
        start, packages = _start(program, code_dir, python)
        pip.install(
            packages,
            folder=code_dir,
            env=env,
            python=python,
            timeout=install_timeout,
        )
    paths = [str(code_dir), *filter(None, [env.get("PYTHONPATH")])]
    return Command(
        argv=(*start, *args),
        # Unbuffered, so that lines appear at once and are not lost when the program is killed.
        env={
            "PYTHONUNBUFFERED": "1",
            **env,
            **cuda.search_path(env),
            "PYTHONPATH": os.pathsep.join(paths),
        },
        cwd=code_dir,
        name=NAME,
    )


def arguments(hyperparameters: Mapping[str, Any]) -> tuple[str, ...]:
    """Return hyperparameters as arguments, in the order and form of the toolkit.

    `--key value` (`-k` for one letter) sorted by key; None is an empty string, a dict is
    `a=1,b=2`, a list and a boolean are as Python prints them. Reserved keys are left out.

    Raises:
        UserError: A value cannot be an argument of a program.
    """
    args = []
    for key in sorted(hyperparameters):
        if key in _RESERVED or key.startswith("sagemaker_") or is_secret(key):
            continue
        flag = f"--{key}" if len(key) > 1 else f"-{key}" if key else ""
        value = hyperparameters[key]
        if isinstance(value, Mapping):
            text = ",".join(f"{name}={part}" for name, part in sorted(value.items()))
        else:
            text = "" if value is None else str(value)
        for part in (flag, text):
            try:
                os.fsencode(part)
            except UnicodeEncodeError:
                raise UserError(
                    subject=f"hyperparameter {key!r}", problem="not valid Unicode"
                ) from None
            if "\0" in part:
                raise UserError(
                    subject=f"hyperparameter {key!r}", problem="has a null character in it"
                )
        args += [flag, text]
    return tuple(args)


def _fetch_sources(
    place: str, code_dir: Path, env: Mapping[str, str], python: str, timeout: float
) -> None:
    """Copy the sources from an object, a tar file or a folder over the code folder."""
    with tempfile.TemporaryDirectory(prefix="trainer-sources-") as folder:
        if place.startswith("s3://"):
            path = Path(folder, "sources.tar.gz")
            argv = (python, "-P", "-m", "trainer.sagemaker.fetch", place, str(path))
            with log_waiting(f"{_SOURCES} {place}"):
                outcome = run_step(Command(argv=argv, env=env, name="fetch"), timeout=timeout)
            if outcome.timed_out:
                raise StorageError(f"{_SOURCES} {place}: not fetched within {timeout:g} s")
            if outcome.code:
                why = outcome.tail[-1] if outcome.tail else ""
                if outcome.signal is not None or not why:
                    why = failure_file.ending(outcome)
                subject, problem = f"{_SOURCES} {place}", f"cannot be fetched: {why}"
                if outcome.code == RETRY_CODE:
                    raise StorageError(f"{subject}: {problem}")
                raise UserError(subject=subject, problem=problem)
        else:
            path = _local(place)
        if path.is_file():
            unpacked = Path(folder, "sources")
            unpack_archive(path, unpacked, name=f"{_SOURCES} {place}")
            path = unpacked
        elif not path.is_dir():
            raise UserError(
                subject=f"{_SOURCES} {place}", problem="not found; expected a tar file or a folder"
            )
        elif code_dir.is_dir() and path.samefile(code_dir):
            return
        try:
            copied = source_dir.copy_over(path, code_dir)
        except OSError as error:
            path = error.filename or code_dir
            raise UserError(
                subject=f"{_SOURCES} {place}", problem=f"{path}: {error.strerror}"
            ) from None
    over = f" over {copied.over}, {copied.replaced} replaced" if copied.over else ""
    logger.info("%d files of %s laid in %s%s", copied.files, place, code_dir, over)
    if not copied.files:
        raise UserError(subject=f"{_SOURCES} {place}", problem="holds no files")


def _local(place: str) -> Path:
    if "://" not in place:
        return Path(place)
    parts = urlsplit(place)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        raise UserError(
            subject=f"{_SOURCES} {place}", problem="expected s3://, file:///, or a local path"
        )
    return Path(unquote(parts.path))


def interpreter(program: str, python: str) -> tuple[str, ...]:
    """Return how a program is started, by its name alone, before its sources are fetched.

    Args:
        program: As SageMaker names it; without a suffix an executable file, or a module of a
            package.
        python: The interpreter of Python programs.
    """
    if program.endswith(".py"):
        return python, program
    return ("/bin/bash", f"./{program}") if program.endswith(".sh") else (f"./{program}",)


def _start(program: str, code_dir: Path, python: str) -> tuple[list[str], list[str]]:
    """Return the beginning of the command line, and what pip has to install for it."""
    named = f"{_PROGRAM} {program}".rstrip() if program.isprintable() else f"{_PROGRAM} {program!r}"
    wanted = "expected the name of a .py or .sh file among the sources"
    path = code_dir / program
    name = os.path.relpath(path, code_dir)
    if not program or not program.isprintable() or name.startswith("-"):
        raise UserError(subject=named, problem=wanted)
    if not path.resolve().is_relative_to(code_dir.resolve()):
        raise UserError(subject=named, problem=f"not in {code_dir}", remedy=wanted)
    has_setup = (code_dir / "setup.py").is_file()
    if path.is_file():
        if path.suffix == ".py":
            return [python, name], ["."] if has_setup else []
        if path.suffix == ".sh":
            return ["/bin/bash", f"./{name}"], []
        with contextlib.suppress(OSError):
            path.chmod(path.stat().st_mode | 0o111)
        return [str(code_dir / name)], []
    packaged = has_setup or (code_dir / "pyproject.toml").is_file()
    if packaged and _MODULE.fullmatch(program) and path.suffix not in (".py", ".sh"):
        return [python, "-m", program], ["."]
    if path.is_dir():
        raise UserError(
            subject=named,
            problem="a folder without setup.py or pyproject.toml beside it",
            remedy=wanted,
        )
    there = sorted(p.name for p in code_dir.iterdir())[:10] if code_dir.is_dir() else []
    held = ", ".join(there) or "nothing"
    raise UserError(
        subject=named, problem=f"not found in {code_dir}, which holds {held}", remedy=wanted
    )
