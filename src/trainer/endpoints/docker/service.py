"""Containers that answer requests: started, waited for, taken down."""

from __future__ import annotations

import logging
from typing import Any

import requests

from trainer.backends import Engine
from trainer.config import UserError
from trainer.endpoints.client import EndpointClient
from trainer.endpoints.deployment import ARTIFACT_TAG, TAG, Deployment
from trainer.endpoints.docker.requests import host_of, run_arguments
from trainer.endpoints.ledger import Ledger
from trainer.endpoints.prediction.http_client import HttpClient
from trainer.endpoints.sample import SampleRequest
from trainer.endpoints.shell_examples import http_examples
from trainer.endpoints.target import Removal, RequestExamples
from trainer.endpoints.waiting import EndedError, wait_until
from trainer.runtime import Patience, StoppedError, StopRequest

logger = logging.getLogger(__name__)

# Lines of the log of a container that failed.
LOG_LINES = 20
# Seconds to pull an image.
PULL_SECONDS = 3600.0


class DockerEndpointService:
    """Containers of this machine's engine.

    Args:
        engine: The engine.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def check(self, deployment: Deployment) -> None:
        """See `EndpointService.check`."""
        name = deployment.name
        found = self._state(name)
        if found is None:
            if deployment.options.update:
                raise UserError(
                    subject=f"--update {name}", problem="there is no container of this name",
                    remedy="leave --update out",
                )  # fmt: skip
            return
        if found["Config"]["Labels"].get(TAG) != name:
            raise UserError(
                subject=f"--name {name}",
                problem="there is a container of this name that trainer deploy did not make",
                remedy="give another --name",
            )
        if not deployment.options.update:
            raise UserError(
                subject=f"--name {name}", problem="there is a container of this name already",
                remedy="--update puts the model in its place, or give another --name",
            )  # fmt: skip

    def model_of_job(self, name: str) -> str:
        """See `EndpointService.model_of_job`; jobs of this machine leave folders."""
        raise UserError(
            subject=f"MODEL {name}", problem="there is no such file or folder",
            remedy="name the model folder that the job wrote",
        )  # fmt: skip

    def make(self, deployment: Deployment, ledger: Ledger, stop: StopRequest) -> None:
        """See `EndpointService.make`."""
        name, before, command = deployment.name, _before(deployment), run_arguments(deployment)
        image = command[-2]
        if not self._engine.succeeds("image", "inspect", image):
            logger.info("image %s is not here; it is pulled", image)
            self._pull(image, stop)
        if deployment.options.update:
            self._engine("rename", name, before)
            ledger.set_aside("the container before", lambda: self._restore(before, name))
            self._engine("stop", before)
        try:
            self._engine(*command)
        except BaseException:
            # The engine may have created it before it found that it cannot start it.
            self._discard(name)
            raise
        ledger.add(f"container {name}", lambda: self._discard(name))

    def _pull(self, image: str, stop: StopRequest) -> None:
        subject = f"--image {image}"
        try:
            Patience(stopped=stop).call(
                lambda: self._engine("pull", image, seconds=PULL_SECONDS), subject
            )
        except StoppedError:
            raise EndedError(subject=subject, problem="stopped while it was pulled") from None

    def wait(self, deployment: Deployment, stop: StopRequest) -> None:
        """See `EndpointService.wait`."""
        name, options = deployment.name, deployment.options
        wait_until(
            lambda: self._health(name, self._url(deployment)),
            f"container {name}",
            stop=stop,
            timeout=options.timeout,
            every=1.0,
        )
        if options.update:
            self._discard(_before(deployment))

    def _health(self, name: str, url: str) -> str | None:
        found = self._state(name)
        if found is None or not found["State"]["Running"] or found.get("RestartCount"):
            self._log_last_lines(name)
            raise UserError(
                subject=f"container {name}",
                problem="it is gone" if found is None else "its server ended, as its log says",
            )
        try:
            ready = requests.get(f"{url}/ping", timeout=10).status_code == 200
        except requests.RequestException:
            ready = False
        return None if ready else "starting"

    def _log_last_lines(self, name: str) -> None:
        # Standard output has a line for each request alone.
        for line in self._engine.printed(name, lines=LOG_LINES):
            logger.error("%s: %s", name, line)

    def try_out(self, deployment: Deployment, sample: SampleRequest) -> EndpointClient | None:
        """See `EndpointService.try_out`."""
        return HttpClient(f"{self._url(deployment)}/invocations", timeout=60.0)

    def examples(self, deployment: Deployment, sample: SampleRequest) -> RequestExamples:
        """See `EndpointService.examples`."""
        return http_examples(f"{self._url(deployment)}/invocations", sample)

    def remove(self, name: str, *, dry_run: bool) -> Removal:
        """See `EndpointService.remove`."""
        found = Removal()
        form = '{{.Names}}\t{{.Label "' + ARTIFACT_TAG + '"}}'
        listed = self._engine("ps", "--all", "--filter", f"label={TAG}={name}", "--format", form)
        for line in listed.splitlines():
            own, _, artifact = line.partition("\t")
            if artifact and artifact not in found.artifacts:
                found.artifacts.append(artifact)
            if not dry_run:
                self._discard(own)
            found.removed.append(f"container {own}")
        if not found.removed and self._state(name) is not None:
            found.left.append(f"container {name}: trainer deploy did not make it")
        return found

    def _url(self, deployment: Deployment) -> str:
        options = deployment.options
        return f"http://{host_of(options.address)}:{options.port}"

    def _state(self, name: str) -> Any:
        """Return what the engine knows of a container, None if there is none."""
        ids = self._engine("ps", "--all", "--quiet", "--filter", f"name=^/?{name}$").split()
        found = self._engine.inspect("container", ids)
        return found[0] if found else None

    def _restore(self, before: str, name: str) -> None:
        self._engine("rename", before, name)
        self._engine("start", name)

    def _discard(self, name: str) -> None:
        self._engine.succeeds("rm", "--force", "--volumes", name)


def _before(deployment: Deployment) -> str:
    """Return the name that the container before gets until the new one answers."""
    return f"{deployment.unique_name}-before"
