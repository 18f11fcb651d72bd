"""A job as SageMaker's `CreateTrainingJob` takes it.

Contract: "CreateTrainingJob" in the API reference; the shapes of botocore's service model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from trainer.config import Job, UserError
from trainer.platforms.job_secret import SECRET_VARIABLE
from trainer.platforms.sagemaker import limits
from trainer.platforms.sagemaker.hyperparameters import hyperparameters_of
from trainer.platforms.sagemaker.input_data import Channel, input_data
from trainer.platforms.sagemaker.metrics import MetricPattern, metric_patterns
from trainer.platforms.sagemaker.options import MAX_SECONDS, OWN_TAGS, SageMakerOptions
from trainer.platforms.sagemaker.request_checks import check_submission, hosts_of
from trainer.platforms.submission import Submission

CHECKPOINTS, TENSORBOARD, OUTPUT = (
    "/opt/ml/checkpoints", "/opt/ml/output/tensorboard", "/opt/ml/output/data",
)  # fmt: skip
# SageMaker collects the model from a folder of its own, and what is beside it from another.
COLLECTED = ("model_dir", "output_dir")
# Until the user names one, requests are printed with these.
NO_ROLE = "arn:aws:iam::000000000000:role/ROLE"
NO_OUTPUT = "s3://BUCKET/trainer"


@dataclass(frozen=True, kw_only=True)
class TrainingRequest:
    """All that SageMaker is asked for, in its own terms.

    Attributes:
        name: The name of the job.
        image: The image of the containers.
        role: The role's ARN, or its name until IAM has been asked.
        hosts: How many instances.
        options: The flags of the place.
        max_seconds: When the job is stopped.
        spot: True for instances that may be taken away.
        tags: Labels by name.
        env: The variables of the containers.
        output: The s3:// folder below which the job's own folder is made.
        hyperparameters: Names and values.
        channels: The data.
        checkpoints: The s3:// folder of the checkpoints, or None.
        tensorboard: The s3:// folder of what is written for TensorBoard, or None.
        metrics: What is found in the log.
    """

    name: str
    image: str
    role: str
    hosts: int
    options: SageMakerOptions
    output: str
    hyperparameters: Mapping[str, str]
    max_seconds: int = MAX_SECONDS
    spot: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    channels: tuple[Channel, ...] = ()
    checkpoints: str | None = None
    tensorboard: str | None = None
    metrics: tuple[MetricPattern, ...] = ()
    command: ClassVar[str] = "create-training-job"

    @property
    def wait_seconds(self) -> int:
        """Seconds that a spot job may take in all, waiting included."""
        return self.options.max_wait or 2 * self.max_seconds

    def body(self) -> dict[str, Any]:
        """Return the argument of boto3's `create_training_job`."""
        body = {"TrainingJobName": self.name, **self.definition()}
        if self.hyperparameters:
            body["HyperParameters"] = dict(self.hyperparameters)
        tags = (*OWN_TAGS, *self.tags.items())
        body["Tags"] = [{"Key": name, "Value": value} for name, value in tags]
        if self.tensorboard:
            body["TensorBoardOutputConfig"] = {
                "S3OutputPath": self.tensorboard, "LocalPath": TENSORBOARD,
            }  # fmt: skip
        if self.options.experiment:
            body["ExperimentConfig"] = {"ExperimentName": self.options.experiment}
        return body

    def definition(self) -> dict[str, Any]:
        """Return the part that training jobs and the trials of tuning jobs have in common."""
        options = self.options
        body: dict[str, Any] = {
            "AlgorithmSpecification": {
                "TrainingImage": self.image,
                "TrainingInputMode": options.input_mode,
                "MetricDefinitions": [{"Name": m.name, "Regex": m.regex} for m in self.metrics],
            },
            "RoleArn": self.role,
            "OutputDataConfig": {"S3OutputPath": self.output},
            "ResourceConfig": self._resources(),
            "StoppingCondition": {"MaxRuntimeInSeconds": self.max_seconds},
            "EnableManagedSpotTraining": self.spot,
            "EnableNetworkIsolation": options.network_isolation,
            "EnableInterContainerTrafficEncryption": options.encrypt_traffic,
        }
        if self.channels:
            body["InputDataConfig"] = [_channel(each, options.input_mode) for each in self.channels]
        if options.output_kms_key:
            body["OutputDataConfig"]["KmsKeyId"] = options.output_kms_key
        if self.spot:
            body["StoppingCondition"]["MaxWaitTimeInSeconds"] = self.wait_seconds
        if self.checkpoints:
            body["CheckpointConfig"] = {"S3Uri": self.checkpoints, "LocalPath": CHECKPOINTS}
        if options.subnets:
            body["VpcConfig"] = {
                "Subnets": [*options.subnets], "SecurityGroupIds": [*options.security_groups],
            }  # fmt: skip
        if self.env:
            body["Environment"] = dict(self.env)
        if options.attempts is not None:
            body["RetryStrategy"] = {"MaximumRetryAttempts": options.attempts}
        return body

    def _resources(self) -> dict[str, Any]:
        options = self.options
        found: dict[str, Any] = {"VolumeSizeInGB": options.volume_size}
        if options.groups:
            found["InstanceGroups"] = [
                {"InstanceGroupName": name, "InstanceType": kind, "InstanceCount": count}
                for name, kind, count in options.groups
            ]
        else:
            found |= {"InstanceType": options.instance_type, "InstanceCount": self.hosts}
        if options.volume_kms_key:
            found["VolumeKmsKeyId"] = options.volume_kms_key
        if options.keep_alive is not None:
            found["KeepAlivePeriodInSeconds"] = options.keep_alive
        return found


