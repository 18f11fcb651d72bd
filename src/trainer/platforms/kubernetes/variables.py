"""The variables of a job's pods.

Source: "Dependent Environment Variables" in the Kubernetes documentation, for `$(NAME)`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

from trainer.config import UserError
from trainer.platforms.job_secret import SECRET_VARIABLE
from trainer.platforms.kubernetes.names import SECRET_KEY
from trainer.platforms.kubernetes.options import KubernetesOptions, check_name
from trainer.platforms.kubernetes.platform import GRACE
from trainer.platforms.kubernetes.pods import PODS, SERVICE
from trainer.platforms.submission import Submission
from trainer.runtime import MASK, masked_environment

logger = logging.getLogger(__name__)

_VARIABLE = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_ENV_SOURCES = {"secret": "secretRef", "configmap": "configMapRef"}


def variables(
    submission: Submission,
    options: KubernetesOptions,
    *,
    pods: str,
    service: str | None,
    secret: str | None,
) -> list[dict[str, Any]]:
    """Return the variables that all pods have.

    Args:
        submission: The job.
        options: The settings of Kubernetes.
        pods: The pods that share the work, as TRAINER_PODS.
        service: The headless Service by whose name they find each other, or None.
        secret: The Secret with the key by which they know each other, or None.

    Raises:
        UserError: A variable has no name of Kubernetes', or is given twice.
    """
    own = {PODS: pods, SERVICE: service, GRACE: str(options.grace)}
    found: list[dict[str, Any]] = [{"name": n, "value": v} for n, v in own.items() if v]
    for name, value in submission.env.items():
        if not _VARIABLE.fullmatch(name):
            raise UserError(subject=f"--env {name}", problem="is no name of a variable")
        if MASK in masked_environment({name: value})[name]:
            logger.warning(
                "--env: whoever may read the job can read %s; keep it in a Secret, and name that "
                "with --env-secret", name,
            )  # fmt: skip
        found.append({"name": name, "value": literal(value)})
    for text in options.env_secret:
        name, equals, source = text.partition("=")
        holder, colon, key = source.partition(":")
        if not (equals and colon and key and _VARIABLE.fullmatch(name)):
            raise UserError(subject=f"--env-secret {name}", problem="expected VARIABLE=SECRET:KEY")
        check_name(holder, flag="--env-secret")
        found.append(_from_secret(name, holder, key))
    if secret:
        found.append(_from_secret(SECRET_VARIABLE, secret, SECRET_KEY))
    names = [each["name"] for each in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UserError(subject=f"the variable {twice}", problem="is given twice")
    return found


def pairs(values: Sequence[str], *, flag: str) -> dict[str, str]:
    """Return the names and values of `NAME=VALUE` texts.

    Raises:
        UserError: One has no name or no `=`.
    """
    found = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise UserError(subject=f"{flag} {text}", problem="expected NAME=VALUE")
        found[name] = value
    return found


def given(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that have a value."""
    return {name: value for name, value in fields.items() if value not in (None, "", [], {})}


def literal(text: str) -> str:
    """Return a text in which Kubernetes replaces no `$(NAME)`."""
    return text.replace("$(", "$$(")


def _from_secret(variable: str, secret: str, key: str) -> dict[str, Any]:
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def env_source(text: str) -> dict[str, Any]:
    kind, slash, name = text.partition("/")
    if not slash or kind not in _ENV_SOURCES:
        raise UserError(
            subject=f"--env-from {text}", problem="expected secret/NAME or configmap/NAME"
        )
    check_name(name, flag="--env-from")
    return {_ENV_SOURCES[kind]: {"name": name}}
