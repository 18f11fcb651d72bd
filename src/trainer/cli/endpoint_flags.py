"""The options of `trainer deploy`, `predict` and `undeploy`, with what a team shares."""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Collection
from typing import Any, TypeVar

from trainer.cli import backend_flags
from trainer.config import ResolvedOptions, TeamSettings, resolve_options

T = TypeVar("T")
# The table of a team's settings for these verbs.
TABLE = "deploy"
# What `trainer submit` calls the settings of a place that an endpoint has, too.
_SHARED = {
    "region": "region", "project": "project", "profile": "profile", "role": "role",
    "service_account": "role", "kms_key": "kms_key", "network": "network",
    "api_endpoint": "api_endpoint", "logging_endpoint": "logging_endpoint",
}  # fmt: skip
# Settings that say where an endpoint is.
PLACE = ("to", "region", "project", "profile", "api_endpoint", "logging_endpoint", "engine")


def endpoint_options(
    kind: type[T], args: argparse.Namespace, *, names: Collection[str] | None = None
) -> T:
    """Return options from flags, else variables, else `[deploy]`, else the place's own table.

    Args:
        kind: The dataclass of the verb's options.
        args: The parsed flags.
        names: The options that a team's settings may set; None for all.

    Raises:
        UserError: An option is wrong.
    """
    from trainer.endpoints import TARGETS, suits

    team = backend_flags.team_settings()
    place = endpoint_place(args)
    own = dict(team.tables.get(TABLE, {}))
    if place in TARGETS:
        own = {**_of_place(place, team), **own, "to": place}
        own = {name: value for name, value in own.items() if suits(name, place)}
    if names is not None:
        own = {name: value for name, value in own.items() if name in names}
    shared = dataclasses.replace(team, tables={TABLE: own})
    found = resolve_options(kind, table=TABLE, flags=vars(args), env=os.environ, team=shared)
    return found.value


def endpoint_place(args: argparse.Namespace) -> str:
    """Return the place that a flag names, else a variable or the team's settings; else ""."""
    from trainer.endpoints import TARGETS

    place: str | None = vars(args).get("to") or backend_flags.backend_name([], flag="--to")
    # A team may train where there are no endpoints.
    return place if place and (place in TARGETS or hasattr(args, "to")) else ""


def _of_place(place: str, team: TeamSettings) -> dict[str, Any]:
    """Return what variables and a team's settings say of a place to `trainer submit`."""
    from trainer.backends import BACKENDS, SubmitOptions

    found: dict[str, Any] = {}
    if place == "sagemaker" and os.environ.get("AWS_REGION"):
        # boto3 itself reads AWS_DEFAULT_REGION alone.
        found["region"] = os.environ["AWS_REGION"]
    common = resolve_options(
        SubmitOptions, table="", flags={}, env=os.environ, team=team, place=place
    )
    if "image" in common.sources:
        found["image"] = common.value.image
    if place in BACKENDS:
        of_jobs: ResolvedOptions[Any] = resolve_options(
            BACKENDS[place].options, table=place, flags={}, env=os.environ, team=team
        )
        for name in of_jobs.sources:
            if name in _SHARED:
                found[_SHARED[name]] = getattr(of_jobs.value, name)
    return found
