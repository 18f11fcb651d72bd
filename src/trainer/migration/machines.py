"""Machines of Google Cloud of about the size of SageMaker's instances.

Sources: the tables of instance types of both services (processors, memory, GPUs).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_TYPE = re.compile(r"ml\.([cmrt]\d\w*)\.(?:(\d+)(?=x))?(medium|large|xlarge)")
# Processors of a size without a number in front.
_SIZES = {"medium": 1, "large": 2, "xlarge": 4}


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A kind of machine.

    Attributes:
        machine_type: Its name at Google.
        accelerator_type: Its GPU, or None.
        gpus: How many of them.
    """

    machine_type: str
    accelerator_type: str | None = None
    gpus: int = 0


# Instances of SageMaker with as many GPUs each, and the machine that comes nearest to them.
_T4, _V100, _L4 = "NVIDIA_TESLA_T4", "NVIDIA_TESLA_V100", "NVIDIA_L4"
_ONE = ("xlarge", "2xlarge", "4xlarge", "8xlarge", "16xlarge")
_WITH_GPUS: tuple[tuple[tuple[str, ...], int, str, str, int], ...] = (
    (("p2.xlarge", *(f"g4dn.{size}" for size in _ONE)), 1, "n1-standard-8", _T4, 1),
    (("g4dn.12xlarge",), 4, "n1-standard-32", _T4, 4),
    (("p2.8xlarge",), 8, "n1-standard-32", _T4, 4),
    (("p2.16xlarge",), 16, "n1-standard-64", _T4, 4),
    (("p3.2xlarge",), 1, "n1-standard-8", _V100, 1),
    (("p3.8xlarge",), 4, "n1-standard-32", _V100, 4),
    (("p3.16xlarge", "p3dn.24xlarge"), 8, "n1-standard-64", _V100, 8),
    (tuple(f"{kind}.{size}" for kind in ("g5", "g6") for size in _ONE), 1, "g2-standard-8", _L4, 1),
    (("g5.12xlarge", "g5.24xlarge", "g6.12xlarge", "g6.24xlarge"), 4, "g2-standard-48", _L4, 4),
    (("g5.48xlarge", "g6.48xlarge"), 8, "g2-standard-96", _L4, 8),
    (("p4d.24xlarge",), 8, "a2-highgpu-8g", "NVIDIA_TESLA_A100", 8),
    (("p4de.24xlarge",), 8, "a2-ultragpu-8g", "NVIDIA_A100_80GB", 8),
    (("p5.48xlarge",), 8, "a3-highgpu-8g", "NVIDIA_H100_80GB", 8),
)
_GPUS: Mapping[str, tuple[int, Machine]] = {
    f"ml.{name}": (gpus, Machine(machine_type=machine, accelerator_type=kind, gpus=count))
    for types, gpus, machine, kind, count in _WITH_GPUS
    for name in types
}


def gpus_of(instance_type: str) -> int:
    """Return how many GPUs an instance of SageMaker has."""
    return _GPUS[instance_type][0] if instance_type in _GPUS else 0


def machine_like(instance_type: str) -> Machine | None:
    """Return the machine that comes nearest to an instance of SageMaker, or None if unknown."""
    if instance_type in _GPUS:
        return _GPUS[instance_type][1]
    match = _TYPE.fullmatch(instance_type)
    if match is None:
        return None
    processors = int(match[2] or 1) * _SIZES[match[3]]
    kind = {"c": "highcpu", "r": "highmem"}.get(match[1][0], "standard")
    size = next((n for n in (2, 4, 8, 16, 32, 64, 96) if n >= processors), 96)
    return Machine(machine_type=f"n1-{kind}-{size}")
