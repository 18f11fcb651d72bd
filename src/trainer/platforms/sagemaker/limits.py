"""SageMaker's limits on a request, which its service refuses without naming a flag.

Source: the shapes of `CreateTrainingJob` and `CreateHyperParameterTuningJob` in botocore's service
model, with which a test compares them. They stand here because a request is printed without boto3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from trainer.config import UserError

HYPERPARAMETERS: Final = 100
HYPERPARAMETER_NAME: Final = 256
HYPERPARAMETER_VALUE: Final = 2500
ENVIRONMENT: Final = 100
ENVIRONMENT_NAME: Final = 512
ENVIRONMENT_VALUE: Final = 512
CHANNELS: Final = 20
TAGS: Final = 50
TAG_NAME: Final = 128
TAG_VALUE: Final = 256
METRICS: Final = 40
METRIC_REGEX: Final = 500
SUBNETS: Final = 16
SECURITY_GROUPS: Final = 5
IMAGE: Final = 255
URI: Final = 1024
JOB_NAME: Final = 63
TUNING_NAME: Final = 32
KEEP_ALIVE: Final = 21600
GROUPS: Final = 5
KMS_KEY: Final = 2048
EXPERIMENT: Final = 120
ATTEMPTS: Final = 30

NAME_PATTERN: Final = r"[a-zA-Z0-9](-*[a-zA-Z0-9])*"
ROLE_ARN_PATTERN: Final = r"arn:aws[a-z\-]*:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+"
ENVIRONMENT_PATTERN: Final = r"[a-zA-Z_][a-zA-Z0-9_]*"
KMS_PATTERN: Final = r"[a-zA-Z0-9:/_-]*"


def check_name(name: str, *, longest: int, flag: str = "--name") -> str:
    """Return the name of a job, or raise a UserError if SageMaker takes no such name."""
    if len(name) > longest or not re.fullmatch(NAME_PATTERN, name):
        raise UserError(
            subject=f"{flag} {name}",
            problem=f"expected up to {longest} letters, digits and hyphens, the first and last of "
            "them no hyphen",
        )
    return name


def check_count(subject: str, found: int, most: int) -> None:
    """Raise a UserError for more entries than SageMaker takes."""
    if found > most:
        raise UserError(subject=subject, problem=f"SageMaker takes up to {most}, found {found}")


def check_pairs(flag: str, pairs: Mapping[str, str], most: int, name: int, value: int) -> None:
    """Raise a UserError for too many names and values, or for one that is too long."""
    check_count(flag, len(pairs), most)
    for each in pairs:
        # The message shows no value: it may be a secret.
        check_length(f"{flag} {each[:40]}", each, name)
        check_length(f"{flag} {each}", pairs[each], value)


def check_length(subject: str, value: str, most: int) -> None:
    """Raise a UserError for text that is longer than SageMaker takes, or that is no text."""
    if len(value) > most:
        raise UserError(
            subject=subject,
            problem=f"SageMaker takes up to {most} characters, found {len(value)}",
        )
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UserError(subject=subject, problem="expected text, found bytes that are none") from (
            None
        )
    if "\0" in value:
        raise UserError(subject=subject, problem="expected text, found a NUL character")


def check_text(subject: str, value: str, most: int, pattern: str, expected: str) -> str:
    """Return text of the form that SageMaker takes, or raise a UserError that says which."""
    check_length(subject, value, most)
    if not re.fullmatch(pattern, value):
        raise UserError(subject=subject, problem=f"expected {expected}")
    return value
