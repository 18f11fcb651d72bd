"""The state of a job, from what an engine says of its containers."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from trainer.backends.backend import JobStatus, State
from trainer.backends.engine.job import CHIEF, HOST, labels_of, name_of
from trainer.config import PEER_CODE
from trainer.runtime import message_of

STOPPED = 128 + 15
KILLED = 128 + 9
_ENDED = re.compile(r"^(?:\[[^]]*\] )?trainer: (?:error|failed): ")
_LIVE = ("running", "restarting", "paused", "removing", "stopping")


def job_status(containers: Sequence[Mapping[str, Any]]) -> JobStatus:
    """Return the status of a job, without the text of a failure.

    Args:
        containers: What the engine says of each of its containers, at least one.
    """
    states = [each["State"] for each in containers]
    started = [t for s in states if (t := seconds_of(s.get("StartedAt"))) is not None]
    begun = min(started) if started else None
    if any(s["Status"] in _LIVE for s in states):
        return JobStatus(state="running", detail=_running(containers), started=begun)
    if not started:
        error = next((s["Error"] for s in states if s.get("Error")), "")
        state: State = "failed" if error else "waiting"
        return JobStatus(state=state, detail="created", failure=error)
    last = deciding(containers)
    code = int(last["State"]["ExitCode"])
    ended = [t for s in states if (t := seconds_of(s.get("FinishedAt"))) is not None]
    return JobStatus(
        state="completed" if code == 0 else "stopped" if code == STOPPED else "failed",
        detail="" if code == 0 else f"exit code {code}" + of_host(last, containers),
        failure=_kill(last),
        exit_code=code,
        started=begun,
        ended=max(ended) if ended else None,
    )


def deciding(containers: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the container whose end is the job's.

    That is the chief's if it has ended well, else the first that failed by itself.
    """
    chief = next((c for c in containers if labels_of(dict(c)).get(CHIEF)), containers[0])
    if chief["State"]["ExitCode"] == 0 and chief["State"]["Status"] != "created":
        return chief
    failed = [c for c in containers if c["State"]["ExitCode"] not in (0, PEER_CODE, STOPPED)]
    if failed:
        return min(failed, key=lambda c: seconds_of(c["State"].get("FinishedAt")) or 0.0)
    return chief


def of_host(container: Mapping[str, Any], containers: Sequence[Mapping[str, Any]]) -> str:
    """Return ` of HOST` where a job has several."""
    host = labels_of(dict(container)).get(HOST) or name_of(dict(container))
    return f" of {host}" if len(containers) > 1 else ""


def failure_line(lines: Sequence[str]) -> str:
    """Return the line in which the trainer says why it failed, or the last that is there."""
    texts = [message_of(line.encode()) for line in lines]
    for text in reversed(texts):
        if _ENDED.match(text):
            return _ENDED.sub("", text)
    return next((text for text in reversed(texts) if text.strip()), "")


def seconds_of(text: str | None) -> float | None:
    """Return a time of the engine's in seconds since 1970; None for one that has not come."""
    if not text or text.startswith("0001-"):
        return None
    with contextlib.suppress(ValueError):
        # Python reads six digits of the nine.
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", text)).timestamp()
    return None


def _running(containers: Sequence[Mapping[str, Any]]) -> str:
    words = []
    for each in containers:
        health = (each["State"].get("Health") or {}).get("Status")
        status = "unhealthy" if health == "unhealthy" else each["State"]["Status"]
        if status != "running":
            words.append(f"{status}{of_host(each, containers)}")
    return ", ".join(words)


def _kill(container: Mapping[str, Any]) -> str:
    """Return why a container was killed, as far as the engine knows."""
    state = container["State"]
    if state.get("Error"):
        return str(state["Error"])
    if state.get("OOMKilled"):
        limit = container.get("HostConfig", {}).get("Memory") or 0
        allowed = f"--memory allows {limit / 2**20:.0f} MiB" if limit else "the machine has no more"
        return f"killed for lack of memory: {allowed}; give more, or lower --batch-size, --cache-mb"
    if state["ExitCode"] == KILLED:
        return "killed (SIGKILL), by a person or for lack of memory of the machine"
    return ""
