"""Clients of Amazon's services, with bounded waits, and errors that say what to do."""

from __future__ import annotations

import contextlib
import functools
import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from trainer.config import RetryableError, UserError
from trainer.runtime import install_command

# Seconds to connect and to wait for an answer, and how often to try.
CONNECT, READ, ATTEMPTS = 10, 60, 5
# Connections that a client keeps: as many as requests that predictions have under way.
CONNECTIONS = 64
# Error codes of Amazon's services by what is wrong: the problem, and what to do.
_MISTAKES: Mapping[str, tuple[str, str]] = {
    "ExpiredToken": ("the credentials have expired", "sign in again: aws sso login"),
    "ExpiredTokenException": ("the credentials have expired", "sign in again: aws sso login"),
    "RequestExpired": ("the credentials have expired", "sign in again, or set the clock"),
    "InvalidClientTokenId": ("the access key is not known", "check the profile's access key"),
    "UnrecognizedClientException": (
        "the access key is not known", "check the profile's access key and the region",
    ),
    "SignatureDoesNotMatch": ("the secret key is wrong", "check the profile's secret key"),
    "AccessDenied": ("access is denied", "let the policy of this role or user allow it"),
    "AccessDeniedException": ("access is denied", "let the policy of this role or user allow it"),
    "ResourceLimitExceeded": (
        "the account's quota is used up", "ask for more in Service Quotas, or take other instances",
    ),
    "NoSuchBucket": ("there is no such bucket", "create it, or name another"),
    "ResourceInUse": ("the name is taken", "give another --name"),
}  # fmt: skip
_TRANSIENT = {
    "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException",
    "InternalFailure", "InternalServerError", "ServiceUnavailable", "ServiceUnavailableException",
    "SlowDown", "RequestTimeout",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class AwsSettings:
    """The account and the region that a client uses.

    Attributes:
        region: The region, or None for that of the profile.
        profile: The profile of the user's configuration, or None for the default chain.
        endpoint: The url of a server that takes the place of the services, or None.
    """

    region: str | None = None
    profile: str | None = None
    endpoint: str | None = None


def aws_client(service: str, settings: AwsSettings) -> Any:
    """Return boto3's client of a service.

    Raises:
        UserError: boto3 is missing, or the profile or the region is not there.
    """
    try:
        import botocore.config
        import botocore.exceptions

        importlib.import_module("boto3")
    except ImportError:
        raise UserError(
            subject=f"AWS {service}",
            problem="the package boto3 is missing",
            remedy=install_command("submit"),
        ) from None
    config = botocore.config.Config(
        connect_timeout=CONNECT,
        read_timeout=READ,
        max_pool_connections=CONNECTIONS,
        retries={"mode": "standard", "max_attempts": ATTEMPTS},
        user_agent_extra="trainer",
    )
    try:
        session = _session(settings.profile, settings.region)
        if not session.region_name:
            raise UserError(
                subject="--region",
                problem="neither the flag, AWS_REGION nor the profile names a region",
                remedy="give it, such as --region eu-west-1",
            )
        return session.client(service, config=config, endpoint_url=settings.endpoint)
    except botocore.exceptions.BotoCoreError as error:
        raise aws_error(error, f"AWS {service}") from None


@functools.cache
def _session(profile: str | None, region: str | None) -> Any:
    import boto3

    return boto3.session.Session(profile_name=profile, region_name=region)


@contextlib.contextmanager
def naming_aws_errors(subject: str) -> Iterator[None]:
    """Turn what boto3 raises in a block into a UserError or RetryableError about `subject`."""
    import botocore.exceptions

    try:
        yield
    except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError) as error:
        raise aws_error(error, subject) from None


def error_code(error: Exception) -> str:
    """Return the code of a service's error, `""` for one that no service sent."""
    response = getattr(error, "response", None) or {}
    code: str = response.get("Error", {}).get("Code", "")
    return code


def aws_error(error: Exception, subject: str) -> UserError | RetryableError:
    """Return what an error of boto3's means.

    Args:
        error: What boto3 raised.
        subject: What was asked for: the flag or the name.
    """
    code = error_code(error)
    message = _message(error)
    if code in _TRANSIENT:
        return RetryableError(f"{subject}: {code}: {message}")
    if code in _MISTAKES:
        problem, remedy = _MISTAKES[code]
        return UserError(subject=subject, problem=f"{problem} ({message})", remedy=remedy)
    if code:
        return UserError(subject=subject, problem=f"{message} ({code})")
    name = type(error).__name__
    if name in ("NoCredentialsError", "PartialCredentialsError"):
        return UserError(
            subject=subject, problem="there are no AWS credentials",
            remedy="sign in with aws configure or aws sso login, or set AWS_PROFILE",
        )  # fmt: skip
    if name in ("TokenRetrievalError", "SSOTokenLoadError", "UnauthorizedSSOTokenError"):
        return UserError(
            subject=subject, problem="the credentials have expired", remedy="run aws sso login"
        )
    if name == "ProfileNotFound":
        return UserError(subject="--profile", problem=message, remedy="see aws configure list")
    if name in ("EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError",
                "ConnectionClosedError", "ProxyConnectionError"):  # fmt: skip
        return RetryableError(f"{subject}: {message}")
    return UserError(subject=subject, problem=message)


def _message(error: Exception) -> str:
    response = getattr(error, "response", None) or {}
    text = response.get("Error", {}).get("Message") or str(error)
    return " ".join(str(text).split()).rstrip(".")[:400]
