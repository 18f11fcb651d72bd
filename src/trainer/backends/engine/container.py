"""A container as an engine starts it, and the same as arguments of its client."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trainer.config import UserError
from trainer.platforms import ContainerStart
from trainer.runtime import MASK, mask_text


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A folder or file of the engine's machine that a container sees.

    Attributes:
        source: Its absolute path there, or the name of a volume.
        target: Its absolute path in the container.
        read_only: True if the container may not write to it.
        kind: `bind`, or `volume` for one of the engine's own.
    """

    source: str
    target: str
    read_only: bool = True
    kind: str = "bind"


@dataclass(frozen=True, kw_only=True)
class ContainerLimits:
    """Limits of a container; None for the engine's defaults.

    Attributes:
        gpus: `all`, a number, or the GPUs' numbers or ids with commas: `device=0,1`.
        memory: With its unit, as in `4g`.
        cpus: Processors, also a fraction.
        shm_size: Shared memory, with its unit.
    """

    gpus: str | None = None
    memory: str | None = None
    cpus: float | None = None
    shm_size: str | None = None

    @property
    def gpu_ids(self) -> tuple[str, ...]:
        """The GPUs that are named one by one."""
        named = (self.gpus or "").removeprefix("device=")
        return tuple(named.split(",")) if named != (self.gpus or "") else ()

    @property
    def gpu_count(self) -> int | None:
        """The number of GPUs, -1 for all; None if there are none or they are named."""
        if not self.gpus or self.gpu_ids:
            return None
        return -1 if self.gpus == "all" else int(self.gpus)

    def check(self) -> None:
        """Raise a UserError unless `gpus` has one of its forms."""
        named = self.gpu_ids and all(self.gpu_ids)
        if self.gpus and not (self.gpus == "all" or self.gpus.isdecimal() or named):
            raise UserError(
                subject=f"--gpus {self.gpus}", problem="expected all, a number, or device=0,1"
            )


@dataclass(frozen=True, kw_only=True)
class EngineContainer:
    """One container of a job.

    Attributes:
        start: Its variables, arguments and names.
        name: What the engine calls it.
        image: Its image.
        mounts: What it sees of the engine's machine.
        labels: By which the job is found again.
        limits: What it may use.
        user: `UID:GID`, or None for the image's own.
        network: The engine's network that it is in, or None for the default one.
        folder: Its working folder, or None for the image's own.
        stop_seconds: Seconds from SIGTERM to SIGKILL.
    """

    start: ContainerStart
    name: str
    image: str
    mounts: tuple[Mount, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    limits: ContainerLimits = ContainerLimits()
    user: str | None = None
    network: str | None = None
    folder: str | None = None
    stop_seconds: int = 120

    @property
    def secrets(self) -> dict[str, str]:
        """The variables whose values nobody may see: not even a command line may show them."""
        return {name: value for name, value in self.start.env.items() if is_hidden(name, value)}

    def options(self) -> list[tuple[str, ...]]:
        """Return the options by which `docker create` or `docker run` makes this container.

        A secret variable is named without its value, which the client takes from its environment.
        """
        limits = self.limits
        single = {
            "--name": self.name,
            "--network": self.network,
            "--hostname": None if self.network == "host" else self.start.name,
            "--user": self.user,
            "--workdir": self.folder,
            "--gpus": f'"{limits.gpus}"' if len(limits.gpu_ids) > 1 else limits.gpus,
            "--memory": limits.memory,
            "--cpus": limits.cpus and f"{limits.cpus:g}",
            "--shm-size": limits.shm_size,
            "--stop-timeout": str(self.stop_seconds),
        }
        return [
            *((option, value) for option, value in single.items() if value),
            *(("--network-alias", alias) for alias in self._aliases()),
            *(("--mount", mount_text(mount)) for mount in self.mounts),
            *(("--label", f"{name}={value}") for name, value in self.labels.items()),
            *(("--env", item) for item in self._variables()),
        ]

    def _aliases(self) -> tuple[str, ...]:
        """Return further names, which only networks of users have."""
        return self.start.aliases if self.network not in (None, "host", "none", "bridge") else ()

    def _variables(self) -> Iterator[str]:
        secrets = self.secrets
        for name, value in self.start.env.items():
            yield name if name in secrets else f"{name}={value}"


def absolute(path: str) -> Path:
    """Return a path of this machine as an engine has to be given it."""
    return Path(os.path.normpath(Path(path).absolute()))


def is_hidden(name: str, value: str) -> bool:
    """Return whether a variable has to be masked where it is printed, or is already."""
    return MASK in value or (bool(value) and mask_text(f"{name}={value}") != f"{name}={value}")


def mount_text(mount: Mount) -> str:
    """Return a mount as `--mount` has it: a line of CSV."""
    fields = [f"type={mount.kind}", f"source={mount.source}", f"target={mount.target}"]
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields + ["readonly"] * mount.read_only)
    return line.getvalue()
