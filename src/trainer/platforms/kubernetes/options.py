"""The settings of a job that only Kubernetes has, each a flag of `trainer submit`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from trainer.config import UserError, option

PLACE, PODS = "Kubernetes", "Kubernetes: its pods"
_CPU = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,3})?|[0-9]{1,7}m")
_QUANTITY = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:m|[kKMGTPE]i?)?")
_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?")


# One entry an option: the formatter would give every argument a line of its own.
# fmt: off
@dataclass(frozen=True, kw_only=True)
class KubernetesOptions:
    """The settings of Kubernetes; what all places have stands in `Submission`."""

    context: str | None = option(
        None, "cluster, as kubectl config get-contexts names it (default: the current one)", PLACE,
        metavar="NAME",
    )
    namespace: str | None = option(
        None, "namespace of the job (default: that of the context)", PLACE, metavar="NAME",
    )
    flavor: str = option(
        "job", "job: an indexed Job, which every cluster has; jobset: a JobSet; trainjob: Kubeflow "
        "Trainer's TrainJob with a TrainingRuntime of its own", PLACE,
        choices=("job", "jobset", "trainjob"),
    )
    retries: int = option(
        3, "how often the whole job begins anew after a failure that may pass; one of the user's "
        "never does, and pods that the cluster evicts do not count", PLACE, low=0, high=1000,
    )
    ttl: int | None = option(
        None, "remove the job so many seconds after its end (default: never)", PLACE, low=0,
        metavar="SECONDS",
    )
    queue: str | None = option(
        None, "Kueue's LocalQueue in which the job waits (default: none)", PLACE, metavar="NAME",
    )
    priority_class: str | None = option(
        None, "PriorityClass of the pods (default: the cluster's)", PLACE, metavar="NAME",
    )
    annotations: tuple[str, ...] = option(
        (), "annotations of the pods, such as sidecar.istio.io/inject=false", PLACE,
        metavar="NAME=VALUE", many=True,
    )

    cpu: str | None = option(
        None, "processors of each pod, as a request and a limit, and the threads of its processes "
        "(default: none asked)", PODS, metavar="QUANTITY",
    )
    memory: str | None = option(
        None, "memory of each pod, such as 8Gi, as a request and a limit (default: none asked)",
        PODS, metavar="QUANTITY",
    )
    gpus: int = option(0, "GPUs of each pod that trains", PODS, low=0, high=64)
    gpu_resource: str = option(
        "nvidia.com/gpu", "what the cluster calls a GPU", PODS, metavar="RESOURCE"
    )
    shm: str | None = option(
        None, "size of /dev/shm (default: the cluster's 64 MiB, with GPUs as much as NCCL wants)",
        PODS, metavar="QUANTITY",
    )
    node_selector: tuple[str, ...] = option(
        (), "labels of the nodes that pods may run on", PODS, metavar="NAME=VALUE", many=True,
    )
    toleration: tuple[str, ...] = option(
        (), "taints of nodes that pods may run on all the same", PODS,
        metavar="KEY[=VALUE][:EFFECT]", many=True,
    )
    volume: tuple[str, ...] = option(
        (), "PersistentVolumeClaims for data and results, and where they are mounted; without "
        "--output, the results go to the first that is not read-only", PODS,
        metavar="CLAIM:/PATH[:ro]", many=True,
    )
    env_from: tuple[str, ...] = option(
        (), "Secrets and ConfigMaps whose entries become variables", PODS,
        metavar="secret/NAME|configmap/NAME", many=True,
    )
    env_secret: tuple[str, ...] = option(
        (), "variables with the value of one entry of a Secret", PODS,
        metavar="VARIABLE=SECRET:KEY", many=True,
    )
    image_pull_policy: str | None = option(
        None, "when a node pulls the image (default: the cluster's rule, by the image's tag)", PODS,
        choices=("Always", "IfNotPresent", "Never"),
    )
    image_pull_secret: tuple[str, ...] = option(
        (), "Secrets with which nodes pull the image", PODS, metavar="NAME", many=True,
    )
    service_account: str | None = option(
        None, "ServiceAccount as which the job reads and writes (default: the namespace's, without "
        "access to the cluster's API)", PODS, metavar="NAME",
    )
    run_as_user: int | None = option(
        None, "user id, for clusters that refuse root: the pods keep to the restricted Pod "
        "Security Standard (default: the image's)", PODS, low=1, high=2**31 - 1, metavar="UID",
    )
    grace: int = option(
        120, "seconds that a pod has to save before it is killed", PODS, low=1, high=86400,
        metavar="SECONDS",
    )

    # fmt: on
    def __post_init__(self) -> None:
        for flag, text, form in (
            ("--cpu", self.cpu, _CPU),
            ("--memory", self.memory, _QUANTITY),
            ("--shm", self.shm, _QUANTITY),
        ):
            if text is not None and not form.fullmatch(text):
                raise UserError(
                    subject=f"{flag} {text}",
                    problem="expected a quantity of Kubernetes, such as 4, 500m or 8Gi",
                )
        for flag, names in (
            ("--namespace", (self.namespace,)),
            ("--queue", (self.queue,)),
            ("--priority-class", (self.priority_class,)),
            ("--service-account", (self.service_account,)),
            ("--image-pull-secret", self.image_pull_secret),
        ):
            for name in filter(None, names):
                check_name(name, flag=flag)


def check_name(name: str, *, flag: str) -> None:
    """Raise a UserError unless a text can be the name of a Kubernetes object."""
    if not _NAME.fullmatch(name) or len(name) > 253:
        raise UserError(
            subject=f"{flag} {name}",
            problem="expected a name of Kubernetes: lower-case letters, digits, - and .",
        )
