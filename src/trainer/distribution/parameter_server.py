"""`--distribution parameter_server`: workers that do not wait for each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from trainer.config import Job, Role, UserError
from trainer.distribution.planned_process import PlannedProcess, RendezvousAddress, own_gpus
from trainer.distribution.spec import StrategySpec

if TYPE_CHECKING:
    from trainer.distribution.strategy import Strategy


class ParameterServerSpec(StrategySpec):
    """A chief that hands steps to workers, and servers that hold the variables."""

    roles = ("chief", "worker", "ps", "evaluator")
    coordinated = True
    has_tf_servers = True
    sagemaker_switch = "sagemaker_parameter_server_enabled"

    def check_shard_by(self, shard_by: str | None, source: str) -> None:
        if shard_by == "host":
            raise UserError(
                subject=source,
                problem="hosts hold different data, but with --distribution parameter_server "
                "every worker reads what the chief names",
                remedy="give all hosts all of the data (FullyReplicated), or set "
                "--distribution multi_worker_mirrored or horovod",
            )

    def environment(
        self,
        process: PlannedProcess,
        planned: Sequence[PlannedProcess],
        job: Job,
        *,
        meeting: RendezvousAddress,
        env: Mapping[str, str],
    ) -> dict[str, str]:
        own = {"GRPC_FAIL_FAST": "use_caller", **env}
        if process.role in ("chief", "ps"):
            # These do not compute, but TensorFlow would take the memory of every GPU they see.
            own["CUDA_VISIBLE_DEVICES"] = "-1"
        elif process.role == "worker" and job.gpus > 1:
            # A worker that sees several GPUs would compute the same batch on each.
            own["CUDA_VISIBLE_DEVICES"] = own_gpus(process, job, env, 1)
        return own

    def computes(self, role: Role) -> bool:
        return role in ("worker", "evaluator")

    def make(self, job: Job) -> Strategy:
        from trainer.distribution.parameter_server_tf import make

        return make(job)
