"""Jobs of a Kubernetes cluster."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trainer.backends.backend import Fetched, JobStatus, JobSummary
from trainer.backends.kubernetes.kubectl import Kubectl, MissingObjectError
from trainer.backends.kubernetes.manifests import secret_manifest
from trainer.backends.kubernetes.pod_logs import PodLogs
from trainer.backends.kubernetes.status import seconds_of, status_of
from trainer.backends.kubernetes.volume_results import fetch_from_volume
from trainer.config import UserError
from trainer.platforms import (
    INSTANCE_LABEL,
    MANAGED_BY_LABEL,
    OUTPUT_ANNOTATION,
    QUEUE_LABEL,
    KubernetesRequest,
)

logger = logging.getLogger(__name__)

# The kinds of jobs with their full names; the last two are there if their controllers are.
KINDS = ("jobs.batch", "trainjobs.trainer.kubeflow.org", "jobsets.jobset.x-k8s.io")


class KubernetesService:
    """Jobs of one cluster and namespace.

    Args:
        kubectl: Reaches the cluster.
    """

    def __init__(self, kubectl: Kubectl) -> None:
        self._kubectl = kubectl

    def checked(self, request: KubernetesRequest) -> KubernetesRequest:
        """See `JobService.checked`: the cluster itself checks, and makes all or nothing."""
        return request

    def submit(self, request: KubernetesRequest) -> str:
        """See `JobService.submit`; what belongs to the job goes when it is deleted.

        Raises:
            UserError: The cluster refuses one of the objects; none is left then.
        """
        manifests = list(request.manifests)
        if request.secret:
            manifests.insert(0, secret_manifest(request))
        documents = "\n".join(map(json.dumps, manifests))
        made = self._kubectl.create(documents, subject=request.name)
        *others, job = made
        if others:
            owner = self._kubectl.get(job, subject=request.name)
            reference = {
                "apiVersion": owner["apiVersion"], "kind": owner["kind"],
                "name": request.name, "uid": owner["metadata"]["uid"],
            }  # fmt: skip
            patch = json.dumps({"metadata": {"ownerReferences": [reference]}})
            for other in others:
                self._kubectl.run("patch", other, "--type=merge", "--patch", patch)
        return request.name

    def status(self, name: str) -> JobStatus:
        """See `JobService.status`."""
        job, _ = self._find(name)
        pods = self._pods(name)
        events: list[Mapping[str, Any]] = []
        if not pods:
            chosen = f"involvedObject.name={name}"
            found = self._kubectl.get("events", "--field-selector", chosen, subject=name)
            events = sorted(found["items"], key=lambda event: str(event.get("lastTimestamp")))
        return status_of(job, pods, events)

    def logs(self, name: str) -> PodLogs:
        """See `JobService.logs`."""
        self._find(name)
        return PodLogs(self._kubectl, name)

    def jobs(self, limit: int) -> Sequence[JobSummary]:
        """See `JobService.jobs`."""
        found: list[JobSummary] = []
        for kind in KINDS:
            try:
                listed = self._kubectl.get(kind, "--selector", f"{MANAGED_BY_LABEL}=trainer")
            except MissingObjectError:
                if kind == KINDS[0]:
                    raise
                continue
            # A JobSet that a TrainJob has made is no job of its own.
            own = [job for job in listed["items"] if not job["metadata"].get("ownerReferences")]
            found += [
                JobSummary(
                    name=job["metadata"]["name"],
                    status=status_of(job),
                    created=seconds_of(job["metadata"].get("creationTimestamp")) or 0.0,
                    detail=f"{job['kind']} {_image(job)}".strip(),
                )
                for job in own
            ]
        return sorted(found, key=lambda each: each.created, reverse=True)[:limit]

    def stop(self, name: str) -> None:
        """See `JobService.stop`: the job is suspended, and can go on later from its checkpoint."""
        job, kind = self._find(name)
        if job["metadata"].get("labels", {}).get(QUEUE_LABEL):
            # Kueue would start a suspended job again.
            self._kubectl.run("delete", f"{kind}/{name}", "--wait=false", subject=name)
            return
        patch = json.dumps({"spec": {"suspend": True}})
        self._kubectl.run("patch", f"{kind}/{name}", "--type=merge", "--patch", patch, subject=name)

    def results(self, name: str, folder: Path) -> Sequence[Fetched]:
        """See `JobService.results`; what is on a volume comes through a pod that mounts it."""
        job, _ = self._find(name)
        output = job["metadata"].get("annotations", {}).get(OUTPUT_ANNOTATION)
        if not output:
            raise UserError(
                subject=name, problem="was not submitted by the trainer, and says not where it "
                "writes", remedy=f"set the annotation {OUTPUT_ANNOTATION} to that folder",
            )  # fmt: skip
        if "://" in output:
            return [Fetched(source=output, target="")]
        count = fetch_from_volume(self._kubectl, name, self._pod_spec(job), output, folder)
        logger.info("fetched %d files of %s to %s", count, output, folder)
        return []

    def page(self, name: str) -> str | None:
        """See `JobService.page`; a cluster has none that all share."""
        return None

    def _find(self, name: str) -> tuple[dict[str, Any], str]:
        """Return a job of any kind, and its kind."""
        for kind in KINDS:
            try:
                found = self._kubectl.get(f"{kind}/{name}", subject=name)
            except MissingObjectError:
                continue
            return found, kind
        raise UserError(
            subject=name,
            problem="there is no such job in this namespace",
            remedy="see trainer jobs list --on kubernetes, or name its --namespace",
        )

    def _pod_spec(self, job: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the spec of a job's pods, wherever its kind has it."""
        spec = job["spec"]
        image = spec.get("trainer", {}).get("image")
        if "runtimeRef" in spec:
            kind = f"trainingruntimes.trainer.kubeflow.org/{spec['runtimeRef']['name']}"
            spec = self._kubectl.get(kind)["spec"]["template"]["spec"]
        if "replicatedJobs" in spec:
            spec = spec["replicatedJobs"][0]["template"]["spec"]
        pod: dict[str, Any] = dict(spec["template"]["spec"])
        if image:
            pod["containers"] = [{**pod["containers"][0], "image": image}]
        return pod

    def _pods(self, name: str) -> list[Mapping[str, Any]]:
        selector = f"{INSTANCE_LABEL}={name}"
        items: list[Mapping[str, Any]] = self._kubectl.get("pods", "--selector", selector)["items"]
        return items


def _image(job: Mapping[str, Any]) -> str:
    """Return the image of a job's first container, wherever its kind has it."""
    spec = job["spec"]
    if "trainer" in spec:
        return str(spec["trainer"].get("image", ""))
    if "replicatedJobs" in spec:
        spec = spec["replicatedJobs"][0]["template"]["spec"]
    return str(spec["template"]["spec"]["containers"][0]["image"])
