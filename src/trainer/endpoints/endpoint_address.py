"""The options that say where an endpoint is, which all verbs of endpoints share."""

from __future__ import annotations

from dataclasses import dataclass

from trainer.config import NamesOf, UserError, option
from trainer.endpoints.registry import TARGETS

WHERE = "the endpoint"


# fmt: off
@dataclass(frozen=True, kw_only=True)
class EndpointAddress:
    """The place of an endpoint, and the ways to reach it."""

    to: str | None = option(
        None, "where the endpoint is", WHERE, choices=NamesOf("trainer.endpoints:TARGETS")
    )
    region: str | None = option(
        None, "such as eu-west-1 or europe-west4 (default for sagemaker: that of the profile)",
        WHERE, aliases=("location",),
    )
    project: str | None = option(None, "Google's project (default: that of the credentials)", WHERE)
    profile: str | None = option(None, "profile of the AWS configuration", WHERE)
    api_endpoint: str | None = option(
        None, "url of the Vertex AI API, where it is reached by a private endpoint (default: the "
        "region's public one)", WHERE, metavar="URL",
        variables=("CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM",),
    )
    logging_endpoint: str | None = option(
        None, "url of the Cloud Logging API, in the same way (default: the public one)", WHERE,
        metavar="URL", variables=("CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING",),
    )
    engine: str | None = option(
        None, "program of the container engine (default: docker, or podman)", WHERE,
        metavar="PROGRAM", variables=("DOCKER",),
    )
# fmt: on

    def place(self) -> str:
        """Return the value of `--to`.

        Raises:
            UserError: Neither a flag nor the settings give it.
        """
        if self.to is None:
            places = ", ".join(TARGETS)
            raise UserError(
                subject="--to", problem="not given", remedy=f"say where: {places}"
            )
        return self.to
