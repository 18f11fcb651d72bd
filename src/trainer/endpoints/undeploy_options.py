"""The options of `trainer undeploy`."""

from __future__ import annotations

from dataclasses import dataclass

from trainer.config import NamesOf, UserError, flag_of, option, options_of

WHERE, RUN = "the endpoint", "what to do with it"


# fmt: off
@dataclass(frozen=True, kw_only=True)
class UndeployOptions:
    """Settings of taking an endpoint down."""

    to: str = option(
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
    delete_data: bool = option(False, "delete the models that were uploaded for it, too", RUN)
    dry_run: bool = option(False, "say what would be taken down, and take down nothing", RUN)
    # fmt: on

    def __post_init__(self) -> None:
        for name, limits in options_of(UndeployOptions).items():
            limits.check(flag_of(name), getattr(self, name))
        if self.to is None:
            raise UserError(
                subject="--to", problem="not given", remedy="say where: sagemaker, vertex or docker"
            )
