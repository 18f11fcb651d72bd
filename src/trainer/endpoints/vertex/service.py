"""Vertex AI's calls for endpoints: make, wait, describe a failure, take down."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import Any

from trainer.config import RetryableError, UserError
from trainer.endpoints.client import EndpointClient
from trainer.endpoints.deployment import TAG, Deployment
from trainer.endpoints.ledger import Ledger
from trainer.endpoints.sample import SampleRequest
from trainer.endpoints.shell_examples import google_examples
from trainer.endpoints.target import Removal, RequestExamples
from trainer.endpoints.vertex.connection import VertexConnection
from trainer.endpoints.vertex.prediction_client import VertexClient
from trainer.endpoints.vertex.removal import delete_endpoint, remove_all
from trainer.endpoints.vertex.requests import requests_of
from trainer.endpoints.waiting import wait_until
from trainer.runtime import StopRequest

logger = logging.getLogger(__name__)

LOG_LINES = 20
_JOB_FAILED = {"JOB_STATE_FAILED", "JOB_STATE_CANCELLED", "JOB_STATE_EXPIRED"}
_JOB_DONE = {"JOB_STATE_SUCCEEDED", "JOB_STATE_PARTIALLY_SUCCEEDED"}


class VertexEndpointService:
    """The calls of Vertex AI in one project and region.

    Args:
        connection: To the service.
        every: Seconds between looks at what the service is doing.
    """

    def __init__(self, connection: VertexConnection, *, every: float = 5.0) -> None:
        self._to, self._every = connection, every
        # The operation that deploys the model, or the batch prediction job.
        self._last = ""

    def check(self, deployment: Deployment) -> None:
        """See `EndpointService.check`."""
        if deployment.options.batch:
            return
        name, update = deployment.name, deployment.options.update
        is_there = self._to.find(self._endpoint(name)) is not None
        if update and not is_there:
            raise UserError(
                subject=f"--update {name}", problem="there is no endpoint of this name",
                remedy="leave --update out",
            )  # fmt: skip
        if is_there and not update:
            raise UserError(
                subject=f"--name {name}", problem="there is an endpoint of this name already",
                remedy="--update puts the model in its place, or give another --name",
            )  # fmt: skip

    def model_of_job(self, name: str) -> str:
        """See `EndpointService.model_of_job`."""
        job = self._job(name)
        state = str(job.get("state", "")).removeprefix("JOB_STATE_").lower()
        base = job.get("jobSpec", {}).get("baseOutputDirectory", {}).get("outputUriPrefix")
        if state != "succeeded" or not base:
            raise UserError(
                subject=f"MODEL {name}",
                problem=f"the job is {state}, and has "
                + ("no folder in Cloud Storage" if not base else "no model"),
            )
        # Where the job finds AIP_MODEL_DIR.
        return f"{str(base).rstrip('/')}/model"

    def _job(self, name: str) -> Any:
        kind = f"/v1/{self._to.parent}/customJobs"
        found = self._to.find(f"{kind}/{name}") if name.isdecimal() else None
        if found is None:
            jobs = list(self._to.listed("customJobs", filter=f'display_name="{name}"'))
            found = max(jobs, key=lambda job: str(job.get("createTime"))) if jobs else None
        if found is None:
            raise UserError(
                subject=f"MODEL {name}",
                problem=f"neither a file here nor a custom job in {self._to.parent}",
                remedy="name a folder, a model.tar.gz, a gs:// url or a job",
            )
        return found

    def make(self, deployment: Deployment, ledger: Ledger, stop: StopRequest) -> None:
        """See `EndpointService.make`."""
        for request in requests_of(deployment, self._to.parent):
            answer = self._to.post(request.path, request.body, request.params)
            name = str(answer.get("name", ""))
            if request.path.endswith(":deployModel"):
                # It takes minutes; `wait` follows it.
                self._last = name
                continue
            if request.what:
                ledger.add(request.what, self._removal(request.what, deployment, name))
            if "/operations/" in name:
                self._follow(name, request.what, deployment, stop)
            else:
                self._last = name

    def _removal(self, what: str, deployment: Deployment, made: str) -> Callable[[], None]:
        model = f"/v1/{self._to.parent}/models/{deployment.unique_name}"
        if what.startswith("model"):
            return lambda: self._delete(model)
        if what.startswith("endpoint"):
            return lambda: delete_endpoint(self._to, self._endpoint(deployment.name))
        return lambda: self._to.post(f"/v1/{made}:cancel", {})

    def _delete(self, path: str) -> None:
        self._to.delete(path)

    def _follow(self, operation: str, what: str, deployment: Deployment, stop: StopRequest) -> None:
        """Wait for a short operation: the upload of a model, the making of an endpoint."""
        wait_until(
            lambda: self._state(operation, what),
            what, stop=stop, timeout=deployment.options.timeout, every=self._every,
        )  # fmt: skip

    def _state(self, operation: str, what: str) -> str | None:
        found = self._to.get(f"/v1/{operation}")
        if not found.get("done"):
            return "being made"
        if "error" in found:
            text = str(found["error"].get("message", "no reason is given")).rstrip(".")
            raise UserError(subject=what, problem=text)
        return None

    def wait(self, deployment: Deployment, stop: StopRequest) -> None:
        """See `EndpointService.wait`."""
        options = deployment.options
        if options.batch:
            what, look = f"batch prediction job {deployment.unique_name}", self._job_state
        else:
            what, look = f"endpoint {deployment.name}", lambda: self._deployed(deployment)
        wait_until(look, what, stop=stop, timeout=options.timeout, every=self._every)
        if options.update:
            self._undeploy_earlier(deployment)

    def _deployed(self, deployment: Deployment) -> str | None:
        try:
            return self._state(self._last, f"endpoint {deployment.name}")
        except UserError:
            self._log_last_lines(deployment.name)
            raise

    def _job_state(self) -> str | None:
        job = self._to.get(f"/v1/{self._last}")
        state = str(job.get("state", "JOB_STATE_PENDING"))
        if state in _JOB_FAILED:
            reason = job.get("error", {}).get("message", "no reason is given")
            raise UserError(
                subject=f"batch prediction job {job.get('displayName')}",
                problem=f"{state.removeprefix('JOB_STATE_').lower()}: {reason}".rstrip("."),
            )
        if state == "JOB_STATE_PARTIALLY_SUCCEEDED":
            logger.warning("some rows have no answer: see the error files in the output")
        return None if state in _JOB_DONE else state.removeprefix("JOB_STATE_").lower()

    def _log_last_lines(self, name: str) -> None:
        # The endpoint's own failure is what is raised next.
        with contextlib.suppress(UserError, RetryableError):
            for line in self._to.last_lines(name, lines=LOG_LINES):
                logger.error("endpoint %s: %s", name, line)

    def _undeploy_earlier(self, deployment: Deployment) -> None:
        """Take the models before off the endpoint: they get no more requests."""
        endpoint = self._endpoint(deployment.name)
        for each in self._to.get(endpoint).get("deployedModels", ()):
            if not str(each["model"]).partition("@")[0].endswith(f"/{deployment.unique_name}"):
                body = {"deployedModelId": each["id"]}
                self._to.post(f"{endpoint}:undeployModel", body)
                logger.info("took %s off the endpoint", each.get("displayName", each["id"]))

    def try_out(self, deployment: Deployment, sample: SampleRequest) -> EndpointClient | None:
        """See `EndpointService.try_out`."""
        if deployment.options.batch:
            return None
        return VertexClient(self._to, self._endpoint(deployment.name), timeout=60.0)

    def examples(self, deployment: Deployment, sample: SampleRequest) -> RequestExamples:
        """See `EndpointService.examples`."""
        url = f"{self._to.base}{self._endpoint(deployment.name)}:predict"
        return google_examples(url, sample)

    def remove(self, name: str, *, dry_run: bool) -> Removal:
        """See `EndpointService.remove`."""
        return remove_all(self._to, name, label=TAG, dry_run=dry_run)

    def _endpoint(self, name: str) -> str:
        return f"/v1/{self._to.parent}/endpoints/{name}"
