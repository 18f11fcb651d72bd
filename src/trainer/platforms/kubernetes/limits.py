"""Checks of what Kubernetes would refuse, before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping

from trainer.config import UserError
from trainer.platforms.kubernetes.options import KubernetesOptions
from trainer.platforms.submission import Submission

# A host name has at most so many characters.
LABEL = 63
_SERVICE = re.compile(r"[a-z](?:[-a-z0-9]*[a-z0-9])?")
_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
_KEY = re.compile(
    r"(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?"
)


def check_submission(submission: Submission, options: KubernetesOptions) -> None:
    """Raise a UserError for what the chosen kind of job cannot do."""
    _check_job_name(submission, jobset=options.flavor != "job")
    if submission.spot:
        raise UserError(
            subject="--spot",
            problem="clusters have no common word for nodes that may be taken away",
            remedy="name yours: --node-selector cloud.google.com/gke-spot=true (GKE), "
            "eks.amazonaws.com/capacityType=SPOT (EKS) or "
            "kubernetes.azure.com/scalesetpriority=spot (AKS), perhaps with --toleration",
        )
    roles = submission.parameter_servers or submission.evaluators
    if roles and options.flavor == "trainjob":
        raise UserError(
            subject="--flavor trainjob",
            problem="all pods of a TrainJob do the same; it has no parameter servers",
            remedy="set --flavor jobset, or leave out --parameter-servers and --evaluators",
        )
    if roles and options.gpus and options.flavor == "job":
        raise UserError(
            subject=f"--gpus {options.gpus}",
            problem="all pods of a Job are alike, and parameter servers would hold GPUs idle",
            remedy="set --flavor jobset",
        )
    if options.ttl is not None and options.flavor == "trainjob":
        raise UserError(
            subject=f"--ttl {options.ttl}", problem="a TrainJob stays until somebody deletes it",
            remedy="leave it out, or set --flavor job or jobset",
        )  # fmt: skip


def check_labels(labels: Mapping[str, str]) -> None:
    """Raise a UserError unless tags can be labels."""
    for name, value in labels.items():
        own = name.rpartition("/")[2]
        if not _KEY.fullmatch(name) or len(own) > LABEL or len(name) > 253 + LABEL:
            raise UserError(subject=f"--tags {name}", problem="is no name of a label")
        if not _VALUE.fullmatch(value) or len(value) > LABEL:
            raise UserError(
                subject=f"--tags {name}={value}",
                problem=f"a label has {LABEL} characters at most: letters, digits, -, _ and .",
            )


def _check_job_name(submission: Submission, *, jobset: bool) -> None:
    name, roles = submission.name, submission.parameter_servers or submission.evaluators
    # What the names of its pods end with.
    ending = f"-{submission.hosts + submission.parameter_servers + submission.evaluators - 1}"
    if jobset:
        ending = f"-{'evaluator' if roles else 'node'}-0{ending}-abcde"
    longest = LABEL - len(ending)
    if not _SERVICE.fullmatch(name):
        raise UserError(
            subject=f"--name {name}",
            problem="expected lower-case letters, digits and -, beginning with a letter",
        )
    if len(name) > longest:
        raise UserError(
            subject=f"--name {name}",
            problem=f"has {len(name)} characters; with the numbers of its pods {longest} fit",
        )
