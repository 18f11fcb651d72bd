"""The half of a strategy that needs no TensorFlow, for launcher, platforms and doctor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from trainer.config import Job, Role, UserError
from trainer.distribution.planned_process import PlannedProcess, RendezvousAddress, StorePlan

if TYPE_CHECKING:
    from trainer.distribution.strategy import Strategy


class StrategySpec:
    """One way for processes and GPUs to share the work.

    The attributes and methods have answers for equal processes, one on each host, that find each
    other by TensorFlow's address list. A strategy states where it differs:

        # src/trainer/distribution/pair.py; registry.py gets the line "pair": "pair:Pair",
        class Pair(StrategySpec):
            packages = ("mpi4py",)  # all hosts need the same version

            def default_processes(self, job):
                return 2

            def make(self, job):
                from trainer.distribution.pair_tf import PairStrategy  # TensorFlow, only here

                return PairStrategy(rank=job.cluster.rank)

    Attributes:
        roles: The roles that hosts of the job may have.
        single_process: True if one process does all the work, so that no launcher is needed.
        coordinated: True if the chief alone runs the loop and the other processes serve it until
            they are stopped: they may be restarted one by one, and all of them from a checkpoint.
        is_shared: True if the log tells how many processes and replicas share the work.
        uses_nccl: True if processes with GPUs exchange gradients by NCCL: each needs a GPU of its
            own, and shared memory; Vertex AI's Reduction Server speeds them up.
        has_tf_servers: True if TensorFlow's servers listen at the addresses of the hosts.
        numbered_by_mpi: True if `mpirun` and `horovodrun` may start the processes, too.
        starts_runtime: True if TensorFlow's runtime may start before `make` is called; collective
            operations and servers have to be configured before it starts.
        packages: Python packages that it needs, in the same version on all hosts; with capitals
            as people write their names.
        sagemaker_switch: The hyperparameter by which SageMaker's SDKs ask for it.
    """

    roles: tuple[Role, ...] = ("chief", "worker")
    single_process: bool = False
    coordinated: bool = False
    is_shared: bool = True
    uses_nccl: bool = False
    has_tf_servers: bool = False
    numbered_by_mpi: bool = False
    starts_runtime: bool = False
    packages: tuple[str, ...] = ()
    sagemaker_switch: str | None = None

    # Before the hosts meet.

    def needs_launcher(self, processes: int) -> bool:
        """Return whether the launcher has to start the processes, of all hosts so many."""
        return not self.single_process

    def default_processes(self, job: Job) -> int:
        """Return how many processes train on this host unless the user gives a number."""
        return 1

    def check_shard_by(self, shard_by: str | None, source: str) -> None:
        """Check that hosts can share the data in this way.

        Args:
            shard_by: The value of `--shard-by`, if it is given.
            source: What gave it, for the error.

        Raises:
            UserError: They cannot.
        """

    def check(self, job: Job, processes: int) -> None:
        """Check on this host what would else fail after the hosts have met.

        Args:
            job: The job, as this host sees it.
            processes: The training processes of this host.

        Raises:
            UserError: A package or a GPU is missing.
        """
        if self.uses_nccl and 0 < job.gpus < processes:
            raise UserError(
                subject=f"--processes-per-host {processes}",
                problem=f"NCCL wants a GPU for each process, and this host has {job.gpus}",
                remedy="lower it, or train on the CPU with --device cpu",
            )

    def gpus_per_process(self, job: Job, processes: int) -> int | None:
        """Return how many GPUs each process uses, on all hosts alike; None where they may differ.

        Args:
            job: The job, as this host sees it.
            processes: The training processes of this host.
        """
        return None

    # As the launcher starts the processes.

    def environment(
        self,
        process: PlannedProcess,
        planned: Sequence[PlannedProcess],
        job: Job,
        *,
        meeting: RendezvousAddress,
        env: Mapping[str, str],
    ) -> dict[str, str]:
        """Return the environment of a process.

        Args:
            process: The process.
            planned: All processes of the job.
            job: The job, as this host sees it.
            meeting: The address at which the processes find each other.
            env: The environment that it has with any strategy; the user's own settings are in it.
        """
        return dict(env)

    def store_plan(
        self, planned: Sequence[PlannedProcess], env: Mapping[str, str]
    ) -> StorePlan | None:
        """Return what the processes keep in the launcher's store of addresses, if they use it."""
        return None

    # In a process, before TensorFlow is imported and as it starts.

    def computes(self, role: Role) -> bool:
        """Return whether processes of a role compute, and so need a GPU where there is one."""
        return True

    def gpu_index(self, job: Job) -> int | None:
        """Return which GPU of its host this process takes; None for all that it sees."""
        return None

    def make(self, job: Job) -> Strategy:
        """Join the other processes; here TensorFlow may be imported.

        Raises:
            UserError: What it needs is not installed, or not there.
        """
        raise NotImplementedError
