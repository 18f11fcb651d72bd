"""Which of several processes this one is, where somebody has started it as such.

The trainer's own launcher says it in one variable. `mpirun` and `horovodrun` say it in theirs: the
MCA environment of Open MPI ("mpirun", man page), and `horovod/runner/gloo_run.py`.
"""

from __future__ import annotations

import re

from trainer.config import TASK_VARIABLE, Cluster, UserError
from trainer.platforms.base import Environment

# What a container is to see, says the container toolkit; the image for GPUs says `all` itself, and
# that it does so in a variable of its own.
VISIBLE, OWN_WORD = "NVIDIA_VISIBLE_DEVICES", "TRAINER_BUILT_FOR"
# Rank, size, rank on this host, size on this host.
OPEN_MPI = (
    "OMPI_COMM_WORLD_RANK",
    "OMPI_COMM_WORLD_SIZE",
    "OMPI_COMM_WORLD_LOCAL_RANK",
    "OMPI_COMM_WORLD_LOCAL_SIZE",
)
HOROVODRUN = ("HOROVOD_RANK", "HOROVOD_SIZE", "HOROVOD_LOCAL_RANK", "HOROVOD_LOCAL_SIZE")


def read_started_process(environment: Environment) -> tuple[Cluster, str] | None:
    """The processes of the job with this one's place, and what said so; None if nothing does.

    Raises:
        UserError: A variable is not as its program writes it.
    """
    if environment.env.get(TASK_VARIABLE):
        try:
            return Cluster.from_json(environment.env[TASK_VARIABLE]), TASK_VARIABLE
        except (ValueError, TypeError, KeyError):
            raise UserError(
                subject=TASK_VARIABLE,
                problem="expected what the trainer's launcher writes",
                remedy="unset it",
            ) from None
    for names in (HOROVODRUN, OPEN_MPI):
        if all(environment.env.get(name) for name in names):
            numbers = [environment.env[name] for name in names]
            if not all(number.isdecimal() for number in numbers):
                shown = ", ".join(f"{n}={v}" for n, v in zip(names, numbers, strict=True))
                raise UserError(
                    subject=shown,
                    problem="expected whole numbers",
                )
            return _ranked(*map(int, numbers)), names[0]
    return None


def count_gpus(environment: Environment) -> int:
    """How many GPUs this host's processes may use, found without any of NVIDIA's libraries."""
    visible = environment.env.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        # What comes after one that is none is not used, says CUDA's programming guide.
        names = [name.strip() for name in visible.split(",")]
        wrong = (i for i, n in enumerate(names) if not re.match(r"\d+$|GPU-|MIG-", n))
        return next(wrong, len(names))
    device = environment.path("/dev")
    return sum(path.name.removeprefix("nvidia").isdecimal() for path in device.glob("nvidia[0-9]*"))


def gpu_evidence(environment: Environment) -> str | None:
    """Return what says that there is a GPU; None if nothing does.

    None of NVIDIA's libraries is asked, and CUDA_VISIBLE_DEVICES only hides what is there.
    """
    device = environment.path("/dev")
    files = [p.name for p in device.glob("nvidia[0-9]*") if p.name[len("nvidia") :].isdecimal()]
    # That is Windows', for Linux in it.
    files += [name for name in ("dxg",) if (device / name).exists()]
    if files:
        return f"/dev/{min(files)}"
    given = environment.env.get(VISIBLE, "")
    own = given == "all" and environment.env.get(OWN_WORD) == "gpu"
    if given not in ("", "void", "none") and not own:
        return f"{VISIBLE}={given}"
    return None


def missing_gpu_warning(environment: Environment) -> str | None:
    """Return what to tell who runs the image for GPUs where there is none."""
    if environment.env.get(OWN_WORD) != "gpu" or environment.env.get(VISIBLE, "") in (
        "",
        "void",
        "none",
    ):
        return None
    if gpu_evidence(environment):
        return None
    return (
        "this image is made for GPUs, but none is here: training on the CPU; to use one, "
        "docker run --gpus all, with NVIDIA's driver and container toolkit on the host"
    )


def gpus_are_hidden(environment: Environment) -> bool:
    """Return whether CUDA_VISIBLE_DEVICES hides all GPUs."""
    return environment.env.get("CUDA_VISIBLE_DEVICES") is not None and not count_gpus(environment)


def _ranked(rank: int, size: int, local_rank: int, local_size: int) -> Cluster:
    # Their addresses are known to those who started them only.
    names = tuple(f"rank-{i}" for i in range(size))
    return Cluster(
        chief=names[:1],
        worker=names[1:],
        role="worker" if rank else "chief",
        index=max(0, rank - 1),
        local_rank=local_rank,
        local_size=local_size,
    )
