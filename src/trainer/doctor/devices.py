"""Processor and GPUs, and the arithmetic that is fastest on them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trainer import precision
from trainer.doctor import cgroup
from trainer.doctor.findings import Finding, problem
from trainer.doctor.packages import version
from trainer.doctor.probes import Probes
from trainer.platforms.base import Seen
from trainer.precision import BF16_FLAGS

QUERY = ("index", "name", "memory.total", "memory.free", "driver_version", "compute_cap")
# Where images, the container toolkit and Linux distributions put the driver's library.
LIBRARIES = (
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/usr/local/nvidia/lib64",
    "/usr/local/nvidia/lib",
    "/usr/lib/wsl/lib",
)


@dataclass(frozen=True, kw_only=True)
class Gpus:
    """What there is of NVIDIA's.

    Attributes:
        cards: One for each GPU, by the names of `QUERY`.
        failure: What `nvidia-smi` said when it could not tell.
        device: Whether there is a device file of a GPU.
        library: Where the driver's library is, or None.
    """

    cards: list[dict[str, str]] = field(default_factory=list)
    failure: str = ""
    device: bool = False
    library: str | None = None


def find_gpus(seen: Seen, *, seconds: float) -> Gpus:
    """Ask `nvidia-smi`, and look for the device and the library."""
    cards: list[dict[str, str]] = []
    failure = ""
    program = shutil.which("nvidia-smi", path=seen.env.get("PATH", ""))
    if program:
        # Drivers before 510 do not know the last one.
        for names in (QUERY, QUERY[:-1]):
            cards, failure = _ask(program, names, env=seen.env, seconds=seconds)
            if not failure.startswith("Field "):
                break
    searched = [seen.path(folder) for folder in LIBRARIES]
    searched += [Path(p) for p in seen.env.get("LD_LIBRARY_PATH", "").split(":") if p]
    found = (str(path / "libcuda.so.1") for path in searched if (path / "libcuda.so.1").exists())
    device = any(seen.path("/dev").glob("nvidia[0-9]*"))
    return Gpus(cards=cards, failure=failure, device=device, library=next(found, None))


def _ask(
    program: str, names: tuple[str, ...], *, env: Mapping[str, str], seconds: float
) -> tuple[list[dict[str, str]], str]:
    command = [program, f"--query-gpu={','.join(names)}", "--format=csv,noheader,nounits"]
    try:
        ran = subprocess.run(
            command, env=dict(env), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            errors="replace", timeout=seconds, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return [], f"no answer within {seconds:g} seconds"
    except OSError as error:
        return [], f"{program}: {error.strerror}"
    if ran.returncode:
        said = (ran.stdout + ran.stderr).strip().splitlines() or [f"exit code {ran.returncode}"]
        return [], said[0]
    rows = [line.split(", ") for line in ran.stdout.splitlines() if line.strip()]
    return [dict(zip(names, row, strict=True)) for row in rows if len(row) == len(names)], ""


def default_precision(gpus: Gpus, flags: set[str]) -> str:
    """As `runtime.default_precision`, without TensorFlow."""
    if gpus.cards:
        try:
            capability = float(gpus.cards[0].get("compute_cap", ""))
        except ValueError:
            return "by the GPU's generation"
        return precision.of_gpu(capability)
    return precision.of_processor(flags)


def tell_gpus(gpus: Gpus, env: Mapping[str, str]) -> Iterator[Finding]:
    """The GPUs, or why there are none."""
    facts = {"count": len(gpus.cards), "device": gpus.device, "library": gpus.library}
    for card in gpus.cards:
        capability = card.get("compute_cap")
        yield Finding(
            about=f"gpu {card['index']}",
            text=f"{card['name']}, {card['memory.free']} of {card['memory.total']} MiB free, "
            f"driver {card['driver_version']}"
            + (f", compute capability {capability}" if capability else ""),
            facts=card,
        )
    gpu_image = "use the image's gpu variant, or pip install 'trainer[gpu]'"
    toolkit = "docker run --gpus all, with NVIDIA's container toolkit on the host"
    hidden = env.get("CUDA_VISIBLE_DEVICES")
    announced = env.get("SM_NUM_GPUS", "0")
    if gpus.failure:
        yield problem(
            "gpu", f"nvidia-smi failed: {gpus.failure}",
            "mend the host's driver, and start the container anew", **facts,
        )  # fmt: skip
    elif gpus.device and not gpus.library:
        text = "the device is there, but not the driver's libcuda.so.1"
        remedy = "set NVIDIA_DRIVER_CAPABILITIES=compute,utility when starting the container"
        yield problem("gpu", text, remedy, **facts)
    elif not gpus.cards and not gpus.device and announced.isdigit() and int(announced):
        yield problem("gpu", f"SM_NUM_GPUS={announced}, but none is here", toolkit, **facts)
    elif not gpus.cards and env.get("NVIDIA_VISIBLE_DEVICES", "void") not in ("", "void", "none"):
        text = "none, though this image is made for them"
        yield Finding(about="gpu", text=text, level="note", remedy=toolkit, facts=facts)
    elif not gpus.cards and not gpus.device:
        text = "none, training runs on the processor"
        yield Finding(about="gpu", text=text, facts=facts)
    elif not gpus.cards:
        text = "the device and libcuda.so.1 are there; no nvidia-smi to say more"
        yield Finding(about="gpu", text=text, facts=facts)
    there = gpus.cards or gpus.device
    if there and not version("tensorflow") and version("tensorflow-cpu"):
        yield problem("gpu", "tensorflow-cpu is installed, which does not use it", gpu_image)
    if there and hidden is not None and hidden in ("", "-1", "NoDevFiles"):
        text = f"CUDA_VISIBLE_DEVICES={hidden!r} hides it from TensorFlow"
        yield Finding(about="gpu", text=text, level="note", remedy="unset it to use the GPU")


def cpu_info(seen: Seen) -> tuple[str, int, set[str]]:
    """Model, number of processors and feature flags."""
    model, flags, count = os.uname().machine, set[str](), 0
    try:
        lines = seen.path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            model = value.strip()
        elif name.strip() in ("flags", "Features"):
            flags = set(value.split())
        elif name.strip() == "processor":
            count += 1
    return model, count, flags


def tell_cpu(seen: Seen, probes: Probes, *, threads: int, precision: str) -> Iterator[Finding]:
    """The processor: its model, how much of it may be used, and what it is good at."""
    model, count, flags = cpu_info(seen)
    usable, quota = probes.cores(), cgroup.cores(seen)
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
