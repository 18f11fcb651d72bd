"""The device that a process computes on, compared with the one that was asked for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from trainer.config import Job, UserError
from trainer.runtime import cuda
from trainer.runtime.processor import read_processor


@dataclass(frozen=True, kw_only=True)
class Device:
    """A device, as the log and `metrics.json` describe it.

    Attributes:
        kind: `gpu` or `cpu`.
        name: The model of the GPU or processor.
        count: How many GPUs, or cores, this process uses.
        compute_capability: The compute capability of the GPU.
        driver: The release of NVIDIA's driver.
        cuda: The CUDA that TensorFlow was built with.
    """

    kind: str
    name: str
    count: int
    compute_capability: str | None = None
    driver: str | None = None
    cuda: str | None = None

    @property
    def line(self) -> str:
        """The line for the log."""
        if self.kind == "cpu":
            return f"device: CPU, {self.name}, {self.count} cores"
        facts = {
            "compute capability": self.compute_capability,
            "driver": self.driver,
            "CUDA": self.cuda,
        }
        known = [f"{name} {value}" for name, value in facts.items() if value]
        many = f"{self.count} GPUs" if self.count > 1 else "GPU"
        return ", ".join([f"device: {many}", self.name, *known])


def device_in_use(tf: Any) -> Device:
    """Return the device that this process computes on.

    Args:
        tf: TensorFlow, with the GPUs chosen.
    """
    gpus = tf.config.get_visible_devices("GPU")
    if not gpus:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        return Device(kind="cpu", name=read_processor().model, count=cores or 1)
    details = tf.config.experimental.get_device_details(gpus[0])
    capability = details.get("compute_capability")
    return Device(
        kind="gpu",
        name=details.get("device_name") or "unknown",
        count=len(gpus),
        compute_capability=_dotted(capability) if capability else None,
        driver=cuda.driver().release,
        cuda=tf.sysconfig.get_build_info().get("cuda_version"),
    )


def why_gpu_unused(tf: Any, expected: str | None) -> str | None:
    """Return why TensorFlow does not use a GPU that is there; None if there is nothing to say.

    Args:
        tf: TensorFlow.
        expected: The evidence of a GPU, or None.
    """
    if not expected or tf.config.get_visible_devices("GPU"):
        return None
    first = [*cuda.causes(), _UNKNOWN][0]
    there = f"a GPU is there ({expected}), but TensorFlow finds none"
    return f"{there}: {first.text}; {first.remedy}"


def check_gpu(job: Job, tf: Any, *, computes: bool = True) -> None:
    """Check that TensorFlow can use the GPU that is there, or that is asked for.

    Args:
        job: The device that is asked for, and the evidence of a GPU.
        tf: TensorFlow, with the GPUs chosen.
        computes: False in a process that only coordinates others or holds variables.

    Raises:
        UserError: TensorFlow cannot use it.
    """
    gpus = tf.config.get_visible_devices("GPU")
    if job.device == "cpu" or not computes:
        return
    if not gpus and not job.gpu_expected and job.device != "gpu":
        return
    there = f"a GPU is there ({job.gpu_expected}), but " if job.gpu_expected else ""
    # With a driver that is too old, GPUs are listed, but fail when they are used.
    found = cuda.driver_causes() if gpus else [*cuda.causes(), _UNKNOWN]
    if found:
        cannot = "cannot use it" if gpus else "finds none" if there else "finds no GPU"
        wrong = f"TensorFlow {cannot}: {found[0].text}; {found[0].remedy}"
        raise UserError(
            subject=f"--device {job.device}",
            problem=f"{there}{wrong}",
            remedy=_OTHERWISE,
        )
    details = tf.config.experimental.get_device_details(gpus[0])
    capability, least = details.get("compute_capability"), _least(tf)
    if capability and capability < least:
        wrong = f"the GPU's compute capability, {_dotted(capability)}, is too old"
        needed = f"this TensorFlow needs {_dotted(least)} or more"
        raise UserError(
            subject=f"--device {job.device}",
            problem=f"{there}{wrong}: {needed}",
            remedy=_OTHERWISE,
        )


_UNKNOWN = cuda.Cause(
    text="its driver and libraries are there", remedy="see what --verbosity DEBUG shows"
)
_OTHERWISE = "or train on the CPU with --device cpu"


def _dotted(capability: tuple[int, ...]) -> str:
    return ".".join(map(str, capability))


def _least(tf: Any) -> tuple[int, int]:
    """Return the lowest compute capability that TensorFlow has code for."""
    built = tf.sysconfig.get_build_info().get("cuda_compute_capabilities") or ()
    numbers = [int(name.rpartition("_")[2]) for name in built]
    return divmod(min(numbers), 10) if numbers else (0, 0)
