"""A job as Vertex AI's `CustomJob`, with the names of its REST API.

Sources: `CustomJob`, `CustomJobSpec` and `WorkerPoolSpec` of the API's description, v1;
"Distributed training" in the Vertex AI documentation: the chief is pool 0, workers are pool 1,
parameter servers or the Reduction Server pool 2, evaluators pool 3, and a pool that is left out is
an empty object.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import Any, Literal

from trainer.config import UserError, flag_of
from trainer.distribution import spec_named
from trainer.platforms.google.limits import check_environment, check_labels, check_spec
from trainer.platforms.google.options import VertexOptions
from trainer.platforms.job_secret import SECRET_VARIABLE
from trainer.platforms.submission import Submission

logger = logging.getLogger(__name__)

VertexKind = Literal["customJobs", "hyperparameterTuningJobs"]
# Those that Vertex AI itself places below the job's folder, by variables.
FOLDERS = ("job_dir", "model_dir", "checkpoint_dir", "log_dir", "output_dir")
STRATEGIES = {"standard": "STANDARD", "flex-start": "FLEX_START"}


@dataclass(frozen=True, kw_only=True)
class VertexRequest:
    """The call that creates a job.

    Attributes:
        project: The project, or None for that of the credentials.
        region: The region.
        kind: The collection that the job is created in.
        body: The job, as JSON.
    """

    project: str | None
    region: str
    kind: VertexKind
    body: dict[str, Any]

    @property
    def spec(self) -> dict[str, Any]:
        """The `CustomJobSpec`: that of the job, or that of each trial."""
        name = "jobSpec" if self.kind == "customJobs" else "trialJobSpec"
        spec: dict[str, Any] = self.body[name]
        return spec


def custom_job(submission: Submission, options: VertexOptions) -> VertexRequest:
    """Return the request that starts a job.

    Args:
        submission: The job; local inputs have been uploaded.
        options: The settings of Vertex AI.

    Raises:
        UserError: Vertex AI would refuse the request, or the job would lose what it writes.
    """
    labels = dict(submission.tags)
    check_labels(labels)
    body: dict[str, Any] = {"displayName": submission.name}
    if len(submission.name) > 128:
        raise UserError(
            subject=f"--name {submission.name[:40]}…",
            problem=f"has {len(submission.name)} characters; Vertex AI takes 128",
        )
    body["jobSpec"] = job_spec(submission, options)
    if labels:
        body["labels"] = labels
    if options.kms_key:
        body["encryptionSpec"] = {"kmsKeyName": options.kms_key}
    return VertexRequest(
        project=options.project, region=options.region, kind="customJobs", body=body
    )


def job_spec(submission: Submission, options: VertexOptions) -> dict[str, Any]:
    """Return the `CustomJobSpec` of a job; see `custom_job`."""
    base = base_folder(submission, options)
    spec: dict[str, Any] = {
        "workerPoolSpecs": _pools(submission, options),
        "baseOutputDirectory": {"outputUriPrefix": base},
        "scheduling": _scheduling(submission, options),
        "serviceAccount": options.service_account,
        "network": _network(options.network),
        "reservedIpRanges": list(options.reserved_ip_ranges),
        "pscInterfaceConfig": _given({"networkAttachment": options.network_attachment}),
        "tensorboard": _resource(
            options, options.tensorboard,
            "projects/{project}/locations/{region}/tensorboards/{name}", flag="--tensorboard",
        ),
        "enableWebAccess": options.web_access,
        "persistentResourceId": options.persistent_resource,
    }  # fmt: skip
    if options.experiment:
        contexts = "projects/{project}/locations/{region}/metadataStores/default/contexts/{name}"
        experiment = _resource(options, options.experiment, contexts, flag="--experiment")
        spec["experiment"] = experiment
        if options.experiment_run:
            spec["experimentRun"] = f"{experiment}-{options.experiment_run}"
    spec = _given(spec)
    check_spec(spec)
    return spec


def base_folder(submission: Submission, options: VertexOptions) -> str:
    """Return the folder below which Vertex AI places what the job writes.

    Raises:
        UserError: There is none in Cloud Storage; a container's disk is lost with it.
    """
    if submission.output or options.staging_bucket:
        above = (submission.output or options.staging_bucket or "").rstrip("/")
        if not above.startswith("gs://"):
            raise UserError(
                subject=f"--output {above}",
                problem="Vertex AI writes to Cloud Storage alone",
                remedy="write gs://BUCKET/FOLDER",
            )
        return f"{above}/{submission.name}"
    job, given = submission.job, submission.given
    if "job_dir" in given and (job.job_dir or "").startswith("gs://"):
        return str(job.job_dir).rstrip("/")
    if "model_dir" in given and job.model_dir.startswith("gs://"):
        parent = job.model_dir.rstrip("/").rpartition("/")[0]
        return parent if parent != "gs:/" else job.model_dir.rstrip("/")
    raise UserError(
        subject="--output",
        problem="the disks of Vertex AI's machines are lost when the job ends",
        remedy="say where the model goes, with --output gs://BUCKET/FOLDER or staging-bucket in "
        "trainer.toml",
    )


def _pools(submission: Submission, options: VertexOptions) -> list[dict[str, Any]]:
    """Return the pools in the order of their roles, without empty ones at the end."""
    strategy = spec_named(submission.strategy)
    servers = submission.parameter_servers
    if "ps" in strategy.roles:
        servers = servers or 1
    if servers and options.reduction_servers:
        raise UserError(
            subject=f"--reduction-servers {options.reduction_servers}",
            problem="the pool for them has the parameter servers",
            remedy="use horovod or multi_worker_mirrored with it",
        )
    arguments = submission.arguments(without=_left_out(submission))
    environment = _environment(submission)
    trains = _machine(options, options.machine_type, gpus=True)
    serves = _machine(options, options.server_machine_type or options.machine_type, gpus=False)

    def pool(count: int, machine: dict[str, Any]) -> dict[str, Any]:
        container = _given({"imageUri": submission.image, "args": arguments, "env": environment})
        return _pool(count, machine, container, options)

    pools = [
        pool(1, trains),
        pool(submission.hosts - 1, trains),
        pool(servers, serves),
        pool(submission.evaluators, serves),
    ]
    if options.reduction_servers:
        machine = {"machineType": options.reduction_server_machine_type}
        image = {"imageUri": options.reduction_server_image}
        pools[2] = _pool(options.reduction_servers, machine, image, options)
    while not pools[-1]:
        pools.pop()
    return pools


def _pool(
    count: int, machine: dict[str, Any], container: dict[str, Any], options: VertexOptions
) -> dict[str, Any]:
    if not count:
        return {}
    disk = {"bootDiskType": options.boot_disk_type, "bootDiskSizeGb": options.boot_disk_gb}
    return _given({
        "machineSpec": machine, "replicaCount": count, "diskSpec": _given(disk),
        "containerSpec": container,
    })  # fmt: skip


def _machine(options: VertexOptions, kind: str, *, gpus: bool) -> dict[str, Any]:
    machine: dict[str, Any] = {"machineType": kind}
    if gpus and options.accelerator_type:
        name = options.accelerator_type.upper().replace("-", "_")
        machine |= {"acceleratorType": name, "acceleratorCount": options.gpus}
    return machine


def _left_out(submission: Submission) -> set[str]:
    """Return the folders of the submitter's own machine, which Vertex AI's variables replace."""
    left_out = set()
    for name in FOLDERS:
        value = getattr(submission.job, name)
        if name in submission.given and value and not _is_cloud(value):
            left_out.add(name)
            logger.info(
                "%s %s: a folder of this machine; on Vertex AI, what goes there is kept below "
                "--output", flag_of(name), value,
            )  # fmt: skip
    return left_out


def _is_cloud(path: str) -> bool:
    return "://" in path or path.startswith("/gcs/")


def _environment(submission: Submission) -> list[dict[str, str]]:
    """Return the variables of the containers; `$(` is doubled, as the service expands `$(NAME)`."""
    env = dict(submission.env)
    check_environment(env)
    if submission.secret:
        env[SECRET_VARIABLE] = submission.secret
    return [{"name": k, "value": v.replace("$(", "$$(")} for k, v in env.items()]


def _scheduling(submission: Submission, options: VertexOptions) -> dict[str, Any]:
    strategy = STRATEGIES.get(options.strategy or "")
    if submission.spot:
        if strategy:
            raise UserError(
                subject=f"--spot and --strategy {options.strategy}",
                problem="a job takes its machines in one way",
                remedy="give one of them",
            )
        strategy = "SPOT"
    restart = options.restart_on_worker_restart
    if restart is None:
        # Its processes cannot go on with one that begins anew; parameter servers can.
        restart = submission.hosts > 1 and not spec_named(submission.strategy).coordinated
    waits = None if options.max_wait is None else f"{options.max_wait}s"
    limit = submission.max_seconds
    return _given({
        "strategy": strategy,
        "timeout": None if limit is None else f"{limit}s",
        "maxWaitDuration": waits,
        "restartJobOnWorkerRestart": restart and not options.disable_retries,
        "disableRetries": options.disable_retries,
    })  # fmt: skip


def _network(name: str | None) -> str | None:
    """Return the network; its full name has the project's number, which only the service knows."""
    if name and not re.fullmatch(r"projects/[^/]+/global/networks/[^/]+", name):
        raise UserError(
            subject=f"--network {name}",
            problem="Vertex AI takes full names alone",
            remedy="write projects/NUMBER/global/networks/NAME, with the number from gcloud "
            "projects describe PROJECT --format 'value(projectNumber)'",
        )
    return name


def _resource(options: VertexOptions, name: str | None, pattern: str, *, flag: str) -> str | None:
    """Return the full name of a resource that is named by its last part."""
    if not name or "/" in name:
        return name
    if not options.project:
        raise UserError(
            subject=f"{flag} {name}",
            problem="its full name has the project, and none is named",
            remedy="give --project, or the full name",
        )
    return pattern.format(project=options.project, region=options.region, name=name)


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that have a value; an object without any counts as none."""
    return {name: value for name, value in fields.items() if value not in (None, False, [], {})}
