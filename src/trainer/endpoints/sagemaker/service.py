"""SageMaker's calls for endpoints: make, wait, describe a failure, take down."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
from collections.abc import Callable, Iterator
from typing import Any

from trainer.clouds import AwsSettings, aws_client, error_code, naming_aws_errors, role_arn
from trainer.config import RetryableError, UserError
from trainer.endpoints.client import EndpointClient
from trainer.endpoints.deployment import Deployment
from trainer.endpoints.ledger import Ledger
from trainer.endpoints.sagemaker.examples import examples_of
from trainer.endpoints.sagemaker.removal import deregister, remove_all
from trainer.endpoints.sagemaker.requests import SCALING, requests_of
from trainer.endpoints.sagemaker.runtime_client import SageMakerClient
from trainer.endpoints.sample import SampleRequest
from trainer.endpoints.target import Removal, RequestExamples
from trainer.endpoints.waiting import wait_until
from trainer.runtime import StopRequest

logger = logging.getLogger(__name__)

# Lines of the log of an endpoint that failed.
LOG_LINES = 20
_READY = {"endpoint": "InService", "transform job": "Completed"}
_FAILED = {"Failed", "OutOfService", "UpdateRollbackFailed", "Stopped"}


class SageMakerEndpointService:
    """The calls of SageMaker in one region.

    Args:
        settings: Region and profile.
        every: Seconds between looks at an endpoint that is made.
    """

    def __init__(self, settings: AwsSettings, *, every: float = 5.0) -> None:
        self._settings, self._every = settings, every
        self._client = functools.cache(functools.partial(aws_client, settings=settings))
        self._sagemaker = self._client("sagemaker")
        self._role_arn = functools.cache(functools.partial(role_arn, settings=settings))

    @property
    def region(self) -> str:
        """The region that the calls go to."""
        return str(self._sagemaker.meta.region_name)

    def check(self, deployment: Deployment) -> None:
        """See `EndpointService.check`."""
        name, options = deployment.name, deployment.options
        if options.role is not None:
            # A role that is not there is found before anything is uploaded.
            self._role_arn(options.role)
        if options.batch:
            return
        status = self._status_of_endpoint(name)
        if status is None and options.update:
            raise UserError(
                subject=f"--update {name}", problem="there is no endpoint of this name",
                remedy="leave --update out",
            )  # fmt: skip
        if status is not None and not options.update:
            raise UserError(
                subject=f"--name {name}",
                problem=f"there is an endpoint of this name already ({status})",
                remedy="--update puts the model in its place, or give another --name",
            )
        if options.update and status not in (None, "InService"):
            raise UserError(
                subject=f"--update {name}", problem=f"the endpoint is {status}",
                remedy="wait until it is InService",
            )  # fmt: skip

    def model_of_job(self, name: str) -> str:
        """See `EndpointService.model_of_job`."""
        with self._naming(f"MODEL {name}"):
            try:
                job = self._sagemaker.describe_training_job(TrainingJobName=name)
            except Exception as error:
                if not _is_missing(error):
                    raise
                raise UserError(
                    subject=f"MODEL {name}",
                    problem=f"neither a file here nor a training job in {self.region}",
                    remedy="name a folder, a model.tar.gz, an s3:// url or a job",
                ) from None
        url = job.get("ModelArtifacts", {}).get("S3ModelArtifacts")
        if job["TrainingJobStatus"] not in ("Completed", "Stopped") or not url:
            raise UserError(
                subject=f"MODEL {name}",
                problem=f"the job is {job['TrainingJobStatus']} and has no model",
            )
        return str(url)

    def make(self, deployment: Deployment, ledger: Ledger, stop: StopRequest) -> None:
        """See `EndpointService.make`."""
        self._send(deployment, ledger, scaling=False)
        # An endpoint can be scaled once it is in service.
        self._scale = functools.partial(self._send, deployment, ledger, scaling=True)

    def _send(self, deployment: Deployment, ledger: Ledger, *, scaling: bool) -> None:
        options = deployment.options
        if options.role is not None:
            options = dataclasses.replace(options, role=self._role_arn(options.role))
        for request in requests_of(dataclasses.replace(deployment, options=options)):
            if (request.service == SCALING) != scaling:
                continue
            with self._naming(request.what or f"endpoint {deployment.name}"):
                getattr(self._client(request.service), request.operation)(**request.arguments)
            if request.what:
                ledger.add(request.what, self._removal(request.operation, deployment))

    def _removal(self, operation: str, deployment: Deployment) -> Callable[[], None]:
        name = deployment.unique_name
        calls: dict[str, Callable[[], Any]] = {
            "create_model": lambda: self._sagemaker.delete_model(ModelName=name),
            "create_endpoint_config": lambda: self._sagemaker.delete_endpoint_config(
                EndpointConfigName=name
            ),
            "create_endpoint": lambda: self._sagemaker.delete_endpoint(
                EndpointName=deployment.name
            ),
            "create_transform_job": lambda: self._stop_transform(name),
            "register_scalable_target": lambda: deregister(self._client, deployment.name),
        }

        def remove() -> None:
            with self._naming(f"{operation.removeprefix('create_').replace('_', ' ')} {name}"):
                calls[operation]()

        return remove

    def wait(self, deployment: Deployment, stop: StopRequest) -> None:
        """See `EndpointService.wait`."""
        options = deployment.options
        kind = "transform job" if options.batch else "endpoint"
        name = deployment.unique_name if options.batch else deployment.name
        wait_until(
            lambda: self._state(kind, name, deployment),
            f"{kind} {name}",
            stop=stop,
            timeout=options.timeout,
            every=self._every,
        )
        self._scale()

    def _state(self, kind: str, name: str, deployment: Deployment) -> str | None:
        with self._naming(f"{kind} {name}"):
            if kind == "endpoint":
                found = self._sagemaker.describe_endpoint(EndpointName=name)
                status, group = found["EndpointStatus"], f"/aws/sagemaker/Endpoints/{name}"
            else:
                found = self._sagemaker.describe_transform_job(TransformJobName=name)
                status, group = found["TransformJobStatus"], "/aws/sagemaker/TransformJobs"
        if status in _FAILED:
            self._log_last_lines(group, prefix=name if kind == "transform job" else None)
            reason = found.get("FailureReason", "no reason is given")
            raise UserError(subject=f"{kind} {name}", problem=f"{status}: {reason}")
        if status != _READY[kind]:
            return str(status)
        if kind == "endpoint" and found["EndpointConfigName"] != deployment.unique_name:
            # The service went back to what was there before.
            self._log_last_lines(group, prefix=None)
            reason = found.get("FailureReason", "the service rolled the update back")
            raise UserError(subject=f"{kind} {name}", problem=f"still as it was before: {reason}")
        return None

    def _log_last_lines(self, group: str, *, prefix: str | None) -> None:
        """Log what the containers of an endpoint printed last; without them if they cannot be read.

        The endpoint's own failure is what is raised next.
        """
        with contextlib.suppress(UserError, RetryableError), self._naming(group):
            logs = self._client("logs")
            order = {"logStreamNamePrefix": prefix} if prefix else {"orderBy": "LastEventTime"}
            streams = logs.describe_log_streams(
                logGroupName=group, descending=not prefix, limit=1, **order
            )["logStreams"]
            for stream in streams:
                events = logs.get_log_events(
                    logGroupName=group, logStreamName=stream["logStreamName"], limit=LOG_LINES,
                    startFromHead=False,
                )["events"]  # fmt: skip
                for event in events:
                    logger.error("%s: %s", stream["logStreamName"], event["message"].rstrip())

    def try_out(self, deployment: Deployment, sample: SampleRequest) -> EndpointClient | None:
        """See `EndpointService.try_out`."""
        if deployment.options.batch:
            return None
        return SageMakerClient(deployment.name, self._client("sagemaker-runtime"))

    def examples(self, deployment: Deployment, sample: SampleRequest) -> RequestExamples:
        """See `EndpointService.examples`."""
        return examples_of(deployment, sample, region=self.region)

    def remove(self, name: str, *, dry_run: bool) -> Removal:
        """See `EndpointService.remove`."""
        with self._naming(f"undeploy {name}"):
            return remove_all(self._client, name, dry_run=dry_run)

    def _status_of_endpoint(self, name: str) -> str | None:
        with self._naming(f"endpoint {name}"):
            try:
                return str(self._sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"])
            except Exception as error:
                if not _is_missing(error):
                    raise
                return None

    def _stop_transform(self, name: str) -> None:
        found = self._sagemaker.describe_transform_job(TransformJobName=name)
        if found["TransformJobStatus"] == "InProgress":
            self._sagemaker.stop_transform_job(TransformJobName=name)

    @contextlib.contextmanager
    def _naming(self, subject: str) -> Iterator[None]:
        with naming_aws_errors(f"{subject} in {self.region}"):
            yield


def _is_missing(error: Exception) -> bool:
    """Return whether a service does not know the resource that it was asked for."""
    code, text = error_code(error), str(error)
    return code in ("ResourceNotFound", "ValidationException") and (
        "not find" in text or "not found" in text or "does not exist" in text
    )
