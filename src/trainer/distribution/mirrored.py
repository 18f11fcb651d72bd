"""`--distribution mirrored` and `multi_worker_mirrored`: TensorFlow's synchronous strategies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from trainer.config import Job
from trainer.distribution.planned_process import (
    PlannedProcess,
    RendezvousAddress,
    exact_interface,
    own_gpus,
)
from trainer.distribution.spec import StrategySpec

if TYPE_CHECKING:
    from trainer.distribution.strategy import Strategy


class Mirrored(StrategySpec):
    """One process with a replica of the model on each GPU."""

    single_process = True

    def make(self, job: Job) -> Strategy:
        from trainer.distribution.mirrored_tf import make_mirrored

        return make_mirrored(job)


class MultiWorkerMirrored(StrategySpec):
    """Several processes, each with replicas on all GPUs that it sees."""

    uses_nccl = True
    has_tf_servers = True
    sagemaker_switch = "sagemaker_multi_worker_mirrored_strategy_enabled"

    def needs_launcher(self, processes: int) -> bool:
        return processes > 1

    def gpus_per_process(self, job: Job, processes: int) -> int | None:
        return job.gpus // processes or min(1, job.gpus)

    def environment(
        self,
        process: PlannedProcess,
        planned: Sequence[PlannedProcess],
        job: Job,
        *,
        meeting: RendezvousAddress,
        env: Mapping[str, str],
    ) -> dict[str, str]:
        own = dict(env)
        if meeting.interface:
            own.setdefault("NCCL_SOCKET_IFNAME", exact_interface(meeting.interface))
        if job.gpus and process.local_size > 1:
            # TensorFlow takes all GPUs that a process sees, but NCCL takes each GPU only once.
            share = max(1, job.gpus // process.local_size)
            own["CUDA_VISIBLE_DEVICES"] = own_gpus(process, job, env, share)
        return own

    def make(self, job: Job) -> Strategy:
        from trainer.distribution.mirrored_tf import make_multi_worker

        return make_multi_worker(job)
