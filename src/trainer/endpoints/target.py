"""The interface of a place that endpoints are in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from trainer.endpoints.client import EndpointClient
    from trainer.endpoints.deploy_options import DeployOptions
    from trainer.endpoints.deployment import Deployment
    from trainer.endpoints.ledger import Ledger
    from trainer.endpoints.prediction.predict_options import PredictOptions
    from trainer.endpoints.sample import SampleRequest
    from trainer.endpoints.undeploy_options import UndeployOptions
    from trainer.runtime import StopRequest


@dataclass(frozen=True, kw_only=True)
class RequestExamples:
    """A working request of an endpoint, to be copied.

    Attributes:
        shell: A command.
        python: A program.
    """

    shell: str
    python: str


@dataclass
class Removal:
    """Result of a removal: the parts of a deployment that are gone, and those that stay.

    Attributes:
        removed: Things that are gone, or would go by a dry run.
        left: Things that stay, each with the reason or the way to remove it.
        artifacts: Urls or folders of models that were uploaded for it.
    """

    removed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    artifacts: list[str] = field(default_factory=list)


class EndpointService(Protocol):
    """The calls of a place; every call is bounded in time, and raises UserErrors."""

    def check(self, deployment: Deployment) -> None:
        """Raise a UserError if the endpoint's name is taken, or, with `--update`, not there."""

    def model_of_job(self, name: str) -> str:
        """Return the url of the model that a finished job left."""

    def make(self, deployment: Deployment, ledger: Ledger, stop: StopRequest) -> None:
        """Make model and endpoint, noting each in the ledger as soon as it is there.

        Raises:
            EndedError: `stop` was set.
        """

    def wait(self, deployment: Deployment, stop: StopRequest) -> None:
        """Wait until the endpoint is ready, or the batch is answered.

        Raises:
            UserError: It failed; the last lines of its log have been logged.
        """

    def try_out(self, deployment: Deployment, sample: SampleRequest) -> EndpointClient | None:
        """Return a client of the endpoint, None for a batch."""

    def examples(self, deployment: Deployment, sample: SampleRequest) -> RequestExamples:
        """Return a request to be copied."""

    def remove(self, name: str, *, dry_run: bool) -> Removal:
        """Take down all that was made under a name, and only that; see `trainer undeploy`."""


class EndpointTarget(Protocol):
    """A place that endpoints are in.

    Attributes:
        form: How it wants a model packed; see `model_source`.
        scheme: `s3`, `gs`, or empty for a folder.
        image: The image where nobody names one, or None.
    """

    form: str
    scheme: str
    image: str | None

    def requests(self, deployment: Deployment) -> Sequence[Mapping[str, Any]]:
        """Return the requests that make the endpoint, in order, as JSON; no network is used.

        Raises:
            UserError: An option that it needs is missing, or not one that it takes.
        """

    def connect(self, options: DeployOptions | UndeployOptions) -> EndpointService:
        """Return the service.

        Raises:
            UserError: There are no credentials, or no region or project is known.
        """

    def client(self, endpoint: str, options: PredictOptions) -> EndpointClient:
        """Return a client of an endpoint.

        Raises:
            UserError: There is none of this name, or no credentials.
        """
