"""The options of `trainer deploy`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields

from trainer.config import UserError, flag_of, option, options_of
from trainer.endpoints.endpoint_address import WHERE, EndpointAddress

RUN, MACHINES, ACCESS, DOCKER = (
    "what to do with it", "machines", "access and encryption", "docker",
)  # fmt: skip
# Services put it in their own names, with 16 characters of date and time behind it.
_NAME = re.compile(r"[A-Za-z](-?[A-Za-z0-9])*")
_LONGEST = 46
# Flags that only some places have.
_ONLY: Mapping[str, tuple[str, ...]] = {
    "serverless": ("sagemaker",), "memory_mb": ("sagemaker",), "max_concurrency": ("sagemaker",),
    "requests_per_instance": ("sagemaker",), "subnets": ("sagemaker",),
    "security_groups": ("sagemaker",), "profile": ("sagemaker",), "network": ("vertex",),
    "project": ("vertex",), "accelerator": ("vertex",), "address": ("docker",),
    "port": ("docker",), "gpus": ("docker",),
    "batch": ("sagemaker", "vertex"), "batch_type": ("sagemaker", "vertex"),
    "role": ("sagemaker", "vertex"), "region": ("sagemaker", "vertex"),
    "instance_type": ("sagemaker", "vertex"), "count": ("sagemaker", "vertex"),
    "max_count": ("sagemaker", "vertex"), "kms_key": ("sagemaker", "vertex"),
}  # fmt: skip


# fmt: off
@dataclass(frozen=True, kw_only=True)
class DeployOptions(EndpointAddress):
    """Settings of an endpoint."""

    name: str | None = option(
        None, "name of the endpoint (default: made of MODEL)", WHERE
    )
    image: str | None = option(
        None, "image of the trainer, in a registry that the place can pull from (default: "
        "trainer:cpu for docker)", WHERE, aliases=("image-uri",),
    )
    artifacts: str | None = option(
        None, "where the packed model goes: s3://… for sagemaker, gs://… for vertex, a folder for "
        "docker (default: deployments for docker; none where MODEL lies there already, packed as "
        "the place wants it)", WHERE, metavar="URL",
    )
    version: int | None = option(
        None, "which version of the model (default: the newest)", WHERE, low=0, high=2**63,
        metavar="N",
    )
    code: str | None = option(
        None, "folder with the inference.py that stands before and after the model (default: that "
        "of the model)", WHERE, metavar="DIR",
    )
    env: tuple[str, ...] = option(
        (), "variables of the container", WHERE, metavar="NAME=VALUE", many=True,
    )
    tags: tuple[str, ...] = option(
        (), "of all that is made", WHERE, metavar="NAME=VALUE", many=True, aliases=("labels",),
    )

    instance_type: str | None = option(
        None, "machine (default: ml.m5.large, n1-standard-2)", MACHINES,
        aliases=("machine-type",), metavar="TYPE",
    )
    count: int = option(
        1, "machines, or the fewest of them with --max-count", MACHINES, low=1, high=1000,
        aliases=("instance-count", "min-count"),
    )
    max_count: int | None = option(
        None, "most machines, as load grows (default: --count)", MACHINES, low=1, high=1000
    )
    requests_per_instance: float = option(
        1000.0, "requests a minute and machine beyond which another is started", MACHINES, low=0,
        above=True,
    )
    accelerator: str | None = option(
        None, "of each machine, such as NVIDIA_L4 or NVIDIA_TESLA_T4:2", MACHINES,
        metavar="TYPE[:N]",
    )
    serverless: bool = option(
        False, "no machines: pay for requests, after a cold start", MACHINES
    )
    memory_mb: int = option(
        2048, "of a serverless endpoint", MACHINES, low=1024, high=6144, metavar="MB"
    )
    max_concurrency: int = option(
        5, "requests at a time of a serverless endpoint", MACHINES, low=1, high=200
    )
    batch: tuple[str, ...] = option(
        (), "answer the files at INPUT once, to OUTPUT, and make no endpoint", MACHINES,
        metavar="INPUT OUTPUT", many=True,
    )
    batch_type: str = option(
        "jsonl", "of the files at INPUT", MACHINES, choices=("jsonl", "csv", "npy", "png", "jpeg")
    )

    role: str | None = option(
        None, "role that the endpoint runs as: SageMaker's, needed there; Vertex AI's service "
        "account", ACCESS, aliases=("service-account",),
    )
    kms_key: str | None = option(None, "key that encrypts disks and batch output", ACCESS)
    subnets: tuple[str, ...] = option((), "of the VPC", ACCESS, metavar="ID", many=True)
    security_groups: tuple[str, ...] = option((), "of the VPC", ACCESS, metavar="ID", many=True)
    network: str | None = option(
        None, "peered network of the endpoint: projects/…/global/networks/…", ACCESS
    )

    address: str = option(
        "127.0.0.1", "address of this machine to listen at; 0.0.0.0: reachable from others, who "
        "need no password", DOCKER, metavar="ADDRESS",
    )
    port: int = option(8080, "port of this machine", DOCKER, low=1, high=65535)
    gpus: str | None = option(None, "such as all", DOCKER)

    update: bool = option(
        False, "put the model in the place of what the endpoint of this name serves", RUN
    )
    keep: bool = option(False, "leave what was made where a later step fails", RUN)
    timeout: float = option(
        2400.0, "seconds until the endpoint has to answer", RUN, low=0, above=True, high=86400,
        metavar="SECONDS",
    )
    print: str | None = option(
        None, "print what would be sent, without credentials and network, and make nothing", RUN,
        choices=("request",),
    )
    # fmt: on

    def __post_init__(self) -> None:
        for name, limits in options_of(DeployOptions).items():
            limits.check(flag_of(name), getattr(self, name))
        if self.to is not None:
            self._check_place(self.to)
        if self.batch and len(self.batch) != 2:
            raise UserError(
                subject=f"--batch {' '.join(self.batch)}", problem="expected INPUT OUTPUT"
            )
        if self.max_count is not None and self.max_count < self.count:
            raise UserError(
                subject=f"--max-count {self.max_count}", problem=f"below --count {self.count}"
            )
        self._check_contradictions()

    def _check_place(self, place: str) -> None:
        for field in fields(self):
            if getattr(self, field.name) != field.default and not suits(field.name, place):
                places = " and ".join(_ONLY[field.name])
                raise UserError(
                    subject=flag_of(field.name), problem=f"is for --to {places} only"
                )

    def _check_contradictions(self) -> None:
        for name in ("update", "serverless"):
            if self.batch and getattr(self, name):
                raise UserError(subject=f"--batch, {flag_of(name)}", problem="give one of them")
        if self.serverless and (self.instance_type or self.max_count or self.count != 1):
            raise UserError(
                subject="--serverless", problem="has no machines whose type or count could be given"
            )
        if bool(self.subnets) != bool(self.security_groups):
            raise UserError(subject="--subnets, --security-groups", problem="give both or neither")


def suits(name: str, place: str) -> bool:
    """Return whether an option is one of a place's."""
    return place in _ONLY.get(name, (place,))


