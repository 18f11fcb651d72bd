"""A job as Kubernetes' manifests: a Job with its Service, a JobSet, or a TrainJob.

Sources: `JobSpec` of the Kubernetes API batch/v1; `JobSetSpec` of JobSet v1alpha2; `TrainJobSpec`
and `TrainingRuntimeSpec` of Kubeflow Trainer v1alpha1.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from trainer.platforms.kubernetes.destination import with_destination
from trainer.platforms.kubernetes.limits import check_labels, check_submission
from trainer.platforms.kubernetes.names import (
    INSTANCE_LABEL,
    MANAGED_BY_LABEL,
    OUTPUT_ANNOTATION,
    QUEUE_LABEL,
)
from trainer.platforms.kubernetes.options import KubernetesOptions
from trainer.platforms.kubernetes.pod_template import job_spec, trainer_container
from trainer.platforms.kubernetes.pods import JOB_INDEX, JOBSET, REPLICATED_JOB
from trainer.platforms.kubernetes.roles import pods_text, roles_of
from trainer.platforms.kubernetes.variables import given, variables
from trainer.platforms.submission import Submission

JOBSET_API, TRAINER_API = "jobset.x-k8s.io/v1alpha2", "trainer.kubeflow.org/v1alpha1"
KINDS = {"job": "Job", "jobset": "JobSet", "trainjob": "TrainJob"}
# Kubeflow Trainer's names of the replicated job, its container, and their label.
NODE, STEP = "node", "trainer.kubeflow.org/trainjob-ancestor-step"
_LABELS = {
    JOBSET: "jobset.sigs.k8s.io/jobset-name",
    REPLICATED_JOB: "jobset.sigs.k8s.io/replicatedjob-name",
    JOB_INDEX: "jobset.sigs.k8s.io/job-index",
}


@dataclass(frozen=True, kw_only=True)
class KubernetesRequest:
    """The objects of a job.

    Attributes:
        name: The job's name.
        kind: The kind of the object that stands for the job.
        namespace: Its namespace, or None for that of the context.
        context: The cluster, or None for the current one.
        manifests: The objects, in the order in which they are made; the job comes last.
        secret: The value of the Secret of the job's name, or None; it is in no manifest.
    """

    name: str
    kind: str
    namespace: str | None
    context: str | None
    manifests: tuple[dict[str, Any], ...]
    secret: str | None = field(default=None, repr=False)


def kubernetes_request(submission: Submission, options: KubernetesOptions) -> KubernetesRequest:
    """Return the objects that start a job.

    Args:
        submission: The job; local inputs have been uploaded, or are on a volume.
        options: The settings of Kubernetes.

    Raises:
        UserError: Kubernetes would refuse the request, or the job would lose what it writes.
    """
    check_submission(submission, options)
    submission, output = with_destination(_with_threads(submission, options), options)
    several = sum(count for _, count in roles_of(submission)) > 1
    secret = submission.secret if several else None
    make = {"job": _job, "jobset": _jobset, "trainjob": _trainjob}[options.flavor]
    kinds = make(submission, options, submission.name if secret else None)
    labels = _labels(submission)
    queue = {QUEUE_LABEL: options.queue} if options.queue else {}
    manifests = []
    for manifest in kinds:
        is_job = manifest["kind"] == KINDS[options.flavor]
        metadata = {
            "name": submission.name,
            "namespace": options.namespace,
            "labels": labels | (queue if is_job else {}),
            "annotations": {OUTPUT_ANNOTATION: output} if is_job else None,
        }
        head = {"apiVersion": manifest.pop("apiVersion"), "kind": manifest.pop("kind")}
        manifests.append({**head, "metadata": given(metadata), **manifest})
    return KubernetesRequest(
        name=submission.name,
        kind=KINDS[options.flavor],
        namespace=options.namespace,
        context=options.context,
        manifests=tuple(manifests),
        secret=secret,
    )


def _job(
    submission: Submission, options: KubernetesOptions, secret: str | None
) -> list[dict[str, Any]]:
    """Return a headless Service, where several pods meet, and an indexed Job."""
    roles = roles_of(submission)
    count = sum(number for _, number in roles)
    service = submission.name if count > 1 else None
    env = variables(submission, options, pods=pods_text(roles), service=service, secret=secret)
    container = trainer_container(
        submission, options, name="trainer", arguments=submission.arguments(), env=env,
        gpus=options.gpus,
    )  # fmt: skip
    spec = job_spec(
        submission,
        options,
        container,
        count,
        retries=options.retries * count,
        labels=_labels(submission),
    )
    spec |= given({"ttlSecondsAfterFinished": options.ttl})
    job = {"apiVersion": "batch/v1", "kind": "Job", "spec": spec}
    if not service:
        return [job]
    spec["template"]["spec"]["subdomain"] = service
    headless = {
        "clusterIP": "None",
        # The pods look for each other before any of them is ready.
        "publishNotReadyAddresses": True,
        "selector": {INSTANCE_LABEL: submission.name},
    }
    return [{"apiVersion": "v1", "kind": "Service", "spec": headless}, job]


def _jobset(
    submission: Submission, options: KubernetesOptions, secret: str | None
) -> list[dict[str, Any]]:
    """Return a JobSet with a replicated job for each role; it makes its Service itself."""
    roles = roles_of(submission)
    env = variables(
        submission, options, pods=pods_text(roles), service=submission.name, secret=secret
    )
    if roles[0][0]:
        env += [
            {"name": name, "valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{label}']"}}}
            for name, label in _LABELS.items()
        ]
    replicated = []
    for role, count in roles:
        trains = role not in ("ps", "evaluator")
        container = trainer_container(
            submission, options, name="trainer", arguments=submission.arguments(), env=env,
            gpus=options.gpus if trains else 0,
        )  # fmt: skip
        spec = job_spec(
            submission, options, container, count, retries=0, labels=_labels(submission)
        )
        replicated.append({"name": role or NODE, "replicas": 1, "template": {"spec": spec}})
    return [{
        "apiVersion": JOBSET_API, "kind": "JobSet",
        "spec": _jobset_spec(options, replicated) | given({"ttlSecondsAfterFinished": options.ttl}),
    }]  # fmt: skip


def _trainjob(
    submission: Submission, options: KubernetesOptions, secret: str | None
) -> list[dict[str, Any]]:
    """Return a TrainJob, and the TrainingRuntime that has what a TrainJob cannot say."""
    env = variables(
        submission, options, pods=str(submission.hosts), service=submission.name, secret=secret
    )
    container = trainer_container(
        submission, options, name=NODE, arguments=submission.arguments(), env=env,
        gpus=options.gpus,
    )  # fmt: skip
    trainer = given({
        "image": container.pop("image"), "args": container.pop("args", None),
        "env": container.pop("env"), "resourcesPerNode": container.pop("resources", None),
        "numNodes": submission.hosts,
    })  # fmt: skip
    # A container of a pod template has to name an image.
    spec = job_spec(
        submission,
        options,
        container | {"image": submission.image},
        submission.hosts,
        retries=0,
        labels=_labels(submission),
    )
    template = {"metadata": {"labels": {STEP: "trainer"}}, "spec": spec}
    replicated = [{"name": NODE, "replicas": 1, "template": template}]
    runtime = {
        "mlPolicy": {"numNodes": submission.hosts},
        "template": {"spec": _jobset_spec(options, replicated)},
    }
    group = TRAINER_API.partition("/")[0]
    reference = {"apiGroup": group, "kind": "TrainingRuntime", "name": submission.name}
    return [
        {"apiVersion": TRAINER_API, "kind": "TrainingRuntime", "spec": runtime},
        {
            "apiVersion": TRAINER_API,
            "kind": "TrainJob",
            "spec": {"runtimeRef": reference, "trainer": trainer},
        },
    ]


def _jobset_spec(options: KubernetesOptions, replicated: list[dict[str, Any]]) -> dict[str, Any]:
    never = {"action": "FailJobSet", "onJobFailureReasons": ["PodFailurePolicy"]}
    return {
        "network": {"enableDNSHostnames": True, "publishNotReadyAddresses": True},
        "failurePolicy": {
            "maxRestarts": options.retries, "rules": [{"name": "permanent", **never}],
        },
        "replicatedJobs": replicated,
    }  # fmt: skip


def _with_threads(submission: Submission, options: KubernetesOptions) -> Submission:
    """Return the submission with as many threads as a pod has processors.

    A container sees all processors of its node. With a thread for each of them, the kernel would
    hold all of them up as soon as they have used what `--cpu` leaves them.
    """
    if options.cpu is None or "threads" in submission.given:
        return submission
    cores = float(options.cpu.removesuffix("m")) / (1000 if options.cpu.endswith("m") else 1)
    threads = max(1, int(cores) // (submission.job.processes_per_host or 1))
    job = dataclasses.replace(submission.job, threads=threads)
    return dataclasses.replace(submission, job=job, given=submission.given | {"threads"})


def _labels(submission: Submission) -> dict[str, str]:
    check_labels(submission.tags)
    own = {
        "app.kubernetes.io/name": "trainer",
        INSTANCE_LABEL: submission.name,
        MANAGED_BY_LABEL: "trainer",
    }
    return {**submission.tags, **own}
