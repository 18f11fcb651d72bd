"""The strategies by which processes share the work, by the value of `--distribution`.

    none                    one process, one device
    mirrored                one process, several GPUs
    multi_worker_mirrored   several processes, TensorFlow's collective operations
    parameter_server        workers that do not wait for each other, variables on servers
    horovod                 several processes, Horovod's collective operations

A new strategy is one new file with a subclass of `StrategySpec`, and one line here. Nothing outside
this package compares the name of a strategy; it asks the spec.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from trainer.config import Cluster, Job, Registry, UserError
from trainer.distribution.spec import StrategySpec

if TYPE_CHECKING:
    from trainer.distribution.strategy import Strategy

STRATEGIES: Registry[type[StrategySpec]] = Registry(
    "trainer.distribution",
    {
        "none": "single:SingleProcess",
        "mirrored": "mirrored:Mirrored",
        "multi_worker_mirrored": "mirrored:MultiWorkerMirrored",
        "parameter_server": "parameter_server:ParameterServerSpec",
        "horovod": "horovod:HorovodSpec",
    },
)


def spec_of(job: Job) -> StrategySpec:
    """Return the strategy of a job; one process works alone where the job has none."""
    return spec_named(job.distribution or "none")


def spec_named(name: str) -> StrategySpec:
    """Return a strategy by its name.

    Raises:
        UserError: There is none of this name.
    """
    if name not in STRATEGIES:
        raise UserError(
            subject=f"--distribution {name}",
            problem=f"expected one of {', '.join(STRATEGIES)}",
        )
    return STRATEGIES[name]()


def strategies_where(fits: Callable[[StrategySpec], bool]) -> tuple[str, ...]:
    """Return the names of the strategies that give a certain answer, in alphabetical order."""
    return tuple(sorted(name for name in STRATEGIES if fits(spec_named(name))))


def default_strategy(cluster: Cluster, *, gpus: int, numbered_by_mpi: bool) -> str:
    """Return the name of the strategy for a job that names none.

    Args:
        cluster: The hosts or processes of the job.
        gpus: The GPUs of this host that it may use.
        numbered_by_mpi: True if mpirun or horovodrun started this process.
    """
    if numbered_by_mpi:
        return "horovod"
    if cluster.ps:
        return "parameter_server"
    if len(cluster.trainers) > 1:
        return "multi_worker_mirrored"
    return "mirrored" if gpus > 1 else "none"


def strategy_to_meet(cluster: Cluster) -> str:
    """Return the name of a strategy with which the launchers of all listed hosts can meet."""
    served = bool(cluster.ps or cluster.evaluator) or cluster.role == "evaluator"
    return "parameter_server" if served else "horovod"


def strategy_packages() -> tuple[str, ...]:
    """Return the packages of all strategies, see `StrategySpec.packages`."""
    return tuple(dict.fromkeys(name for spec in STRATEGIES.values() for name in spec.packages))


def make_strategy(job: Job) -> Strategy:
    """Join the processes that share the work of a job.

    Args:
        job: Its `distribution` names the strategy; its `cluster` lists the processes.

    Raises:
        UserError: What is needed is not installed, or not there.
    """
    return spec_of(job).make(job)
