"""The flags of a container on this machine's engine."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from trainer.backends.engine.container import ContainerLimits, Mount, absolute
from trainer.backends.engine.request import byte_count
from trainer.config import UserError, option

CONTAINER = "container"
# An engine accepts such a name for a container, and Compose for a project.
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


# fmt: off
@dataclass(frozen=True, kw_only=True)
class DockerOptions:
    """The flags of one container."""

    client: str | None = option(
        None, "the engine's client, Docker's or Podman's (default: whichever is on PATH)",
        CONTAINER, metavar="PROGRAM", variables=("DOCKER",),
    )
    gpus: str | None = option(
        None, "GPUs of the container: all, how many, or which, as device=0,1 (default: none)",
        CONTAINER, metavar="all|N|device=N,…",
    )
    memory: str | None = option(
        None, "the most memory it may take, such as 8g (default: all)", CONTAINER, metavar="SIZE",
    )
    cpus: float | None = option(
        None, "the most processors it may use (default: all)", CONTAINER, low=0, above=True,
    )
    shm_size: str = option(
        "1g", "its shared memory, by which NCCL's processes exchange data", CONTAINER,
        metavar="SIZE",
    )
    network: str | None = option(
        None, "an engine's network that is there, host or none (default: one with a way out)",
        CONTAINER,
    )
    user: str | None = option(
        None, "UID:GID that it runs as, or image for the image's own user (default: you, so that "
        "what it writes is yours)", CONTAINER, metavar="UID:GID|image",
    )
    mount: tuple[str, ...] = option(
        (), "show it another folder or file of this machine, read-only without :rw", CONTAINER,
        metavar="HERE:THERE[:rw]", many=True,
    )
    pull: str = option(
        "missing", "when to pull the image from its registry", CONTAINER,
        choices=("missing", "always", "never"),
    )

    # fmt: on
    def __post_init__(self) -> None:
        self.limits.check()
        for name in ("memory", "shm_size"):
            text = getattr(self, name)
            if text:
                byte_count(text, flag=f"--{name.replace('_', '-')}")
        if self.user and self.user != "image" and not re.fullmatch(r"\d+(:\d+)?", self.user):
            raise UserError(subject=f"--user {self.user}", problem="expected UID:GID, or image")
        _ = self.mounts

    @property
    def limits(self) -> ContainerLimits:
        """The limits of the container."""
        return ContainerLimits(
            gpus=self.gpus, memory=self.memory, cpus=self.cpus, shm_size=self.shm_size
        )

    @property
    def user_ids(self) -> str | None:
        """The user that the container runs as, or None for the image's own."""
        if self.user == "image":
            return None
        return self.user or f"{os.getuid()}:{os.getgid()}"

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """The folders and files that `--mount` names."""
        return tuple(map(_mount, self.mount))


def check_name(name: str) -> None:
    """Raise a UserError unless an engine accepts the name of a job."""
    if not NAME.fullmatch(name):
        raise UserError(
            subject=f"--name {name}",
            problem="expected lower-case letters, digits, - and _, at most 63, a letter or digit "
            "first",
        )


def _mount(text: str) -> Mount:
    writable = text.endswith(":rw")
    source, _, target = text.removesuffix(":rw").removesuffix(":ro").rpartition(":")
    if not source or not PurePosixPath(target).is_absolute():
        raise UserError(
            subject=f"--mount {text}",
            problem="expected HERE:THERE or HERE:THERE:rw, THERE an absolute path in the container",
        )
    return Mount(source=str(absolute(source)), target=target, read_only=not writable)
