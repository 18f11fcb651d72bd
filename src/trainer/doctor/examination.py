"""The examination of `trainer doctor`: all parts of this container that a run depends on.

Each part is examined by itself, for a limited time: its failure is a finding, and the others are
examined all the same. TensorFlow is not imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from trainer.doctor import data, devices, packages, room, setup
from trainer.doctor.findings import Finding, Report, findings_within, without_secrets
from trainer.doctor.probes import Probes
from trainer.platforms import Environment
from trainer.runtime import known_secrets, read_processor


def run_doctor(
    environment: Environment, flags: Mapping[str, Any], *, probes: Probes | None = None
) -> Report:
    """Examine everything that a run of `trainer train` with the same flags would depend on.

    Args:
        environment: The environment and files.
        flags: The flags that were given, by field name.
        probes: The questions to the machine itself.
    """
    probes = probes or Probes()
    found: list[Finding] = []
    settings = setup.set_up(environment, flags)
    job = settings.resolved.job
    gpus, gpu_findings = _gpus(environment, probes, device=job.device)
    used = devices.Gpus() if job.device == "cpu" else gpus
    precision = devices.default_precision(used, read_processor(environment.root).flags)
    about_job = partial(setup.examine_job, settings, env=environment.env, precision=precision)
    about_data = partial(data.examine_data, job, probes, unknown=settings.unknown)
    about_cpu = partial(
        devices.examine_cpu, environment, probes, threads=job.threads, precision=precision
    )
    about_shm = partial(
        room.examine_shm, environment, probes, gpus=len(gpus.listed), hosts=job.cluster.size
    )
    parts: list[tuple[str, float, Callable[[], Iterable[Finding]]]] = [
        ("job", 5.0, about_job),
        ("cluster", 5.0, partial(setup.examine_cluster, settings)),
        ("hosts", probes.host_seconds + 5, partial(setup.examine_hosts, settings, probes)),
        ("data", probes.data_seconds, about_data),
        ("gpu", 5.0, lambda: gpu_findings),
        ("cpu", 5.0, about_cpu),
        ("memory", 5.0, partial(room.examine_memory, environment)),
        ("/dev/shm", probes.disk_seconds, about_shm),
        *(
            (flag, probes.disk_seconds, partial(room.examine_folder, flag, folder, probes))
            for flag, folder in room.folders(job, environment)
        ),
        ("versions", 5.0, partial(packages.examine_packages, job, probes)),
        ("clock", 5.0, partial(packages.examine_clock, probes)),
    ]
    for about, seconds, part in parts:
        found += findings_within(about, part, seconds=seconds)
    hide = known_secrets(environment.env) | known_secrets(dict(job.hparams.hp))
    return Report(findings=tuple(without_secrets(finding, hide=hide) for finding in found))


def _gpus(
    environment: Environment, probes: Probes, *, device: str
) -> tuple[devices.Gpus, list[Finding]]:
    """Return the GPUs, and the findings about them, within a limited time.

    All of it is bounded, not `nvidia-smi` alone: a program that waits for a broken driver cannot
    even be killed.
    """
    answer, seconds = devices.Gpus(), probes.driver_seconds

    def part() -> Iterator[Finding]:
        nonlocal answer
        answer = devices.find_gpus(environment, seconds=seconds)
        yield from devices.examine_gpus(answer, environment, probes, device=device)

    findings = findings_within("gpu", part, seconds=2 * seconds + 1)
    return answer, findings
