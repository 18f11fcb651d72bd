"""The flags of `trainer submit --to sagemaker`: what SageMaker asks about the place."""

from __future__ import annotations

import re
from dataclasses import dataclass

from trainer.config import UserError, option
from trainer.platforms.sagemaker import limits

PLACE, MACHINES, NETWORK = "SageMaker", "SageMaker's instances", "SageMaker's network and keys"
DAY = 86400
# How long a job may take where nobody says.
MAX_SECONDS = DAY
# By these jobs are found again that the trainer has submitted.
OWN_TAGS = (("created-by", "trainer"),)
_GROUP = re.compile(r"([^=:]+)=(ml\.[a-z0-9.-]+):([1-9]\d{0,3})")


# One entry an option: the formatter would give every argument a line of its own.
# fmt: off
@dataclass(frozen=True, kw_only=True)
class SageMakerOptions:
    """The place where SageMaker runs a job, and how."""

    region: str | None = option(
        None, "region of the job (default: that of the profile)", PLACE, metavar="REGION",
        variables=("AWS_REGION", "AWS_DEFAULT_REGION"),
    )
    profile: str | None = option(
        None, "profile of ~/.aws/config (default: AWS's own search for credentials)", PLACE,
        metavar="NAME",
    )
    role: str | None = option(
        None, "role that the job runs as: its ARN, or its name, which IAM is asked about", PLACE,
        metavar="ROLE",
    )
    experiment: str | None = option(
        None, "experiment of SageMaker that lists the job (default: none)", PLACE, metavar="NAME",
    )
    input_mode: str = option(
        "File", "File: data is copied before the training; FastFile: it is read from S3 during the "
        "training", PLACE, choices=("File", "FastFile"),
    )
    attempts: int | None = option(
        None, "how often to try again after an error of SageMaker's own (default: not)", PLACE,
        low=1, high=limits.ATTEMPTS, metavar="N", aliases=("max-retry-attempts",),
    )
    max_wait: int | None = option(
        None, "with --spot, seconds for the job and for waiting for instances (default: twice "
        "--max-time)", PLACE, low=1, high=56 * DAY, metavar="SECONDS",
    )

    instance_type: str = option(
        "ml.m5.xlarge", "kind of the instances", MACHINES, metavar="TYPE",
    )
    instance_groups: tuple[str, ...] = option(
        (), "instances of several kinds, in place of --instance-type and --hosts; all of them "
        "train", MACHINES, metavar="NAME=TYPE:COUNT", many=True,
    )
    volume_size: int = option(
        30, "GB of storage of each instance", MACHINES, low=1, high=16384, metavar="GB",
    )
    keep_alive: int | None = option(
        None, "seconds for which the instances wait for a next job, at their price (default: none)",
        MACHINES, low=1, high=limits.KEEP_ALIVE, metavar="SECONDS",
        aliases=("keep-alive-period-in-seconds",),
    )

    subnets: tuple[str, ...] = option(
        (), "subnets of the VPC that the job runs in", NETWORK, metavar="ID", many=True,
    )
    security_groups: tuple[str, ...] = option(
        (), "security groups of the job in that VPC", NETWORK, metavar="ID", many=True,
        aliases=("security-group-ids",),
    )
    network_isolation: bool = option(
        False, "no connections to the outside, not even the trainer's own to S3", NETWORK,
        aliases=("enable-network-isolation",),
    )
    encrypt_traffic: bool = option(
        False, "encrypt what the hosts send each other, which costs time", NETWORK,
        aliases=("encrypt-inter-container-traffic",),
    )
    volume_kms_key: str | None = option(
        None, "key for the storage of the instances (default: SageMaker's)", NETWORK, metavar="KEY",
    )
    output_kms_key: str | None = option(
        None, "key for what the job writes to S3 (default: the bucket's)", NETWORK, metavar="KEY",
    )
    # fmt: on

    def __post_init__(self) -> None:
        if bool(self.subnets) is not bool(self.security_groups):
            both = ("--subnets", "--security-groups")
            given, missing = both if self.subnets else both[::-1]
            raise UserError(subject=given, problem="a VPC needs both", remedy=f"give {missing} too")
        if self.keep_alive and len({kind for _, kind, _ in self.groups}) > 1:
            raise UserError(
                subject="--keep-alive", problem="SageMaker keeps no instances of several kinds"
            )
        limits.check_count("--subnets", len(self.subnets), limits.SUBNETS)
        limits.check_count("--security-groups", len(self.security_groups), limits.SECURITY_GROUPS)
        limits.check_count("--instance-groups", len(self.groups), limits.GROUPS)
        for flag, key in (("volume", self.volume_kms_key), ("output", self.output_kms_key)):
            limits.check_text(
                f"--{flag}-kms-key", key or "", limits.KMS_KEY, limits.KMS_PATTERN,
                "a key's id, ARN or alias",
            )  # fmt: skip
        if self.experiment is not None:
            limits.check_name(self.experiment, longest=limits.EXPERIMENT, flag="--experiment")

    @property
    def groups(self) -> tuple[tuple[str, str, int], ...]:
        """Names, instance types and sizes of the groups; none where all instances are alike."""
        return tuple(_group(text) for text in self.instance_groups)


def _group(text: str) -> tuple[str, str, int]:
    match = _GROUP.fullmatch(text)
    if not match:
        raise UserError(
            subject=f"--instance-groups {text}",
            problem="expected NAME=TYPE:COUNT, as in workers=ml.g5.xlarge:2",
        )
    return match[1], match[2], int(match[3])