def _channel(channel: Channel, mode: str) -> dict[str, Any]:
    distribution = "ShardedByS3Key" if channel.sharded else "FullyReplicated"
    source = {
        "S3DataType": "S3Prefix", "S3Uri": channel.uri, "S3DataDistributionType": distribution,
    }  # fmt: skip
    return {
        "ChannelName": channel.name, "DataSource": {"S3DataSource": source}, "InputMode": mode,
        "ContentType": "application/octet-stream",
    }  # fmt: skip


def training_request(submission: Submission, options: SageMakerOptions) -> TrainingRequest:
    """Return what SageMaker is asked for a job.

    Args:
        submission: The job, with its local files in S3 already.
        options: The flags of the place.

    Raises:
        UserError: SageMaker does not take a value, or a field has no meaning there.
    """
    job, given = submission.job, submission.given
    check_submission(submission, options)
    in_job_dir = job.job_dir if (job.job_dir or "").startswith("s3://") else None
    output = (submission.output or in_job_dir or NO_OUTPUT).rstrip("/")
    limits.check_text("--output", output, limits.URI, r"s3://[^/]+/?.*", "s3://BUCKET/FOLDER")
    hosts = hosts_of(submission, options)
    data = input_data(job, hosts=hosts)
    places = {**dict.fromkeys(COLLECTED), **data.places}
    checkpoints, tensorboard = _places_of_output(
        job, places, f"{output}/{submission.name}", spot=submission.spot
    )
    secret = {SECRET_VARIABLE: submission.secret} if submission.secret else {}
    request = TrainingRequest(
        name=submission.name, image=submission.image, role=options.role or NO_ROLE, hosts=hosts,
        options=options, output=output, max_seconds=submission.max_seconds or MAX_SECONDS,
        spot=submission.spot, tags=submission.tags, env={**submission.env, **secret},
        channels=data.channels,
        hyperparameters=hyperparameters_of(job, given, places),
        checkpoints=checkpoints, tensorboard=tensorboard, metrics=metric_patterns(job),
    )  # fmt: skip
    if request.spot and request.wait_seconds < request.max_seconds:
        raise UserError(
            subject=f"--max-wait {request.wait_seconds}",
            problem=f"expected the seconds of --max-time, {request.max_seconds}, or more",
        )
    limits.check_count("metrics", len(request.metrics), limits.METRICS)
    return request


def _places_of_output(
    job: Job, places: dict[str, Any], folder: str, *, spot: bool
) -> tuple[str | None, str | None]:
    """Set where the container writes what SageMaker is to bring to S3.

    Args:
        job: The job.
        places: The values of fields in the container; added to here.
        folder: The job's own folder in S3.
        spot: True if the job may be interrupted, so that it needs checkpoints.

    Returns:
        The addresses in S3 of checkpoints and of what TensorBoard reads, or None.
    """
    checkpoints = tensorboard = None
    # SageMaker's own folders take the place of these.
    if not _is_url(job.job_dir) or (job.job_dir or "").startswith("s3://"):
        places["job_dir"] = None
    kept = job.checkpoint_dir or ""
    if not _is_url(kept) or kept.startswith("s3://"):
        places["checkpoint_dir"] = None
        if kept or job.job_dir or spot:
            # Without the slash, SageMaker would take all that begins with the same name.
            checkpoints = (kept.rstrip("/") if _is_url(kept) else f"{folder}/checkpoints") + "/"
    if (job.log_dir or job.job_dir) and not _is_url(job.log_dir):
        places["log_dir"], tensorboard = TENSORBOARD, f"{folder}/tensorboard"
    for name in ("timeline", "autotune_log"):
        path = getattr(job, name)
        if path:
            places[name] = f"{OUTPUT}/{path.rpartition('/')[2]}"
    return checkpoints, tensorboard


def _is_url(path: str | None) -> bool:
    return "://" in (path or "")
