"""The secret of a job, with which its hosts sign their messages.

It is given as a variable or a hyperparameter, never as a flag: anybody who lists the processes of a
machine can read flags.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainer.config import UserError, without_quotes
from trainer.platforms.coerce import field_of

SECRET_VARIABLE = "TRAINER_SECRET"


def is_secret(name: str) -> bool:
    """Return whether a hyperparameter of this name holds the secret."""
    return field_of(name).upper() == SECRET_VARIABLE


def read_secret(
    env: Mapping[str, str], hyperparameters: Mapping[str, Any]
) -> tuple[str | None, str | None]:
    """Return the secret and the variable or hyperparameter that holds it; None and None without.

    Raises:
        UserError: The hyperparameter does not hold text.
    """
    if env.get(SECRET_VARIABLE):
        return env[SECRET_VARIABLE], SECRET_VARIABLE
    for name, value in hyperparameters.items():
        if is_secret(name):
            found = without_quotes(value)
            if found is None or found == "":
                continue
            if not isinstance(found, (str, int, float)):
                raise UserError(
                    subject=f"hyperparameter {name}",
                    problem="expected a text",
                )
            return str(found), f"hyperparameter {name}"
    return None, None
