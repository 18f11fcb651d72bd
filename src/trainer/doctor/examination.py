"""`trainer doctor`: what this container sees, and what is wrong with it.

Every part is examined by itself, for a limited time: what fails in one is a finding, and the rest
goes on. TensorFlow is not imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from trainer.doctor import data, devices, packages, room, setup
from trainer.doctor.findings import Finding, Report, bounded, without_secrets
from trainer.doctor.probes import Probes
from trainer.platforms import Environment
from trainer.runtime import known


def examine(
    environment: Environment, flags: Mapping[str, Any], *, probes: Probes | None = None
) -> Report:
    """Look at everything that a run of `trainer train` with the same flags would depend on.

    Args:
        environment: The environment and files.
        flags: What was said on the command line, by field name.
        probes: What to ask the machine itself.
    """
    probes = probes or Probes()
    found: list[Finding] = []
    said = setup.set_up(environment, flags)
    job = said.resolved.job
    gpus, gpu_findings = _gpus(environment, probes, device=job.device)
    _, _, features = devices.cpu_info(environment)
    used = devices.Gpus() if job.device == "cpu" else gpus
    precision = devices.default_precision(used, features)
    cpu = partial(
        devices.examine_cpu, environment, probes, threads=job.threads, precision=precision
    )
    shm = partial(
        room.examine_shm, environment, probes, gpus=len(gpus.cards), hosts=job.cluster.size
    )
    parts: list[tuple[str, float, Callable[[], Iterable[Finding]]]] = [
        ("job", 5.0, partial(setup.examine_job, said, env=environment.env, precision=precision)),
        ("cluster", 5.0, partial(setup.examine_cluster, said)),
        ("hosts", probes.host_seconds + 5, partial(setup.examine_hosts, said, probes)),
        (
            "data",
            probes.data_seconds,
            partial(data.examine_data, job, probes, unknown=said.unknown),
        ),
        ("gpu", 5.0, lambda: gpu_findings),
        ("cpu", 5.0, cpu),
        ("memory", 5.0, partial(room.examine_memory, environment)),
        ("/dev/shm", probes.disk_seconds, shm),
        *(
            (flag, probes.disk_seconds, partial(room.examine_folder, flag, folder, probes))
            for flag, folder in room.folders(job, environment)
        ),
        ("versions", 5.0, partial(packages.examine_packages, job)),
        ("clock", 5.0, partial(packages.examine_clock, probes)),
    ]
    for about, seconds, look in parts:
        found += bounded(about, look, seconds=seconds)
    hide = known(environment.env) | known(dict(job.hparams.hp))
    return Report(findings=tuple(without_secrets(finding, hide=hide) for finding in found))


def _gpus(
    environment: Environment, probes: Probes, *, device: str
) -> tuple[devices.Gpus, list[Finding]]:
    """Bounded as a whole: a program that waits for a broken driver cannot even be killed."""
    answer, seconds = devices.Gpus(), probes.driver_seconds

    def look() -> Iterator[Finding]:
        nonlocal answer
        answer = devices.find_gpus(environment, seconds=seconds)
        yield from devices.examine_gpus(answer, environment, probes, device=device)

    findings = bounded("gpu", look, seconds=2 * seconds + 1)
    return answer, findings
