"""The containers of a job, as Kubernetes' controllers and the kubelet start them.

Sources: as of `pods.py`; "Dependent Environment Variables" in the Kubernetes documentation; the
JobSet that Kubeflow Trainer's `jobset` plugin builds of a TrainJob and its runtime.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from trainer.platforms.container_start import ContainerStart
from trainer.platforms.job_secret import SECRET_VARIABLE
from trainer.platforms.kubernetes.names import OUTPUT_ANNOTATION
from trainer.platforms.kubernetes.pods import INDEX
from trainer.platforms.kubernetes.request import KubernetesRequest

# Two `$` stand for one that names no variable.
_REFERENCE = re.compile(r"\$\$\(|\$\(([-._a-zA-Z][-._a-zA-Z0-9]*)\)")
_FIELD = re.compile(r"metadata\.labels\['([^']+)'\]")


def kubernetes_containers(request: KubernetesRequest) -> tuple[ContainerStart, ...]:
    """Return the start of each pod's container, in the order of jobs and their indexes."""
    job = request.manifests[-1]
    if request.kind == "Job":
        return tuple(_pods(request, job["spec"], request.name, {}))
    if request.kind == "JobSet":
        jobs = job["spec"]["replicatedJobs"]
    else:
        jobs = _of_trainjob(request.manifests[0]["spec"], job["spec"]["trainer"])
    return tuple(
        start
        for replicated in jobs
        for number in range(replicated.get("replicas", 1))
        for start in _pods(
            request,
            replicated["template"]["spec"],
            f"{request.name}-{replicated['name']}-{number}",
            {
                "jobset.sigs.k8s.io/jobset-name": request.name,
                "jobset.sigs.k8s.io/replicatedjob-name": replicated["name"],
                "jobset.sigs.k8s.io/job-index": str(number),
            },
            service=request.name,
        )
    )


def _of_trainjob(runtime: Mapping[str, Any], trainer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the replicated jobs of a runtime, with what a TrainJob sets in their place."""
    (node,) = runtime["template"]["spec"]["replicatedJobs"]
    spec = node["template"]["spec"]
    (own,) = spec["template"]["spec"]["containers"]
    own = own | {name: trainer[name] for name in ("image", "args", "env") if name in trainer}
    pod = spec["template"]["spec"] | {"containers": [own]}
    numbers = dict.fromkeys(("completions", "parallelism"), trainer["numNodes"])
    spec = spec | numbers | {"template": spec["template"] | {"spec": pod}}
    return [node | {"template": {"spec": spec}}]


def _pods(
    request: KubernetesRequest,
    spec: Mapping[str, Any],
    base: str,
    labels: Mapping[str, str],
    *,
    service: str | None = None,
) -> Iterator[ContainerStart]:
    pod = spec["template"]["spec"]
    output = request.manifests[-1]["metadata"].get("annotations", {}).get(OUTPUT_ANNOTATION, "")
    (container,) = pod["containers"]
    service = service or pod.get("subdomain")
    claims = [each["name"] for each in pod.get("volumes", ()) if "persistentVolumeClaim" in each]
    mounted = [(each["name"], each["mountPath"]) for each in container.get("volumeMounts", ())]
    labels = {**spec["template"]["metadata"]["labels"], **labels}
    for index in range(spec["completions"]):
        name = f"{base}-{index}"
        env = {
            "HOSTNAME": name,
            "KUBERNETES_SERVICE_HOST": "10.96.0.1",
            "KUBERNETES_SERVICE_PORT": "443",
            **_variables(container.get("env", ()), labels, request.secret),
            INDEX: str(index),
        }
        yield ContainerStart(
            name=name,
            env=env,
            argv=tuple(_expanded(word, env) for word in container.get("args", ())),
            outputs={output: ""} if output.startswith("/") else {},
            shared=tuple(path for name, path in mounted if name in claims),
            aliases=(f"{name}.{service}",) if service else (),
        )


def _variables(
    listed: Sequence[Mapping[str, Any]], labels: Mapping[str, str], secret: str | None
) -> dict[str, str]:
    """Return the variables of a container, but for those of the user's own Secrets."""
    found: dict[str, str] = {}
    for each in listed:
        source = each.get("valueFrom", {})
        if "value" in each:
            found[each["name"]] = _expanded(each["value"], found)
        elif "fieldRef" in source:
            label = _FIELD.fullmatch(source["fieldRef"]["fieldPath"])
            found[each["name"]] = labels[label[1]] if label else ""
        elif each["name"] == SECRET_VARIABLE and secret:
            found[each["name"]] = secret
    return found


def _expanded(text: str, env: Mapping[str, str]) -> str:
    """Return a text with the variables that it names; unknown ones stay as they are."""

    def of(found: re.Match[str]) -> str:
        return "$(" if found[1] is None else env.get(found[1], found[0])

    return _REFERENCE.sub(of, text)
