"""Versions of the installed packages, read without importing them, and the clock."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import trainer
from trainer.config import Job
from trainer.distribution import spec_of, strategy_packages
from trainer.doctor.findings import Finding, problem
from trainer.doctor.probes import Probes
from trainer.runtime import install_command

# The names under which each may be installed.
PACKAGES: dict[str, tuple[str, ...]] = {
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
    "keras": ("keras",),
    "numpy": ("numpy",),
    **{name.lower(): (name.lower(),) for name in strategy_packages()},
    "sagemaker-training": ("sagemaker-training",),
    "s3fs": ("s3fs",),
    "gcsfs": ("gcsfs",),
}
STORES = {("s3://",): "s3fs", ("gs://", "gcs://"): "gcsfs"}
# Time zones and file systems may shift a file's time by hours; this is more than that.
CLOCK_SECONDS = 86_400.0


def examine_packages(job: Job, probes: Probes) -> Iterator[Finding]:
    """Report the versions of packages, and those that this job needs and that are not there."""
    found: dict[str, str | None] = {"trainer": trainer.__version__}
    found["python"] = platform.python_version()
    found |= {name: probes.installed_version(*names) for name, names in PACKAGES.items()}
    text = ", ".join(f"{name} {value or 'none'}" for name, value in found.items())
    yield Finding(about="versions", text=text, facts=found)
    for name in ("tensorflow", "keras"):
        if not found[name]:
            yield problem(name, "is not installed", f"{install_command('cpu')}, or [gpu]")
    for name in map(str.lower, spec_of(job).packages):
        if not found[name]:
            yield problem(
                name,
                f"is not installed, but --distribution {job.distribution} needs it",
                "use the trainer's image, or set another --distribution",
            )
    outputs = (job.model_dir, job.output_dir, job.checkpoint_dir, job.log_dir)
    places = [*job.train, *job.validation, *job.test, *(folder for folder in outputs if folder)]
    for schemes, package in STORES.items():
        named = next((p for p in places if p.startswith(schemes)), None)
        if named and not found[package]:
            yield problem(
                package, f"is not installed, but {named} needs it", f"pip install {package}"
            )


def examine_clock(probes: Probes) -> Iterator[Finding]:
    """Report the time; a time before this package was installed is wrong."""
    now = probes.now()
    shown = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
    facts = {"time": shown}
    if now + CLOCK_SECONDS < Path(trainer.__file__).stat().st_mtime:
        text = f"{shown} is before this package was installed, and object stores refuse requests"
        yield problem("clock", text, "set the host's clock (NTP)", **facts)
    else:
        yield Finding(about="clock", text=shown, facts=facts)
