"""A container as the Docker Engine API makes it: `POST /containers/create` and `/start`.

Source: "Create a container" in the reference of the Docker Engine API, version 1.41.
"""

from __future__ import annotations

import re
from typing import Any

from trainer.backends.engine.container import ContainerLimits, EngineContainer
from trainer.config import UserError

# Docker's units are powers of 1024, whatever letters follow.
UNITS = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


def api_request(container: EngineContainer) -> dict[str, Any]:
    """Return the body of `POST /containers/create?name=NAME`."""
    network = container.network
    body: dict[str, Any] = {
        "Image": container.image,
        "Cmd": list(container.start.argv),
        "Env": [f"{name}={value}" for name, value in container.start.env.items()],
        "Labels": dict(container.labels),
        "StopTimeout": container.stop_seconds,
        "HostConfig": _host_config(container),
    }
    if network != "host":
        body["Hostname"] = container.start.name
    if container.user:
        body["User"] = container.user
    if container.folder:
        body["WorkingDir"] = container.folder
    if network and container.start.aliases and network not in ("host", "none", "bridge"):
        endpoint = {"Aliases": list(container.start.aliases)}
        body["NetworkingConfig"] = {"EndpointsConfig": {network: endpoint}}
    return body


def byte_count(text: str, *, flag: str) -> int:
    """Return the bytes that `4g` or `512m` names.

    Raises:
        UserError: It is no number with one of Docker's units.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kmgt]?)(?:i?b)?|(\d+)b", text.strip().lower())
    if match is None:
        raise UserError(subject=f"{flag} {text}", problem="expected a size such as 512m or 4g")
    return int(float(match[1] or match[3]) * UNITS[match[2] or ""])


def _host_config(container: EngineContainer) -> dict[str, Any]:
    limits = container.limits
    config: dict[str, Any] = {
        "Mounts": [
            {"Type": m.kind, "Source": m.source, "Target": m.target, "ReadOnly": m.read_only}
            for m in container.mounts
        ]
    }
    if container.network:
        config["NetworkMode"] = container.network
    if limits.memory:
        config["Memory"] = byte_count(limits.memory, flag="--memory")
    if limits.cpus:
        config["NanoCpus"] = round(limits.cpus * 1e9)
    if limits.shm_size:
        config["ShmSize"] = byte_count(limits.shm_size, flag="--shm-size")
    if limits.gpus:
        config["DeviceRequests"] = [_device_request(limits)]
    return config


def _device_request(limits: ContainerLimits) -> dict[str, Any]:
    request: dict[str, Any] = {"Driver": "", "Capabilities": [["gpu"]]}
    if limits.gpu_ids:
        request["DeviceIDs"] = list(limits.gpu_ids)
    else:
        request["Count"] = limits.gpu_count
    return request
