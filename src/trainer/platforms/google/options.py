"""The settings of a custom job that only Vertex AI has, each a flag of `trainer submit`."""

from __future__ import annotations

from dataclasses import dataclass

from trainer.config import UserError, option

PLACE, MACHINES, ACCESS = "Vertex AI", "Vertex AI machines", "Vertex AI access and records"


# One entry an option: the formatter would give every argument a line of its own.
# fmt: off
@dataclass(frozen=True, kw_only=True)
class VertexOptions:
    """The settings of Vertex AI; what all places have stands in `Submission`."""

    project: str | None = option(
        None, "project that pays for the job (default: that of your credentials)", PLACE,
        metavar="ID", variables=("GOOGLE_CLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT"),
    )
    region: str = option(
        "us-central1", "region in which the job runs", PLACE, metavar="REGION",
        aliases=("location",), variables=("GOOGLE_CLOUD_REGION", "CLOUDSDK_AI_REGION"),
    )
    staging_bucket: str | None = option(
        None, "bucket in which the job gets a folder of its name, where there is no --output "
        "(default: none)", PLACE, metavar="gs://BUCKET",
    )

    machine_type: str = option(
        "n1-standard-4", "machine of the chief and the workers", MACHINES, metavar="TYPE"
    )
    accelerator_type: str | None = option(
        None, "GPU of the chief and the workers, such as NVIDIA_TESLA_T4 (default: none)", MACHINES,
        metavar="TYPE",
    )
    accelerator_count: int | None = option(
        None, "GPUs of each machine (default: 1 with --accelerator-type, else none)", MACHINES,
        low=1, high=16, metavar="N",
    )
    server_machine_type: str | None = option(
        None, "machine of parameter servers and evaluators, which have no GPU (default: as "
        "--machine-type)", MACHINES, metavar="TYPE",
    )
    reduction_servers: int = option(
        0, "machines of Vertex AI's Reduction Server, which add up gradients for NCCL", MACHINES,
        low=0, high=1000,
    )
    reduction_server_image: str | None = option(
        None, "image of the Reduction Server, as Vertex AI's documentation names it (default: "
        "none)", MACHINES, metavar="IMAGE",
    )
    reduction_server_machine_type: str = option(
        "n1-highcpu-16", "machine of the Reduction Server", MACHINES, metavar="TYPE"
    )
    boot_disk_gb: int | None = option(
        None, "size of each machine's disk (default: Vertex AI's, 100)", MACHINES, low=100,
        high=64000, metavar="GB",
    )
    boot_disk_type: str | None = option(
        None, "kind of each machine's disk, such as pd-ssd (default: Vertex AI's)", MACHINES,
        metavar="TYPE",
    )
    strategy: str | None = option(
        None, "standard: machines at once, or the job fails; flex-start: wait for GPUs that are "
        "scarce, for up to --max-wait (default: standard, or spot with --spot)", MACHINES,
        choices=("standard", "flex-start"),
    )
    max_wait: int | None = option(
        None, "with flex-start, seconds to wait for machines, 0 for ever (default: a day)",
        MACHINES, low=0, metavar="SECONDS",
    )
    persistent_resource: str | None = option(
        None, "persistent resource on whose machines the job runs (default: none)", MACHINES,
        metavar="ID",
    )
    restart_on_worker_restart: bool | None = option(
        None, "start the whole job again when one of its machines is (default: where hosts share "
        "each step, as with horovod and multi_worker_mirrored)", MACHINES,
    )
    disable_retries: bool = option(
        False, "let the job fail at Vertex AI's own errors, too, instead of beginning again",
        MACHINES,
    )

    service_account: str | None = option(
        None, "account as which the job reads and writes (default: Vertex AI's own)", ACCESS,
        metavar="EMAIL",
    )
    network: str | None = option(
        None, "VPC network that the job is peered with (default: none)", ACCESS,
        metavar="projects/NUMBER/global/networks/NAME",
    )
    reserved_ip_ranges: tuple[str, ...] = option(
        (), "address ranges of that network that the job may use (default: any)", ACCESS,
        metavar="NAME", many=True,
    )
    network_attachment: str | None = option(
        None, "network attachment by which the job reaches your network through Private Service "
        "Connect (default: none)", ACCESS, metavar="NAME",
    )
    kms_key: str | None = option(
        None, "your key with which Vertex AI encrypts what it keeps (default: Google's)", ACCESS,
        metavar="projects/P/locations/L/keyRings/R/cryptoKeys/K", aliases=("kms-key-name",),
    )
    tensorboard: str | None = option(
        None, "Vertex AI TensorBoard that shows the run, as its id or full name; needs "
        "--service-account (default: none)", ACCESS, metavar="ID",
    )
    experiment: str | None = option(
        None, "Vertex AI experiment that the job belongs to (default: none)", ACCESS,
        metavar="NAME",
    )
    experiment_run: str | None = option(
        None, "run of that experiment (default: none)", ACCESS, metavar="NAME"
    )
    web_access: bool = option(
        False, "let people with access to the job open a shell in its containers", ACCESS
    )

    api_endpoint: str | None = option(
        None, "url of the Vertex AI API, where it is reached by a private endpoint (default: the "
        "region's public one)", ACCESS, metavar="URL",
        variables=("CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM",),
    )
    logging_endpoint: str | None = option(
        None, "url of the Cloud Logging API, in the same way (default: the public one)", ACCESS,
        metavar="URL", variables=("CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING",),
    )

    # fmt: on
    def __post_init__(self) -> None:
        for flag, given, needs, there in (
            ("--accelerator-count", self.accelerator_count, "--accelerator-type TYPE",
             self.accelerator_type),
            ("--reduction-servers", self.reduction_servers, "--reduction-server-image IMAGE",
             self.reduction_server_image),
            ("--max-wait", self.max_wait is not None, "--strategy flex-start",
             self.strategy == "flex-start"),
            ("--reserved-ip-ranges", self.reserved_ip_ranges, "--network NETWORK", self.network),
            ("--experiment-run", self.experiment_run, "--experiment NAME", self.experiment),
            ("--tensorboard", self.tensorboard, "--service-account EMAIL", self.service_account),
        ):  # fmt: skip
            if given and not there:
                raise UserError(subject=flag, problem=f"needs {needs} besides")
        if self.experiment and self.tensorboard:
            raise UserError(
                subject="--experiment and --tensorboard",
                problem="an experiment has a TensorBoard of its own",
                remedy="give one of them",
            )
        if self.network and self.network_attachment:
            raise UserError(
                subject="--network and --network-attachment",
                problem="a job reaches your network by peering or by Private Service Connect",
                remedy="give one of them",
            )
        if self.staging_bucket and not self.staging_bucket.startswith("gs://"):
            raise UserError(
                subject=f"--staging-bucket {self.staging_bucket}",
                problem="expected a bucket of Cloud Storage",
                remedy="write gs://BUCKET",
            )

    @property
    def gpus(self) -> int:
        """The GPUs of each machine that trains."""
        return (self.accelerator_count or 1) if self.accelerator_type else 0

    @property
    def parent(self) -> str:
        """The resource below which the job is made."""
        return f"projects/{self.project}/locations/{self.region}"
