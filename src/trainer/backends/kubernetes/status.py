"""The state of a job, by its object, its pods and the cluster's events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from trainer.backends.backend import JobStatus, State
from trainer.platforms import QUEUE_LABEL

COMPLETED, FAILED = ("Complete", "Completed"), "Failed"
INDEX_LABEL = "batch.kubernetes.io/job-completion-index"
# Why a container waits that will not start by itself, and what to do.
_STUCK: Mapping[str, str] = {
    "ErrImagePull": "check --image, and --image-pull-secret if the registry asks who pulls",
    "ImagePullBackOff": "check --image, and --image-pull-secret if the registry asks who pulls",
    "InvalidImageName": "check --image",
    "ErrImageNeverPull": "set --image-pull-policy IfNotPresent",
    "CreateContainerConfigError": "check the names of --env-from and --env-secret",
    "CreateContainerError": "see kubectl describe pod",
    "RunContainerError": "see kubectl describe pod",
}
_UNSCHEDULABLE = "ask for less (--cpu, --memory, --gpus), or for other nodes (--node-selector, "
_UNSCHEDULABLE += "--toleration)"


def status_of(
    job: Mapping[str, Any],
    pods: Sequence[Mapping[str, Any]] = (),
    events: Sequence[Mapping[str, Any]] = (),
) -> JobStatus:
    """Return what a job does.

    Args:
        job: The Job, JobSet or TrainJob.
        pods: Its pods.
        events: The events of the job itself, oldest first.
    """
    conditions = {
        each["type"]: each
        for each in job.get("status", {}).get("conditions") or ()
        if each.get("status") == "True"
    }
    done = next((conditions[name] for name in COMPLETED if name in conditions), None)
    failed = conditions.get(FAILED)
    started = seconds_of(job.get("status", {}).get("startTime")) or _first_start(pods)
    if done or failed:
        ended = seconds_of(job["status"].get("completionTime"))
        ended = ended or seconds_of((done or failed or {}).get("lastTransitionTime"))
        if done:
            return JobStatus(state="completed", started=started, ended=ended)
        return _failed(failed or {}, pods, started, ended)
    state, detail = _unfinished(job, pods, events)
    return JobStatus(state=state, detail=detail, started=started)


def seconds_of(text: str | None) -> float | None:
    """Return a time of the API in seconds since 1970."""
    return datetime.fromisoformat(text).timestamp() if text else None


def _unfinished(
    job: Mapping[str, Any], pods: Sequence[Mapping[str, Any]], events: Sequence[Mapping[str, Any]]
) -> tuple[State, str]:
    """Return the state of a job that has not ended, and why."""
    alive = [pod for pod in pods if pod["status"].get("phase") in ("Pending", "Running")]
    if job["metadata"].get("deletionTimestamp"):
        return "stopping", "deleted"
    if job["spec"].get("suspend"):
        queue = job["metadata"].get("labels", {}).get(QUEUE_LABEL)
        if queue:
            return "waiting", f"in the queue {queue}"
        return ("stopping", "saving") if alive else ("stopped", "suspended")
    running = [pod for pod in alive if pod["status"]["phase"] == "Running"]
    problems = [problem for pod in alive if (problem := problem_of(pod))]
    over = [pod for pod in pods if pod["status"].get("phase") == "Failed"]
    parts = problems[:1]
    if alive and not problems:
        parts = [f"{len(running)} of {len(alive)} pods run"]
    if not alive:
        warnings = [event for event in events if event.get("type") == "Warning"]
        parts = [_warning(each) for each in warnings[-1:]]
        parts = parts or ["no pods yet"]
    if over:
        parts.append(f"{len(over)} pods have failed, the last: {failure_of(_culprit(over))}")
    return "running" if running and not problems else "waiting", "; ".join(parts)


def _warning(event: Mapping[str, Any]) -> str:
    """Return what an event of a job says, and what to do where that is known."""
    text = f"{event['reason']}: {event['message']}"
    return f"{text}; set --run-as-user UID" if "violates PodSecurity" in text else text


def problem_of(pod: Mapping[str, Any]) -> str:
    """Return why a pod does not start and what to do; "" if it will."""
    name = pod["metadata"]["name"]
    for each in pod["status"].get("containerStatuses") or ():
        waiting = each.get("state", {}).get("waiting") or {}
        if waiting.get("reason") in _STUCK:
            message = f": {waiting['message']}" if waiting.get("message") else ""
            return f"{name}: {waiting['reason']}{message}; {_STUCK[waiting['reason']]}"
    for each in pod["status"].get("conditions") or ():
        if each["type"] == "PodScheduled" and each.get("reason") == "Unschedulable":
            return f"{name}: Unschedulable: {each.get('message', '')}; {_UNSCHEDULABLE}"
    return ""


def _failed(
    condition: Mapping[str, Any],
    pods: Sequence[Mapping[str, Any]],
    started: float | None,
    ended: float | None,
) -> JobStatus:
    culprits = [pod for pod in pods if pod["status"].get("phase") == "Failed"]
    detail = f"{condition.get('reason', '')}: {condition.get('message', '')}".strip(": ")
    if not culprits:
        return JobStatus(
            state="failed", detail=detail, failure=detail, started=started, ended=ended
        )
    culprit = _culprit(culprits)
    code = _terminated(culprit).get("exitCode")
    return JobStatus(
        state="failed", detail=detail, failure=failure_of(culprit), exit_code=code,
        started=started, ended=ended,
    )  # fmt: skip


def _culprit(pods: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the pod of the last try that failed first; the others failed with it."""
    newest: dict[str, Mapping[str, Any]] = {}
    for pod in sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp"))):
        labels = pod["metadata"].get("labels", {})
        newest[str([labels.get("job-name"), labels.get(INDEX_LABEL)])] = pod
    return min(newest.values(), key=lambda pod: _terminated(pod).get("finishedAt") or "9")


def failure_of(pod: Mapping[str, Any]) -> str:
    """Return why a pod failed, in the words of the trainer or of the cluster."""
    name, status, ended = pod["metadata"]["name"], pod["status"], _terminated(pod)
    if ended.get("reason") == "OOMKilled":
        return f"{name}: OOMKilled: out of memory; raise --memory, or lower --batch-size"
    if status.get("reason") and not ended:
        return f"{name}: {status['reason']}: {status.get('message', '')}".rstrip(": ")
    if status.get("reason"):
        return f"{name}: {status['reason']}: {status.get('message') or ended.get('message', '')}"
    said = (ended.get("message") or "").strip()
    code = f"exit code {ended['exitCode']}" if "exitCode" in ended else "failed"
    return f"{name}: {said or code}"


def _terminated(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    for each in pod["status"].get("containerStatuses") or ():
        ended: Mapping[str, Any] = each.get("state", {}).get("terminated") or {}
        if ended:
            return ended
    return {}


def _first_start(pods: Sequence[Mapping[str, Any]]) -> float | None:
    times = [seconds_of(pod["status"].get("startTime")) for pod in pods]
    return min((time for time in times if time), default=None)
