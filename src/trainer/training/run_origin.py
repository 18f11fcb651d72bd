"""The origin of a run: where it runs, what its settings come from, and how to repeat it."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trainer.config import Hparams, Job, flags_of, options_of
from trainer.platforms import ResolvedJob
from trainer.training.job_settings import settings_of


@dataclass(frozen=True, kw_only=True)
class RunOrigin:
    """Facts about a run that only the process that resolved its job knows.

    Attributes:
        platform: The name of its platform.
        because: Why this process was found to run there.
        job: For each field of the job, its `value` and what it comes `from`.
        command: The command that repeats it, secrets not masked yet.
        host: The name of this host.
        began: The `time.perf_counter()` from which the time of starting up counts.
    """

    platform: str
    because: str
    job: Mapping[str, Mapping[str, Any]]
    command: tuple[str, ...]
    host: str = field(default_factory=socket.gethostname)
    began: float = field(default_factory=time.perf_counter)

    @classmethod
    def of(cls, resolved: ResolvedJob) -> RunOrigin:
        """Return the origin of a run, with paths and urls as the user gave them."""
        job = resolved.job
        given = {*resolved.sources} & {*options_of(Job), *options_of(Hparams)}
        return cls(
            platform=resolved.platform,
            because=resolved.because,
            job={
                each.name: {"value": each.value, "from": each.source}
                for each in settings_of(resolved, env={})
                if each.name != "secret"
            },
            command=("trainer", "train", *flags_of(job, given)),
        )

    def as_json(self, job: Job) -> dict[str, Any]:
        """Return it as `metrics.json` has it.

        Args:
            job: The job as it was run, complete: it has the precision that the device chose.
        """
        settings = {name: dict(setting) for name, setting in self.job.items()}
        settings["precision"]["value"] = job.hparams.precision
        return {
            "platform": self.platform,
            "because": self.because,
            "job": settings,
            "command": list(self.command),
            "host": self.host,
        }
