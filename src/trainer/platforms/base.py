"""The interface of a platform: what it is given, and what it answers."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.config import Cluster, Trial, UserError
from trainer.runtime import shortened


@dataclass(frozen=True, kw_only=True)
class Environment:
    """The environment of a process when it starts; nothing else is read.

    Attributes:
        env: The variables.
        argv: The arguments of the command.
        root: The root of the file system; another folder in tests.
    """

    env: Mapping[str, str]
    argv: Sequence[str] = ()
    root: Path = Path("/")

    def path(self, absolute: str) -> Path:
        """Return an absolute path, below `root`."""
        return self.root / absolute.lstrip("/")

    def json(self, variable: str) -> Any:
        """Return the value of a variable that holds JSON; None if it is missing or empty.

        Raises:
            UserError: The variable holds anything else.
        """
        text = self.env.get(variable)
        return parse_json(text, where=variable) if text else None


@dataclass(frozen=True, kw_only=True)
class PlatformSettings:
    """The settings of a run that come from its platform.

    Attributes:
        environment: The environment, with the variables of the platform's own tools.
        values: Fields of `Job`, by name, that the platform itself sets.
        sources: For each of them the variable or file that sets it.
        hyperparameters: The user's settings that the platform passes on, under the user's names.
        cluster: The hosts of the job.
        trial: The trial of a tuning job, or None.
        stopped_code: See `Job`.
        grace: See `Job`.
        late_evaluators: See `Job`.
        notes: Lines for the log.
        reducers: True if hosts listed as parameter servers may be the platform's own, which only
            add up gradients (Vertex AI's Reduction Server).
    """

    environment: Environment
    values: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    cluster: Cluster = field(default_factory=Cluster)
    trial: Trial | None = None
    stopped_code: int = 128 + 15
    grace: float = 120.0
    late_evaluators: bool = False
    notes: tuple[str, ...] = ()
    reducers: bool = False


def _unchanged(environment: Environment) -> Environment:
    return environment


def _nothing_more(
    settings: PlatformSettings, values: dict[str, Any], sources: dict[str, str]
) -> tuple[str, ...]:
    return ()


def _no_file(environment: Environment) -> Path | None:
    return None


def _host_name(environment: Environment) -> str:
    return socket.gethostname()


@dataclass(frozen=True, kw_only=True)
class Platform:
    """A system that starts containers, and its answers to what the rest of the package asks.

    A new platform is a module with one such object, and one line in `registry.PLATFORMS`. Only
    `name`, `detect` and `read` are required.

    Attributes:
        name: The value of `Job.platform`, also printed in the log.
        detect: Returns why this process runs on the platform, in words for the log, or None if it
            does not.
        read: Returns what the platform says about the run. Raises a UserError if a variable or file
            of the platform is malformed.
        finalize: Checks and completes the fields of `Job` after flags and hyperparameters have been
            merged in. Receives what `read` returned, the fields by name, and for each of them the
            flag, variable or file that set it; returns lines for the log.
        complete: Returns the environment with the variables added that the platform's own tools
            would set. The processes that the container starts inherit them.
        variables: The variables and files of the platform, and the field of `Job` that each sets
            (`platform` for those that only identify it).
        prefixes: What the names of the platform's variables begin with; `--dry-run` prints these.
        failure_file: Returns the file in which the platform looks for the reason of a failure.
        host_name: Returns this host's name in failure messages.
        program: `package:function` of a user's program that a container runs in place of the
            trainer. `cli.program.Program` describes what the function returns.
        gpu_variable: The variable that holds the number of GPUs the platform promised this host.
        serving_switch: The variable and the value with which the platform asks a container to serve
            instead of to train.
        no_cluster: Variables that describe a job of one process, for `doctor` to go on with after
            it found the real ones malformed.
        same_on_all_hosts: True if every host gets the same arguments and hyperparameters, so that
            each finds a mistake in them by itself and need not hear of it from another.
        lists_evaluators: False if an evaluator may join that the cluster's variables do not list.
        starts_unlisted_evaluators: True if the platform itself starts evaluators that it lists
            nowhere, so that a job of one host, too, has to be found by others.
        is_fallback: True for a plain machine, on which no data is given and no platform is named in
            the log.
    """

    name: str
    detect: Callable[[Environment], str | None]
    read: Callable[[Environment], PlatformSettings]
    finalize: Callable[[PlatformSettings, dict[str, Any], dict[str, str]], tuple[str, ...]] = (
        _nothing_more
    )
    complete: Callable[[Environment], Environment] = _unchanged
    variables: Mapping[str, str] = field(default_factory=dict)
    prefixes: tuple[str, ...] = ()
    failure_file: Callable[[Environment], Path | None] = _no_file
    host_name: Callable[[Environment], str] = _host_name
    program: str | None = None
    gpu_variable: str | None = None
    serving_switch: tuple[str, str] | None = None
    no_cluster: Mapping[str, str] = field(default_factory=dict)
    same_on_all_hosts: bool = False
    lists_evaluators: bool = True
    starts_unlisted_evaluators: bool = False
    is_fallback: bool = False


def parse_json(text: str, *, where: str) -> Any:
    """Parse JSON, or raise a UserError that names the variable or file."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        # The text after a colon is a value, and may be a secret.
        begins = text.partition(":")[0][:30]
        raise UserError(
            subject=where,
            problem=f"expected JSON, found text that begins with {begins!r} ({error})",
            remedy="set it as the platform does, or not at all",
        ) from None


def expect(kind: type, value: Any, *, where: str) -> Any:
    """Return `value`, or raise a UserError that says it should be a dict, list, str or int."""
    if not isinstance(value, kind) or isinstance(value, bool):
        names = {dict: "an object", list: "a list", str: "a string", int: "a whole number"}
        raise UserError(
            subject=where,
            problem=f"expected {names[kind]}, found {printable_value(value)}",
        )
    return value


def printable_value(value: Any) -> str:
    """Return a value for an error message: one short line, without nested values."""
    if isinstance(value, (dict, list, tuple)):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    return shortened("null" if value is None else repr(value))
