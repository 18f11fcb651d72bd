"""The origin of a run: where it runs, what its settings come from, and how to repeat it."""

from __future__ import annotations

import dataclasses
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trainer.config import Hparams, Job, flags_of, options_of
from trainer.platforms import ResolvedJob
from trainer.training.job_settings import plain_value, settings_of


@dataclass(frozen=True, kw_only=True)
class RunOrigin:
    """Facts about a run that only the process that resolved its job knows.

    Attributes:
        platform: The name of its platform.
        because: Why this process was found to run there.
        job: For each field of the job, its `value` and what it comes `from`.
        asked: The job as it was asked for, with paths and urls as the user gave them.
        given: The fields of the job and its hyperparameters that the user or the platform gave.
        host: The name of this host.
        began: The `time.perf_counter()` from which the time of starting up counts.
    """

    platform: str
    because: str
    job: Mapping[str, Mapping[str, Any]]
    asked: Job
    given: frozenset[str]
    host: str = field(default_factory=socket.gethostname)
    began: float = field(default_factory=time.perf_counter)

    @classmethod
    def of(cls, resolved: ResolvedJob) -> RunOrigin:
        """Return the origin of a run."""
        return cls(
            platform=resolved.platform,
            because=resolved.because,
            job={
                each.name: {"value": each.value, "from": each.source}
                for each in settings_of(resolved, env={})
                if each.name != "secret"
            },
            asked=resolved.job,
            given=frozenset(resolved.sources) & {*options_of(Job), *options_of(Hparams)},
        )

    @property
    def command(self) -> tuple[str, ...]:
        """The command that repeats it, secrets not masked yet."""
        return ("trainer", "train", *flags_of(self.asked, self.given))

    def as_json(self, job: Job) -> dict[str, Any]:
        """Return it as `metrics.json` has it.

        Args:
            job: The job as it was run, complete: it has the precision that the device chose, and
                the settings of a checkpoint where no steps were left to train.
        """
        settings = {name: dict(setting) for name, setting in self.job.items()}
        if settings["precision"]["value"] == "by device":
            settings["precision"]["value"] = job.hparams.precision
        kept: dict[str, Any] = {}
        for name in (*options_of(Hparams), "module"):
            value = getattr(job if name == "module" else job.hparams, name)
            if settings[name]["value"] != (shown := plain_value(name, value)):
                settings[name] = {"value": shown, "from": "the checkpoint"}
                kept[name] = value
        given = self.given | kept.keys()
        module = kept.pop("module", self.asked.module)
        hparams = dataclasses.replace(self.asked.hparams, **kept)
        asked = dataclasses.replace(self.asked, module=module, hparams=hparams)
        origin = dataclasses.replace(self, asked=asked, given=given)
        return {
            "platform": self.platform,
            "because": self.because,
            "job": settings,
            "command": list(origin.command),
            "host": self.host,
        }
