"""The lines of a job's pods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from trainer.backends.backend import LogLine
from trainer.backends.kubernetes.kubectl import Kubectl, MissingObjectError
from trainer.backends.kubernetes.status import seconds_of
from trainer.platforms import INSTANCE_LABEL

# The manifests give one of these names to the container that trains.
CONTAINERS = ("trainer", "node")
# Calls of kubectl at a time.
PARALLEL = 8


@dataclass
class _Position:
    """The end of what has been read of a pod's log.

    Attributes:
        time: The time of its last line, as the cluster writes it.
        count: How many lines of that time have been read.
        is_over: True if no more lines will come.
    """

    time: str = ""
    count: int = 0
    is_over: bool = False


class PodLogs:
    """Reads the lines of a job's pods, those of earlier tries included.

    Args:
        kubectl: Reaches the cluster.
        name: The job.
    """

    def __init__(self, kubectl: Kubectl, name: str) -> None:
        self._kubectl, self._name = kubectl, name
        self._positions: dict[str, _Position] = {}

    def read(self) -> Sequence[LogLine]:
        """See `LogReader.read`."""
        selector = f"{INSTANCE_LABEL}={self._name}"
        pods = self._kubectl.get("pods", "--selector", selector, subject=self._name)["items"]
        started = [pod for pod in pods if _has_started(pod) and not self._position(pod).is_over]
        with ThreadPoolExecutor(PARALLEL) as pool:
            found = list(pool.map(self._read, started))
        lines = [line for each in found for line in each]
        # Lines of several pods in the order of their times; those of one stay in its own.
        return sorted(lines, key=lambda line: line.time)

    def _position(self, pod: Mapping[str, Any]) -> _Position:
        return self._positions.setdefault(pod["metadata"]["name"], _Position())

    def _read(self, pod: Mapping[str, Any]) -> list[LogLine]:
        place, name = self._position(pod), pod["metadata"]["name"]
        since = [f"--since-time={place.time}"] if place.time else []
        try:
            text = self._kubectl.run(
                "logs", name, "--container", _container(pod), "--timestamps", *since, subject=name
            )
        except MissingObjectError:
            # The pod has been removed in the meantime.
            place.is_over = True
            return []
        place.is_over = pod["status"].get("phase") in ("Succeeded", "Failed")
        lines = []
        again = place.count
        # The cluster counts from whole seconds.
        for line in text.splitlines():
            time, _, rest = line.partition(" ")
            if time < place.time:
                continue
            if time == place.time and again:
                again -= 1
                continue
            place.time, place.count = time, place.count + 1 if time == place.time else 1
            lines.append(LogLine(host=_host(pod), text=rest, time=_time(time)))
        return lines


def _has_started(pod: Mapping[str, Any]) -> bool:
    states = [each.get("state", {}) for each in pod["status"].get("containerStatuses") or ()]
    return any("running" in state or "terminated" in state for state in states)


def _container(pod: Mapping[str, Any]) -> str:
    """Return the container that trains; a service mesh may have added others."""
    names = [str(each["name"]) for each in pod["spec"]["containers"]]
    return next((name for name in names if name in CONTAINERS), names[0])


def _host(pod: Mapping[str, Any]) -> str:
    """Return the pod's host name, without what tells its tries apart."""
    return str(pod["spec"].get("hostname") or pod["metadata"]["name"])


def _time(text: str) -> float:
    try:
        return seconds_of(text[:26].rstrip("Z") + "+00:00") or 0.0
    except ValueError:
        return 0.0
