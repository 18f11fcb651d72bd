"""SageMaker's calls for training and tuning jobs."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trainer.backends.backend import Fetched, JobStatus, JobSummary, LogReader
from trainer.backends.sagemaker.checks import checked
from trainer.backends.sagemaker.logs import CloudWatchReader
from trainer.backends.sagemaker.status import training_status, tuning_status
from trainer.backends.sagemaker.submit_errors import submit_error
from trainer.backends.sagemaker.tuning import TuningRequest
from trainer.clouds import AwsSettings, aws_client, aws_error, error_code, naming_aws_errors
from trainer.config import UserError
from trainer.platforms import TrainingRequest, sagemaker

# In the names of jobs that nobody gave another.
MADE_NAME = "trainer-"
# Seconds within which boto3 has made all its tries.
LOST_ANSWER = 600.0
# Of a name that it does not know, SageMaker says that the request is not valid.
_UNKNOWN = ("ValidationException", "ResourceNotFound", "ResourceNotFoundException")


class SageMakerService:
    """Jobs of one account in one region.

    Args:
        settings: The account and the region.
    """

    def __init__(self, settings: AwsSettings) -> None:
        self._settings = settings

    @functools.cached_property
    def _client(self) -> Any:
        return aws_client("sagemaker", self._settings)

    @property
    def _region(self) -> str:
        region: str = self._client.meta.region_name
        return region

    def checked(self, request: TrainingRequest | TuningRequest) -> TrainingRequest | TuningRequest:
        """See `JobService.checked`: role, bucket and image."""
        return checked(request, self._settings, self._region)

    def submit(self, request: TrainingRequest | TuningRequest) -> str:
        """See `JobService.submit`."""
        try:
            if isinstance(request, TuningRequest):
                self._client.create_hyper_parameter_tuning_job(**request.body())
            else:
                self._client.create_training_job(**request.body())
        except Exception as error:
            if self._is_own(error, request):
                return request.name
            shape = self._client.meta.service_model.shape_for("TrainingInstanceType")
            raise submit_error(error, request, self._region, shape.enum) from None
        return request.name

    def _is_own(self, error: Exception, request: TrainingRequest | TuningRequest) -> bool:
        """Return whether a name is taken by this very request, whose first answer was lost."""
        tried = getattr(error, "response", {}).get("ResponseMetadata", {}).get("RetryAttempts", 0)
        if error_code(error) != "ResourceInUse" or not tried:
            return False
        _, found = self._described(request.name)
        age = time.time() - found["CreationTime"].timestamp()
        return bool(abs(age) < LOST_ANSWER)

    def status(self, name: str) -> JobStatus:
        """See `JobService.status`."""
        is_tuning, found = self._described(name)
        return tuning_status(found) if is_tuning else training_status(found)

    def logs(self, name: str) -> LogReader:
        """See `JobService.logs`."""
        is_tuning, found = self._described(name)
        definition = found.get("TrainingJobDefinition", {}) if is_tuning else found
        resources = definition.get("ResourceConfig", {})
        groups = resources.get("InstanceGroups") or [resources]
        hosts = sum(group.get("InstanceCount", 1) for group in groups)
        return CloudWatchReader(
            aws_client("logs", self._settings), f"{name}-" if is_tuning else f"{name}/",
            several=hosts > 1, trials=is_tuning,
        )  # fmt: skip

    def jobs(self, limit: int) -> Sequence[JobSummary]:
        """See `JobService.jobs`; of those that the trainer has submitted."""
        found: list[JobSummary] = []
        for resource, status in (
            ("TrainingJob", training_status), ("HyperParameterTuningJob", tuning_status),
        ):  # fmt: skip
            for job in self._search(resource, limit):
                resources = (job.get("TrainingJobDefinition") or job).get("ResourceConfig") or {}
                count, kind = resources.get("InstanceCount", ""), resources.get("InstanceType", "")
                found.append(
                    JobSummary(
                        name=job[f"{resource}Name"],
                        status=status(job),
                        created=job["CreationTime"].timestamp(),
                        detail=" ".join(
                            filter(None, [f"{count} {kind}".strip(), status(job).detail])
                        ),
                    )
                )
        return sorted(found, key=lambda job: job.created, reverse=True)[:limit]

    def stop(self, name: str) -> None:
        """See `JobService.stop`."""
        is_tuning, _ = self._described(name)
        with naming_aws_errors(name):
            if is_tuning:
                self._client.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
            else:
                self._client.stop_training_job(TrainingJobName=name)

    def results(self, name: str, folder: Path) -> Sequence[Fetched]:
        """See `JobService.results`; of a tuning job those of its best trial."""
        is_tuning, found = self._described(name)
        if is_tuning:
            best = (found.get("BestTrainingJob") or {}).get("TrainingJobName")
            if not best:
                return []
            name = best
            _, found = self._described(best)
        output = found["OutputDataConfig"]["S3OutputPath"].rstrip("/")
        model = (found.get("ModelArtifacts") or {}).get("S3ModelArtifacts", "")
        checkpoints = (found.get("CheckpointConfig") or {}).get("S3Uri", "")
        parts = [
            Fetched(source=model, target="model", unpack=True),
            Fetched(source=f"{output}/{name}/output/output.tar.gz", target="output", unpack=True),
            Fetched(source=checkpoints.rstrip("/"), target="checkpoints"),
            Fetched(source=f"{output}/{name}/tensorboard", target="tensorboard"),
        ]
        return [part for part in parts if part.source and self._is_there(part)]

    def page(self, name: str) -> str:
        """See `JobService.page`."""
        region = self._region
        domain = "amazonaws.cn" if region.startswith("cn-") else "aws.amazon.com"
        return f"https://{region}.console.{domain}/sagemaker/home?region={region}#/jobs/{name}"

    def _described(self, name: str) -> tuple[bool, Mapping[str, Any]]:
        """Return whether a job is a tuning job, and its description.

        Raises:
            UserError: There is no job of that name.
        """
        try:
            return False, self._client.describe_training_job(TrainingJobName=name)
        except Exception as error:
            if error_code(error) not in _UNKNOWN:
                raise aws_error(error, name) from None
        try:
            return True, self._client.describe_hyper_parameter_tuning_job(
                HyperParameterTuningJobName=name
            )
        except Exception as error:
            if error_code(error) not in _UNKNOWN and type(error).__name__ != "ParamValidationError":
                raise aws_error(error, name) from None
        raise UserError(
            subject=name, problem=f"SageMaker has no such job in {self._region}",
            remedy="see trainer jobs list --on sagemaker, or give another --region",
        )  # fmt: skip

    def _search(self, resource: str, limit: int) -> list[Mapping[str, Any]]:
        """Return descriptions of the newest jobs of a kind that bear the trainer's tag."""
        tags = [
            {"Name": f"Tags.{name}", "Operator": "Equals", "Value": value}
            for name, value in sagemaker.options.OWN_TAGS
        ]
        pages = self._client.get_paginator("search").paginate(
            Resource=resource, SearchExpression={"Filters": tags}, SortBy="CreationTime",
            SortOrder="Descending", PaginationConfig={"MaxItems": limit},
        )  # fmt: skip
        try:
            return [each[resource] for page in pages for each in page["Results"]]
        except Exception as error:
            if error_code(error) in ("AccessDenied", "AccessDeniedException"):
                return self._named(resource, limit)
            if resource != "TrainingJob" and error_code(error) == "ValidationException":
                # A region whose search does not know tuning jobs.
                return []
            raise aws_error(error, "trainer jobs list") from None

    def _named(self, resource: str, limit: int) -> list[Mapping[str, Any]]:
        """Return the newest jobs by name, for an account that may not search by tags."""
        operation = {
            "TrainingJob": "list_training_jobs",
            "HyperParameterTuningJob": "list_hyper_parameter_tuning_jobs",
        }[resource]
        with naming_aws_errors("trainer jobs list"):
            pages = self._client.get_paginator(operation).paginate(
                NameContains=MADE_NAME, SortBy="CreationTime", SortOrder="Descending",
                PaginationConfig={"MaxItems": limit},
            )  # fmt: skip
            return [each for page in pages for each in page[f"{resource}Summaries"]]

    def _is_there(self, part: Fetched) -> bool:
        bucket, _, key = part.source.removeprefix("s3://").partition("/")
        prefix = key if part.unpack else f"{key}/"
        with naming_aws_errors(part.source):
            found = aws_client("s3", self._settings).list_objects_v2(
                Bucket=bucket, Prefix=prefix, MaxKeys=1
            )
        return bool(found.get("KeyCount"))
