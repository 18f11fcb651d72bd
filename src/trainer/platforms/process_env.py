"""The place of this process among several that a launcher has started.

The trainer's own launcher describes it in one variable. `mpirun` and `horovodrun` do so in theirs:
the MCA environment of Open MPI ("mpirun", man page), and `horovod/runner/gloo_run.py`.
"""

from __future__ import annotations

from trainer.config import TASK_VARIABLE, Cluster, UserError
from trainer.platforms.base import Environment

# Rank, size, rank on this host, size on this host.
OPEN_MPI = (
    "OMPI_COMM_WORLD_RANK",
    "OMPI_COMM_WORLD_SIZE",
    "OMPI_COMM_WORLD_LOCAL_RANK",
    "OMPI_COMM_WORLD_LOCAL_SIZE",
)
HOROVODRUN = ("HOROVOD_RANK", "HOROVOD_SIZE", "HOROVOD_LOCAL_RANK", "HOROVOD_LOCAL_SIZE")


def read_started_process(environment: Environment) -> tuple[Cluster, str] | None:
    """Return the processes of the job, with this one's place, and the variable that describes them.

    Returns:
        None if no launcher has started this process.

    Raises:
        UserError: A variable is not as its launcher writes it.
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


def _ranked(rank: int, size: int, local_rank: int, local_size: int) -> Cluster:
    # Only the launcher knows their addresses.
    names = tuple(f"rank-{i}" for i in range(size))
    return Cluster(
        chief=names[:1],
        worker=names[1:],
        role="worker" if rank else "chief",
        index=max(0, rank - 1),
        local_rank=local_rank,
        local_size=local_size,
    )
