"""`--distribution none`: one process, one device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainer.config import Job
from trainer.distribution.spec import StrategySpec

if TYPE_CHECKING:
    from trainer.distribution.strategy import Strategy


class SingleProcess(StrategySpec):
    """One process with one device, the first GPU if there is one."""

    single_process = True
    is_shared = False
    starts_runtime = True

    def gpu_index(self, job: Job) -> int | None:
        return 0

    def make(self, job: Job) -> Strategy:
        from trainer.distribution.strategy import SINGLE_PROCESS

        return SINGLE_PROCESS
