"""Processor and GPUs, and the precision that is fastest on them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.doctor import cgroup
from trainer.doctor.findings import Finding, problem
from trainer.doctor.probes import Probes
from trainer.platforms import (
    PLATFORMS,
    Environment,
    gpu_evidence,
    gpu_files,
    gpus_are_hidden,
    missing_gpu_warning,
)
from trainer.runtime import BF16_FLAGS, NvidiaSmiError, cuda, precision, query_gpus, read_processor

QUERY = ("index", "name", "memory.total", "memory.free", "driver_version", "compute_cap")


@dataclass(frozen=True, kw_only=True)
class Gpus:
    """NVIDIA's GPUs of this host, and the traces of their driver.

    Attributes:
        listed: The fields of `QUERY` by name, for each GPU.
        failure: Why `nvidia-smi` failed; empty if it did not.
        device: True if there is a device file of a GPU.
        library: The path of the driver's library, or None.
    """

    listed: list[dict[str, str]] = field(default_factory=list)
    failure: str = ""
    device: bool = False
    library: str | None = None


def find_gpus(environment: Environment, *, seconds: float) -> Gpus:
    """Run `nvidia-smi`, and look for the device and the library.

    Args:
        environment: The environment and files.
        seconds: How long `nvidia-smi` may take.
    """
    listed: list[dict[str, str]] = []
    failure = ""
    # Drivers before 510 do not know the last field.
    for names in (QUERY, QUERY[:-1]):
        try:
            listed, failure = query_gpus(names, env=environment.env, seconds=seconds), ""
        except NvidiaSmiError as error:
            failure = str(error)
        if not failure.startswith("Field "):
            break
    searched = [environment.path(folder) for folder in cuda.DRIVER_FOLDERS]
    searched += [Path(p) for p in environment.env.get("LD_LIBRARY_PATH", "").split(":") if p]
    found = (str(path / "libcuda.so.1") for path in searched if (path / "libcuda.so.1").exists())
    return Gpus(
        listed=listed,
        failure=failure,
        device=bool(gpu_files(environment)),
        library=next(found, None),
    )


def default_precision(gpus: Gpus, flags: Collection[str]) -> str:
    """Return the precision of `runtime.default_precision`, without TensorFlow.

    Args:
        gpus: The GPUs of this host.
        flags: The feature flags of its processor.
    """
    if gpus.listed:
        return precision.of_gpus(gpus.listed[:1]) or "by the GPU's generation"
    return precision.of_processor(flags)


def examine_gpus(
    gpus: Gpus, environment: Environment, probes: Probes, *, device: str
) -> Iterator[Finding]:
    """Report each GPU, or why there is none, and what keeps TensorFlow from using them.

    Args:
        gpus: The GPUs and their driver.
        environment: The environment and files.
        probes: The questions to the machine itself.
        device: As `Job` has it.
    """
    for gpu in gpus.listed:
        capability = gpu.get("compute_cap")
        yield Finding(
            about=f"gpu {gpu['index']}",
            text=f"{gpu['name']}, {gpu['memory.free']} of {gpu['memory.total']} MiB free, "
            f"driver {gpu['driver_version']}"
            + (f", compute capability {capability}" if capability else ""),
            facts=gpu,
        )
    has_gpu = bool(gpus.listed) or gpu_evidence(environment) is not None
    facts = {"count": len(gpus.listed), "device": gpus.device, "library": gpus.library}
    if device == "cpu":
        text = "not used, as --device cpu says" if has_gpu else "none"
        yield Finding(about="gpu", text=text, facts=facts)
    elif gpus.failure:
        yield problem(
            "gpu", f"nvidia-smi failed: {gpus.failure}",
            "mend the host's driver, and start the container anew", **facts,
        )  # fmt: skip
    elif not has_gpu:
        yield _no_gpu(environment, facts, device=device)
    elif gpus_are_hidden(environment):
        hidden = environment.env["CUDA_VISIBLE_DEVICES"]
        text = f"CUDA_VISIBLE_DEVICES={hidden!r} hides it from TensorFlow"
        yield Finding(about="gpu", text=text, level="note", remedy="unset it to use the GPU")
    else:
        yield from _examine_usable(gpus, environment, probes, facts)


def _no_gpu(environment: Environment, facts: Mapping[str, Any], *, device: str) -> Finding:
    for variable in filter(None, (p.gpu_variable for p in PLATFORMS.values())):
        announced = environment.env.get(variable, "0")
        if announced.isdigit() and int(announced):
            text = f"{variable}={announced}, but none is here"
            return problem("gpu", text, cuda.TOOLKIT, **facts)
    if device == "gpu":
        return problem("gpu", "none, but --device gpu asks for one", cuda.TOOLKIT, **facts)
    if missing_gpu_warning(environment):
        text = "none, though this image is made for them"
        return Finding(about="gpu", text=text, level="note", remedy=cuda.TOOLKIT, facts=facts)
    return Finding(about="gpu", text="none, training runs on the processor", facts=facts)


def _examine_usable(
    gpus: Gpus, environment: Environment, probes: Probes, facts: Mapping[str, Any]
) -> Iterator[Finding]:
    causes = probes.gpu_causes()
    for cause in causes:
        yield problem("gpu", cause.text, f"{cause.remedy}; or --device cpu", **facts)
    if not causes and not gpus.listed:
        sign = gpu_evidence(environment)
        text = f"{sign}; the driver and all libraries load; no nvidia-smi to say more"
        yield Finding(about="gpu", text=text, facts=facts)
    folder = probes.unlinked()
    if folder and not causes:
        text = f"TensorFlow does not look for cuSOLVER in {folder}; the trainer does"
        remedy = (
            f"for other programs: ln -s {folder}/{cuda.UNSEARCHED} "
            f"{folder.parent.parent / cuda.SEARCHED / 'lib'}"
        )
        yield Finding(about="gpu", text=text, level="note", remedy=remedy)


def examine_cpu(
    environment: Environment, probes: Probes, *, threads: int, precision: str
) -> Iterator[Finding]:
    """Report the processor's model, how much of it may be used, and its default precision.

    Args:
        environment: The environment and files.
        probes: The questions to the machine itself.
        threads: As `Job` has it.
        precision: The precision that is fastest on this host.
    """
    cpu = read_processor(environment.root)
    model, count, flags = cpu.model, cpu.count, cpu.flags
    usable, quota = probes.cores(), cgroup.cores(environment)
    found = sorted(flags & (BF16_FLAGS | {"avx512f", "avx2"}))
    facts = {"model": model, "cores": usable, "quota": quota, "of": count, "flags": found}
    facts["precision"] = precision
    limit = f", time for {quota:g} of them" if quota and quota < usable else ""
    of = f" of {count}" if count > usable else ""
    bf16 = ", ".join(f for f in found if f in BF16_FLAGS) or "no bfloat16 instructions"
    text = f"{model}, {usable}{of} cores{limit}, {bf16}; default precision {precision}"
    if quota and quota < usable and not threads:
        best = max(1, round(quota))
        remedy = f"--threads {best}, as TensorFlow would start {usable}, which wait for each other"
        yield Finding(about="cpu", text=text, level="note", remedy=remedy, facts=facts)
    else:
        yield Finding(about="cpu", text=text, facts=facts)
