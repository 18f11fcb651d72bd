"""The pods of a job, and the Job that starts them.

Sources: `JobSpec` and `PodTemplateSpec` of the Kubernetes API; "Pod Security Standards".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from trainer.config import UserError
from trainer.platforms.kubernetes.options import KubernetesOptions
from trainer.platforms.kubernetes.variables import env_source, given, literal, pairs
from trainer.platforms.kubernetes.volumes import mounts
from trainer.platforms.submission import Submission

# Exit codes of mistakes that recur; all others may pass when tried again.
PERMANENT = (1, 2, 126, 127)
_TOLERATION = re.compile(r"([^=:\s]+)(?:=([^:\s]*))?(?::(NoSchedule|PreferNoSchedule|NoExecute))?")


def job_spec(
    submission: Submission,
    options: KubernetesOptions,
    container: Mapping[str, Any],
    count: int,
    *,
    retries: int,
    labels: Mapping[str, str],
) -> dict[str, Any]:
    """Return an indexed Job of so many equal pods."""
    permanent = {
        "containerName": container["name"], "operator": "In", "values": list(PERMANENT),
    }  # fmt: skip
    evicted = [{"type": "DisruptionTarget", "status": "True"}]
    return given({
        "completionMode": "Indexed",
        "completions": count,
        "parallelism": count,
        "backoffLimit": retries,
        "activeDeadlineSeconds": submission.max_seconds,
        "podFailurePolicy": {"rules": [
            {"action": "FailJob", "onExitCodes": permanent},
            {"action": "Ignore", "onPodConditions": evicted},
        ]},
        "template": pod_template(submission, options, container, labels=labels),
    })  # fmt: skip


def pod_template(
    submission: Submission,
    options: KubernetesOptions,
    container: Mapping[str, Any],
    *,
    labels: Mapping[str, str],
) -> dict[str, Any]:
    """Return the template of pods that run one container.

    Args:
        submission: The job.
        options: The settings of Kubernetes.
        container: As `trainer_container` returns it.
        labels: The labels of the pods.
    """
    claims = list(dict.fromkeys(mount.claim for mount in mounts(options)))
    volumes: list[dict[str, Any]] = [
        {"name": f"volume-{i}", "persistentVolumeClaim": {"claimName": claim}}
        for i, claim in enumerate(claims)
    ]
    if _needs_shm(options):
        size = {"sizeLimit": options.shm} if options.shm else {}
        volumes.append({"name": "shm", "emptyDir": {"medium": "Memory", **size}})
    user = options.run_as_user
    account = options.service_account
    annotations = pairs(options.annotations, flag="--annotations")
    spec = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": options.grace,
        # Variables of the namespace's other Services could pass for the trainer's own.
        "enableServiceLinks": False,
        "serviceAccountName": account,
        "automountServiceAccountToken": None if account else False,
        "priorityClassName": options.priority_class,
        "imagePullSecrets": [{"name": name} for name in options.image_pull_secret],
        "nodeSelector": pairs(options.node_selector, flag="--node-selector"),
        "tolerations": [_toleration(text) for text in options.toleration],
        "securityContext": user and {
            "runAsNonRoot": True, "runAsUser": user, "runAsGroup": user, "fsGroup": user,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [dict(container)],
        "volumes": volumes,
    }  # fmt: skip
    metadata = given({"labels": dict(labels), "annotations": annotations})
    return {"metadata": metadata, "spec": given(spec)}


def trainer_container(
    submission: Submission,
    options: KubernetesOptions,
    *,
    name: str,
    arguments: Sequence[str],
    env: Sequence[Mapping[str, Any]],
    gpus: int,
) -> dict[str, Any]:
    """Return the container that trains.

    Args:
        submission: The job.
        options: The settings of Kubernetes.
        name: The container's name.
        arguments: The arguments of the image's entry point.
        env: Its variables.
        gpus: How many GPUs it gets.
    """
    claims = list(dict.fromkeys(mount.claim for mount in mounts(options)))
    volume_mounts = [
        given({
            "name": f"volume-{claims.index(mount.claim)}", "mountPath": mount.path,
            "readOnly": mount.read_only or None,
        })
        for mount in mounts(options)
    ]  # fmt: skip
    if _needs_shm(options):
        volume_mounts.append({"name": "shm", "mountPath": "/dev/shm"})
    amounts = given({
        "cpu": options.cpu, "memory": options.memory, options.gpu_resource: str(gpus or ""),
    })  # fmt: skip
    restricted = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    return given({
        "name": name,
        "image": submission.image,
        "imagePullPolicy": options.image_pull_policy,
        "args": [literal(word) for word in arguments],
        "env": list(env),
        "envFrom": [env_source(text) for text in options.env_from],
        "resources": given({"requests": amounts, "limits": amounts}),
        "volumeMounts": volume_mounts,
        # Where the trainer had no time to say why it failed, kubectl shows its last lines.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": restricted if options.run_as_user else None,
    })  # fmt: skip


def _needs_shm(options: KubernetesOptions) -> bool:
    return bool(options.shm or options.gpus)


def _toleration(text: str) -> dict[str, Any]:
    found = _TOLERATION.fullmatch(text)
    if not found:
        raise UserError(
            subject=f"--toleration {text}", problem="expected KEY, KEY=VALUE or KEY=VALUE:EFFECT"
        )
    key, value, effect = found.groups()
    equal = {"operator": "Equal", "value": value} if value is not None else {"operator": "Exists"}
    return given({"key": key, **equal, "effect": effect})