def checked_name(name: str, *, flag: str = "--name") -> str:
    """Return a name that all places take for an endpoint.

    Raises:
        UserError: Some place would refuse it.
    """
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise UserError(
            subject=f"{flag} {name}",
            problem=f"expected a letter, then letters, digits and single hyphens, {_LONGEST} at "
            "most",
        )
    return name


def name_of_model(model: str) -> str:
    """Return a name for an endpoint, made of the path, url or job that has the model."""
    parts = [part for part in re.split(r"[/:]+", model.removesuffix("/")) if part]
    plain = {"model", "model.tar.gz", "output", "export", "Servo", "s3", "gs", ".", ".."}
    named = [part for part in parts if part not in plain and not part.isdecimal()]
    last = named[-1] if named else "model"
    stem = last.removesuffix(".gz").removesuffix(".tar").removesuffix(".tgz").removesuffix(".keras")
    words = [word for word in re.split(r"[^A-Za-z0-9]+", stem.lower()) if word]
    name = "-".join(words)
    if not name or not name[0].isalpha():
        name = f"model-{name}".rstrip("-")
    return name[:_LONGEST].rstrip("-")


def pairs(texts: tuple[str, ...], flag: str) -> dict[str, str]:
    """Return the names and values of `NAME=VALUE`s.

    Raises:
        UserError: One has no name or no `=`.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            # The value may be a secret.
            raise UserError(subject=f"{flag} {name}", problem="expected NAME=VALUE")
        found[name] = value
    return found
