"""The flags of `trainer submit` that all backends share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from trainer.config import NamesOf, UserError, option

JOB, LOOK = "the job", "what to do with it"
_TIME = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")


# fmt: off
@dataclass(frozen=True, kw_only=True)
class SubmitOptions:
    """A job's own settings, whichever backend runs it."""

    to: str = option(
        None, "where the job runs (default: `to` of the team's settings)", JOB,
        choices=NamesOf("trainer.backends:BACKENDS"),
    )
    name: str | None = option(
        None, "name of the job (default: trainer, its model, and the time)", JOB,
    )
    image: str | None = option(
        None, "container image, in a registry that the place can pull from (default: with docker "
        "and compose the image that make image builds)", JOB, aliases=("image-uri",),
    )
    hosts: int = option(
        1, "hosts that train", JOB, low=1, high=1000, aliases=("instance-count", "replica-count"),
        metavar="N",
    )
    parameter_servers: int | None = option(
        None, "hosts more that are parameter servers (default: 1 with --distribution "
        "parameter_server where the place keeps such hosts apart, else 0)", JOB, low=0, high=1000,
        metavar="N",
    )
    evaluators: int = option(
        0, "1: one host more, which evaluates; with --distribution parameter_server", JOB, low=0,
        high=1, metavar="N",
    )
    max_time: str | None = option(
        None, "end the job after this time: 90m, 2h, 1d12h or seconds (default: the place's own)",
        JOB, metavar="TIME", aliases=("max-run", "timeout"),
    )
    spot: bool = option(
        False, "take hosts that may be taken away at any time, for a lower price; the job goes on "
        "from its newest checkpoint", JOB,
    )
    tags: tuple[str, ...] = option(
        (), "labels of the job, such as team=vision", JOB, metavar="NAME=VALUE", many=True,
        aliases=("labels",),
    )
    env: tuple[str, ...] = option(
        (), "variables that every container gets", JOB, metavar="NAME=VALUE", many=True,
    )
    output: str | None = option(
        None, "s3:// or gs:// url, or local folder, below which the results go (default: by place)",
        JOB, metavar="URL",
    )
# fmt: on


def seconds_of(text: str, *, flag: str) -> int:
    """Return the seconds that a text such as `90m` or `1d12h` stands for.

    Raises:
        UserError: It stands for no time.
    """
    found = _TIME.fullmatch(text.strip().lower())
    parts = [int(part or 0) for part in found.groups()] if found else []
    seconds = sum(n * unit for n, unit in zip(parts, (86400, 3600, 60, 1), strict=False))
    if not seconds:
        raise UserError(
            subject=f"{flag} {text}", problem="expected a time above 0, such as 90m, 2h or 1d12h"
        )
    return seconds


def pairs_of(values: Sequence[str], *, flag: str) -> dict[str, str]:
    """Return the names and values of `NAME=VALUE` texts.

    Raises:
        UserError: One has no name or no `=`, or a name comes twice.
    """
    found: dict[str, str] = {}
    for text in values:
        name, equals, value = text.partition("=")
        # The value may be a secret.
        if not (name and equals):
            raise UserError(subject=f"{flag} {name}", problem="expected NAME=VALUE")
        if found.get(name, value) != value:
            raise UserError(subject=f"{flag} {name}", problem="given twice, with other values")
        found[name] = value
    return found
