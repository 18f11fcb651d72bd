"""The lines that the containers of a job have printed, read again and again as they grow."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Sequence

from trainer.backends.backend import LogLine
from trainer.backends.engine.client import ANSWER, Engine
from trainer.backends.engine.problems import engine_error
from trainer.backends.engine.status import seconds_of

# Standard output and error are stored side by side: one's line may come after a newer one of the
# other's.
OVERLAP = 2.0


class EngineLogReader:
    """Reads lines from where the last call ended; see `LogReader`.

    Args:
        engine: The engine.
        containers: The names of the containers, by what their lines are marked with.
    """

    def __init__(self, engine: Engine, containers: dict[str, str]) -> None:
        self._engine = engine
        self._containers = containers
        self._newest: dict[str, float] = {}
        self._returned: dict[str, Counter[tuple[float, str]]] = {}

    def read(self) -> Sequence[LogLine]:
        """Return the lines that are new, oldest first."""
        lines = [
            line
            for host, container in self._containers.items()
            for line in self._new_lines(host, container)
        ]
        return sorted(lines, key=lambda line: line.time)

    def _new_lines(self, host: str, container: str) -> list[LogLine]:
        newest = self._newest.get(container, 0.0)
        since = max(0.0, newest - OVERLAP)
        found = stored_lines(self._engine, container, since=since)
        already = Counter(self._returned.get(container, ()))
        new = []
        for time, text in found:
            if already[time, text]:
                already[time, text] -= 1
            else:
                # The launcher has marked the lines of several processes by itself.
                marked = text.startswith(f"[{host} ")
                new.append(LogLine(host="" if marked else host, text=text, time=time))
        if found:
            self._newest[container] = max(newest, *(time for time, _ in found))
            after = self._newest[container] - OVERLAP
            self._returned[container] = Counter(item for item in found if item[0] >= after)
        return new


def stored_lines(
    engine: Engine, container: str, *, since: float = 0.0, last: int | None = None
) -> list[tuple[float, str]]:
    """Return lines of a container with their times, oldest first.

    Args:
        engine: The engine.
        container: The container's name.
        since: Seconds since 1970.
        last: The most lines to read, counted from the end.

    Raises:
        UserError: There is no such container.
    """
    options = ["--timestamps", *(["--since", f"{since:.6f}"] if since else [])]
    options += ["--tail", str(last)] if last else []
    ran = subprocess.run(
        [engine.client, "logs", *options, container],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=ANSWER,
        check=False,
        start_new_session=True,
    )
    text = ran.stdout.decode(errors="replace")
    if ran.returncode:
        raise engine_error(text, subject=container)
    found = []
    for line in text.split("\n"):
        stamp, _, rest = line.partition(" ")
        time = seconds_of(stamp)
        if time is not None and time >= since:
            found.append((time, rest.rstrip("\r")))
    return sorted(found, key=lambda item: item[0])
