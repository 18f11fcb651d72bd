"""A job that is to be started elsewhere, from which each platform makes its own request."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from trainer.config import Cluster, Hparams, Job, flags_of, options_of
from trainer.distribution import default_strategy, spec_named
from trainer.runtime import masked_environment

# The fields that name files, which a place may have to bring there or to name otherwise.
INPUTS = ("train", "validation", "test", "module", "input", "classes")


@dataclass(frozen=True, kw_only=True)
class Submission:
    """One job, as its submitter describes it.

    Attributes:
        job: The job that the arguments of `trainer train` describe. Of its fields only the options
            count; the platform sets the others where the job runs.
        given: The options that the arguments set, by field name; places pass these on, alone.
        name: The name of the job, unique at its place.
        image: The container image.
        hosts: How many hosts train.
        parameter_servers: How many hosts more are parameter servers.
        evaluators: 1 if a host more evaluates, else 0.
        max_seconds: When the place ends the job, or None for its own default.
        spot: True if the place may take the hosts away at any time, for a lower price; the job then
            goes on from its newest checkpoint.
        tags: Labels by name.
        env: Variables that every container gets.
        output: Url or folder below which the place puts what the job writes, or None.
        secret: The key with which the hosts sign their messages, or None.
    """

    job: Job
    given: frozenset[str]
    name: str
    image: str
    hosts: int = 1
    parameter_servers: int = 0
    evaluators: int = 0
    max_seconds: int | None = None
    spot: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    output: str | None = None
    secret: str | None = field(default=None, repr=False)

    @property
    def strategy(self) -> str:
        """The strategy that the job will choose where it runs, unless it has several GPUs."""
        return self.job.distribution or default_strategy(
            self.cluster(), gpus=0, numbered_by_mpi=False
        )

    @property
    def has_parameter_servers(self) -> bool:
        """True if the variables are kept on hosts of their own."""
        return "ps" in spec_named(self.strategy).roles

    def cluster(self) -> Cluster:
        """Return the hosts by role, under names that only tell them apart."""
        return Cluster(
            chief=("chief-0",),
            worker=tuple(f"worker-{n}" for n in range(self.hosts - 1)),
            ps=tuple(f"ps-{n}" for n in range(self.parameter_servers)),
            evaluator=tuple(f"evaluator-{n}" for n in range(self.evaluators)),
        )

    def arguments(self, *, without: Collection[str] = ()) -> list[str]:
        """Return the arguments of `trainer train` that give a container this job.

        Args:
            without: Fields that the place sets by other means, such as channels and variables.
        """
        return flags_of(self.job, self.given - {*without})

    def with_inputs(self, inputs: Mapping[str, str | tuple[str, ...]]) -> Submission:
        """Return this submission with other values of some `INPUTS`."""
        values: dict[str, Any] = {**inputs}
        return dataclasses.replace(self, job=dataclasses.replace(self.job, **values))

    def masked(self) -> Submission:
        """Return this submission as it can be printed, its secrets as `***`.

        Forms quote what they print, each in its own way; text masked after that may be no YAML, no
        Python, or hide only the beginning of a secret with a quote in it.
        """
        hparams = self.job.hparams
        shown = dataclasses.replace(hparams, hp=tuple(masked_environment(dict(hparams.hp)).items()))
        return dataclasses.replace(
            self,
            job=dataclasses.replace(self.job, hparams=shown),
            env=masked_environment(self.env),
        )


def given_options(values: Mapping[str, object]) -> frozenset[str]:
    """Return the options among parsed flags of `trainer train`."""
    known = {*options_of(Job), *options_of(Hparams)}
    return frozenset(name for name in values if name in known)
