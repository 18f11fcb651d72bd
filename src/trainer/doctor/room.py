"""Room for a run: in memory, in shared memory and in the folders that it writes to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from trainer.config import Job
from trainer.doctor import cgroup, stores
from trainer.doctor.findings import Finding, problem
from trainer.doctor.probes import Probes, shown_size
from trainer.platforms import Environment
from trainer.storage import is_remote, local_path, unfinished

# TensorFlow, the model and MNIST take half of this.
LEAST_MEMORY = 1 << 30
# NCCL's buffers between the GPUs of a host.
LEAST_SHM = 10**9
# A model, its checkpoints and logs take some tens of megabytes.
LEAST_DISK = 200 * 10**6


def examine_memory(environment: Environment) -> Iterator[Finding]:
    """Report how much memory is free, within the container's limit."""
    info = {}
    for line in environment.path("/proc/meminfo").read_text().splitlines():
        name, _, value = line.partition(":")
        words = value.split()
        if words and words[0].isdigit():
            info[name] = int(words[0]) * 1024
    total = info.get("MemTotal", 0)
    left = info.get("MemAvailable", info.get("MemFree", 0))
    limit = cgroup.memory(environment)
    facts = {"total": total, "available": left, "limit": limit[0] if limit else None}
    of = f"{shown_size(total)} of the machine"
    if limit and limit[0] < total:
        left, of = min(left, limit[1]), f"{shown_size(limit[0])}, the container's limit"
        facts["available"] = left
    text = f"{shown_size(left)} free of {of}"
    if left < LEAST_MEMORY:
        remedy = "end other programs or give the container more, as with docker run --memory=4g"
        yield problem("memory", f"{text}, too little to train", remedy, **facts)
    else:
        yield Finding(about="memory", text=text, facts=facts)


def examine_shm(
    environment: Environment, probes: Probes, *, gpus: int, hosts: int
) -> Iterator[Finding]:
    """Report the size of /dev/shm, through which NCCL passes data between GPUs."""
    try:
        disk = probes.statvfs(environment.path("/dev/shm"))
    except FileNotFoundError:
        total, left = 0, 0
    else:
        total, left = disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize
    facts = {"total": total, "free": left}
    text = f"{shown_size(left)} free of {shown_size(total)}"
    if total < LEAST_SHM and (gpus > 1 or hosts > 1):
        many = f"{gpus} GPUs" if gpus > 1 else f"{hosts} hosts"
        text += f", too little for NCCL between {many}"
        yield problem("/dev/shm", text, "docker run --shm-size=1g", **facts)
    else:
        yield Finding(about="/dev/shm", text=text, facts=facts)


def folders(job: Job, environment: Environment) -> list[tuple[str, str]]:
    """Return the flag or variable, and the path, of each folder that the job writes to.

    The folder for temporary files is among them.
    """
    from trainer.training import output_dir

    remote = is_remote(job.model_dir)
    named = [
        ("--model-dir", job.model_dir),
        # By default beside the model folder, unless that is in an object store.
        ("--output-dir", job.output_dir or (None if remote else str(output_dir(job)))),
        ("--checkpoint-dir", job.checkpoint_dir),
        ("--log-dir", job.log_dir),
    ]
    variables = ((name, environment.env.get(name)) for name in ("TMPDIR", "TEMP", "TMP"))
    set_to = [(name, folder) for name, folder in variables if folder]
    named += set_to[:1] or [("temporary folder", str(environment.path("/tmp")))]
    return [(flag, folder) for flag, folder in named if folder]


def examine_folder(flag: str, folder: str, probes: Probes) -> Iterator[Finding]:
    """Report whether a folder can be written, and how much room is free there.

    Nothing is left behind: a folder that is not there yet is not made, and the nearest folder above
    it that is there is examined.
    """
    about = f"{flag} {folder}"
    if is_remote(folder):
        yield stores.examine_bucket(flag, folder, check=probes.check_store)
        return
    named = Path(local_path(folder, flag=flag))
    place = named.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        # Most file systems make this file without a name, so that no other program finds it.
        with unfinished.temporary_file(place) as file:
            file.write(b"\0" * 4096)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        remedy = "name another folder, or mount it so that this user may write"
        yield problem(about, f"cannot be written: {error.strerror}", remedy, writable=False)
        return
    disk = probes.statvfs(place)
    left = disk.f_bavail * disk.f_frsize
    facts = {"free": left, "writable": True, "exists": named.is_dir()}
    if left < LEAST_DISK:
        yield problem(
            about,
            f"only {shown_size(left)} free",
            "free some, or name a folder on another disk",
            **facts,
        )
    elif disk.f_files and not disk.f_favail:
        yield problem(
            about, "no inode is free", "remove files, or name a folder on another disk", **facts
        )
    else:
        yield Finding(about=about, text=f"can be written, {shown_size(left)} free", facts=facts)
