"""Jobs on Kubernetes: indexed Jobs, JobSets, and Kubeflow's TrainJobs and TFJobs.

Contracts: "Jobs", "Termination of Pods" and `terminationMessagePath` in Kubernetes' documentation;
`genTFConfigJSONStr` of Kubeflow's training operator, version 1.
"""

from __future__ import annotations

from pathlib import Path

from trainer.config import Cluster, UserError
from trainer.platforms.base import Environment, Platform, PlatformSettings
from trainer.platforms.google.cluster_spec import read_cluster
from trainer.platforms.kubernetes.pods import (
    INDEX,
    JOB_INDEX,
    JOBSET,
    NODES,
    PODS,
    REPLICATED_JOB,
    SERVICE,
    read_pods,
)
from trainer.platforms.process_env import read_started_process

API_SERVER = "KUBERNETES_SERVICE_HOST"
GRACE = "TRAINER_GRACE_SECONDS"
VARIABLES: dict[str, str] = {
    INDEX: "cluster",
    PODS: "cluster",
    JOBSET: "cluster",
    REPLICATED_JOB: "cluster",
    JOB_INDEX: "cluster",
    NODES: "cluster",
    SERVICE: "cluster",
    "HOSTNAME": "cluster",
    "/etc/hosts": "cluster",
    "TF_CONFIG": "cluster",
    GRACE: "grace",
    API_SERVER: "platform",
    "/dev/termination-log": "failure_file",
}
# Vertex AI's own containers run on Kubernetes, too.
_GOOGLE = ("AIP_", "CLOUD_ML_", "CLUSTER_SPEC")
# `terminationGracePeriodSeconds` of a pod that does not set it.
_DEFAULT_GRACE = 30.0


def detect(environment: Environment) -> str | None:
    """Return the variable of the controller that started this pod.

    That a container runs on Kubernetes says nothing by itself: notebooks do, too.
    """
    env = environment.env
    if any(value and name.startswith(_GOOGLE) for name, value in env.items()):
        return None
    if env.get(INDEX):
        return f"{INDEX} is set"
    if env.get("TF_CONFIG") and env.get(API_SERVER):
        return f"TF_CONFIG and {API_SERVER} are set"
    return None


def read(environment: Environment) -> PlatformSettings:
    """Read which pods the job has, and how long they have to end.

    Raises:
        UserError: A variable is malformed, or the pods cannot find each other.
    """
    # A JobSet's or indexed Job's own variables say more than what a user may have set besides.
    pods = read_pods(environment) if environment.env.get(INDEX) else None
    notes: tuple[str, ...] = ()
    if pods is None:
        pods, _ = read_cluster(environment)
        index = environment.env.get(INDEX, "")
        if index and pods == Cluster() and not read_started_process(environment):
            notes = (
                f"{INDEX}={index}: this pod trains by itself, as {PODS} does not say how many "
                "pods share the work",
            )
    return PlatformSettings(
        environment=environment,
        cluster=pods,
        # The controller starts a pod again that has not ended with 0; with checkpoints it goes on.
        stopped_code=128 + 15,
        grace=_grace(environment),
        # Kubeflow starts evaluators like any other pod, but leaves them out of TF_CONFIG.
        late_evaluators=bool(environment.env.get("TF_CONFIG")),
        notes=notes,
    )


def _grace(environment: Environment) -> float:
    """Return the seconds until SIGKILL, with a margin for what the kubelet itself takes."""
    text = environment.env.get(GRACE) or str(_DEFAULT_GRACE)
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < 1e9:
        raise UserError(
            subject=f"{GRACE}={text}",
            problem="expected the pod's terminationGracePeriodSeconds",
        )
    return max(seconds - 5.0, seconds / 2)


def failure_file(environment: Environment) -> Path | None:
    """Return the file whose text `kubectl describe pod` shows, which the kubelet makes."""
    path = environment.path("/dev/termination-log")
    return path if path.is_file() else None


PLATFORM = Platform(
    name="kubernetes",
    detect=detect,
    read=read,
    variables=VARIABLES,
    prefixes=(
        *(INDEX, "TRAINER_PODS", "TRAINER_SERVICE", "TRAINER_GRACE", "JOBSET_"),
        *("REPLICATED_JOB_", "JOB_INDEX"),
        *("PET_", "TF_CONFIG", "KUBERNETES_SERVICE_HOST", "HOSTNAME"),
    ),
    failure_file=failure_file,
    lists_evaluators=False,
)
