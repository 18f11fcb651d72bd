"""A compose file: one service for each host of a job.

Source: the Compose Specification; all of it is also known to docker-compose 1.29.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainer.backends.engine.container import ContainerLimits, EngineContainer
from trainer.backends.engine.job import JOB, EngineJob

NETWORK = "hosts"


@dataclass(frozen=True, kw_only=True)
class ComposeFile:
    """A job as a compose file.

    Attributes:
        job: The job; its containers are the services.
        several_machines: True if each service runs on a machine of its own.
    """

    job: EngineJob
    several_machines: bool = False

    @property
    def secrets(self) -> dict[str, str]:
        """The variables that the file names without values, which Compose takes from its shell."""
        return {k: v for container in self.job.containers for k, v in container.secrets.items()}

    def content(self) -> dict[str, Any]:
        """Return what the file holds."""
        services = {
            container.start.name: _service(container, self) for container in self.job.containers
        }
        content: dict[str, Any] = {"services": services}
        network = self.job.containers[0].network
        if not self.several_machines and network != "host":
            own: dict[str, Any] = {"labels": {JOB: self.job.name}}
            content["networks"] = {NETWORK: {"external": True, "name": network} if network else own}
        return _escaped(content)

    def text(self) -> str:
        """Return the file, with the commands that run it at the top."""
        import yaml

        class Plain(yaml.SafeDumper):
            """Writes what is there twice twice."""

            def ignore_aliases(self, data: Any) -> bool:
                return True

        body = yaml.dump(
            self.content(), Dumper=Plain, sort_keys=False, allow_unicode=True, width=1000
        )
        return "\n".join([*(f"# {line}" for line in self._commands()), "", body])

    def _commands(self) -> Sequence[str]:
        made = (
            [shlex.join(["mkdir", "-p", *map(str, self.job.folders)])] if self.job.folders else []
        )
        secrets = [f"export {name}=…" for name in self.secrets]
        up = f"docker compose -p {self.job.name} -f compose.yaml"
        if not self.several_machines:
            return [*made, *secrets, f"{up} up", f"{up} down"]
        first, *others = (container.start.name for container in self.job.containers)
        return [
            *made,
            *secrets,
            "Each machine has this file, and the data under the same paths:",
            f"{up} up {first}",
            *(f"{up} up {name}" for name in others),
        ]


def _service(container: EngineContainer, file: ComposeFile) -> dict[str, Any]:
    limits = container.limits
    service: dict[str, Any] = {
        "image": container.image,
        "container_name": container.name,
        "command": list(container.start.argv),
        "environment": _environment(container),
        "labels": dict(container.labels),
        "stop_grace_period": f"{container.stop_seconds}s",
        "restart": "no",
    }
    optional = {
        "user": container.user,
        "working_dir": container.folder,
        "shm_size": limits.shm_size,
        "mem_limit": limits.memory,
        "cpus": limits.cpus,
        "pull_policy": None if file.job.pull == "missing" else file.job.pull,
    }
    service |= {name: value for name, value in optional.items() if value is not None}
    if file.several_machines:
        service |= {"network_mode": "host", "profiles": [container.start.name]}
    elif container.network == "host":
        service["network_mode"] = "host"
    else:
        service |= {"hostname": container.start.name, "networks": [NETWORK]}
    if container.mounts:
        service["volumes"] = [
            {"type": "bind", "source": m.source, "target": m.target, "read_only": m.read_only}
            for m in container.mounts
        ]
    if limits.gpus:
        reserved = {"devices": [_device(limits)]}
        service["deploy"] = {"resources": {"reservations": reserved}}
    return service


def _environment(container: EngineContainer) -> dict[str, str | None]:
    hidden = container.secrets
    return {n: None if n in hidden else value for n, value in container.start.env.items()}


def _device(limits: ContainerLimits) -> dict[str, Any]:
    device: dict[str, Any] = {"driver": "nvidia", "capabilities": ["gpu"]}
    if limits.gpu_ids:
        return device | {"device_ids": list(limits.gpu_ids)}
    return device | {"count": "all" if limits.gpu_count == -1 else limits.gpu_count}


def _escaped(value: Any) -> Any:
    """Return a value in which Compose finds no variables of its own."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, Mapping):
        return {key: _escaped(item) for key, item in value.items()}
    return [_escaped(item) for item in value] if isinstance(value, list) else value
