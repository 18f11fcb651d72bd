"""Announcement of one host's mistake to the other hosts, which would else wait for it."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from trainer.config import Job, RetryableError, UserError
from trainer.distribution import strategy_to_meet
from trainer.launch.differences import DISTRIBUTION
from trainer.launch.host_settings import HostSettings, masked_value
from trainer.launch.launcher import run_host
from trainer.launch.supervise.command import Command
from trainer.launch.timeouts import DEFAULTS, Timeouts
from trainer.launch.trainer_host import TrainerHost
from trainer.platforms import PLATFORMS, Environment, resolve_job
from trainer.runtime import formatted, output


@contextlib.contextmanager
def announcing_mistakes(
    job: Job, base: Command, *, timeouts: Timeouts = DEFAULTS
) -> Iterator[None]:
    """Tell the other hosts of a job why it cannot start, if a block raises a UserError.

    Args:
        job: The job, as this host sees it; where this is the only host, nothing is announced.
        base: The command of one process.
        timeouts: How long to wait for the other hosts.

    Raises:
        UserError: That of the block, or in words that name what the other hosts have.
    """
    try:
        yield
    except UserError as mistake:
        same = PLATFORMS[job.platform].same_on_all_hosts
        if job.launched or job.cluster.size < 2 or same:
            raise
        limit = f"{timeouts.announcement:g} s at most"
        line = f"trainer: this host cannot start; telling the others why, for {limit}"
        output.err(formatted(line))
        reason = _announce(job, base, output.clean(str(mistake)), timeouts)
        if reason:
            raise UserError.from_text(reason) from mistake
        raise


@contextlib.contextmanager
def announcing_wrong_flags(
    environment: Environment, base: Command, *, timeouts: Timeouts = DEFAULTS
) -> Iterator[None]:
    """Tell the other hosts which flag of this one is wrong, if a block raises a UserError.

    Args:
        environment: What this process finds; it may name the other hosts nevertheless.
        base: The command of one process.
        timeouts: How long to wait for the other hosts.

    Raises:
        UserError: As of `announcing_mistakes`.
    """
    try:
        yield
    except UserError as mistake:
        try:
            given = _given(environment.argv, "port", "distribution")
            if "port" in given:
                given["port"] = int(given["port"])
            job = resolve_job(Environment(env=environment.env, root=environment.root), given).job
        except (UserError, ValueError):
            raise mistake from None
        with announcing_mistakes(job, base, timeouts=timeouts):
            raise


def _given(argv: Sequence[str], *names: str) -> dict[str, Any]:
    """Return the values of some flags among arguments that cannot be parsed as a whole."""
    found: dict[str, Any] = {}
    for item, after in itertools.zip_longest(argv, argv[1:]):
        name, equals, value = item.removeprefix("--").partition("=")
        if item.startswith("--") and name in names and (equals or after):
            found[name] = value if equals else after
    return found


def _announce(job: Job, base: Command, mistake: str, timeouts: Timeouts) -> str | None:
    """Meet the other hosts, and return a better reason than the mistake if they find one."""
    stated = masked_value(DISTRIBUTION, job.distribution)
    how = strategy_to_meet(job.cluster)
    job = dataclasses.replace(job, distribution=how, start_timeout=timeouts.announcement)
    with (
        contextlib.suppress(UserError, RetryableError, OSError),
        Path(os.devnull).open("wb") as nowhere,
    ):
        host = _MistakenHost(job, base)
        name = f"{host.name} ({host.member.task})"
        host.statement = HostSettings(host=name, values={DISTRIBUTION: stated}, problem=mistake)
        fd = nowhere.fileno()
        failure = run_host(host, out=fd, err=fd, timeouts=timeouts).failure
        if failure and failure.reason.startswith(f"{DISTRIBUTION}: "):
            return failure.reason
    return None


class _MistakenHost(TrainerHost):
    """This host, which cannot take part."""

    statement = HostSettings()

    def settings(self) -> HostSettings:
        return self.statement
