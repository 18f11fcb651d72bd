"""The limits of Vertex AI's API, by which a request is checked before it is sent.

Sources: the descriptions of `CustomJob.labels`, `ContainerSpec` and `EnvVar` in the API's
description, v1; "Quotas and limits" in the Vertex AI documentation for the arguments.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from trainer.config import UserError

ARGUMENT_CHARACTERS = 100_000
VARIABLES = 100
LABELS, LABEL_CHARACTERS = 64, 64
# Set by the service itself.
OWN = re.compile(r"CLUSTER_SPEC|TF_CONFIG|(AIP|CLOUD_ML)_.*")


def check_labels(labels: Mapping[str, str]) -> None:
    """Raise a UserError for a label that Google Cloud does not take."""
    if len(labels) > LABELS:
        raise UserError(
            subject="--tags", problem=f"{len(labels)} labels; Google Cloud takes {LABELS}"
        )
    for name, value in labels.items():
        for part in (name, value):
            plain = all(c in "_-" or (c.isalnum() and c == c.lower()) for c in part)
            if not plain or len(part) > LABEL_CHARACTERS:
                raise UserError(
                    subject=f"--tags {name}={value}",
                    problem=f"Google Cloud's labels have up to {LABEL_CHARACTERS} lowercase "
                    "letters, digits, _ and -",
                )
        if not name[:1].isalpha():
            raise UserError(
                subject=f"--tags {name}={value}",
                problem="the name of a label begins with a letter",
            )


def check_environment(env: Mapping[str, str]) -> None:
    """Raise a UserError for a variable that Vertex AI does not take, or sets itself."""
    for name in env:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise UserError(
                subject=f"--env {name}",
                problem="Vertex AI's variables have names of letters, digits and _, and begin with "
                "no digit",
            )
        if OWN.fullmatch(name):
            raise UserError(
                subject=f"--env {name}", problem="Vertex AI sets this variable itself",
                remedy="leave it out",
            )  # fmt: skip


def check_spec(spec: Mapping[str, Any]) -> None:
    """Raise a UserError for a `CustomJobSpec` with more arguments or variables than allowed."""
    for pool in filter(None, spec["workerPoolSpecs"]):
        container = pool["containerSpec"]
        length = sum(map(len, container.get("args", ())))
        if length > ARGUMENT_CHARACTERS:
            raise UserError(
                subject="the arguments after --",
                problem=f"{length:,} characters; Vertex AI takes {ARGUMENT_CHARACTERS:,}",
                remedy="name folders or globs in place of single files",
            )
        variables = len(container.get("env", ()))
        if variables > VARIABLES:
            raise UserError(
                subject="--env", problem=f"{variables} variables; Vertex AI takes {VARIABLES}"
            )
