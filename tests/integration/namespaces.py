"""Hosts for tests: network namespaces with addresses and names of their own, joined by a switch.

    def test_two_hosts(hosts):
        net = hosts(2)
        first = net.start(0, [sys.executable, "-c", "print('up')"], env={"A": "b"})
        first.line("up")
        assert first.wait(30) == 0

A process in a namespace sees nothing of the machine's own network; the names `host-1` and so on
lead to the hosts' addresses on each of them. Processes and files are shared.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from processes import environment

_NAMES = Path("/etc/netns")
_COUNT = itertools.count()


class Running:
    """A process on one of the hosts, and what it has printed.

    Args:
        argv: The program and its arguments.
        env: Its environment.
        start: How it is started; `warm.Popen` if it imports TensorFlow.
    """

    def __init__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        start: type[subprocess.Popen] = subprocess.Popen,
    ) -> None:
        self._process = start(
            argv,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.pid = self._process.pid
        self._lines: list[str] = []
        self._looked_at = 0
        self._more = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def lines(self) -> list[str]:
        """All lines up to now, standard output and error together."""
        with self._more:
            return list(self._lines)

    def text(self) -> str:
        """All that it printed up to now."""
        return "\n".join(self.lines)

    def line(self, pattern: str, timeout: float = 30) -> re.Match[str]:
        """Wait for the next line in which `pattern` is found; earlier ones are not looked at again.

        Fails when the process ends without it.
        """
        until = time.monotonic() + timeout
        with self._more:
            while True:
                while self._looked_at < len(self._lines):
                    found = re.search(pattern, self._lines[self._looked_at])
                    self._looked_at += 1
                    if found:
                        return found
                left = until - time.monotonic()
                if self._ended or left <= 0:
                    why = "it ended" if self._ended else f"{timeout} s passed"
                    pytest.fail(f"{why} without a line {pattern!r}:\n" + "\n".join(self._lines))
                self._more.wait(left)

    def wait(self, timeout: float = 60) -> int:
        """Wait for its end; the exit code, -n for signal n. All lines are there then."""
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still there after {timeout} s:\n{self.text()}")
        self._reader.join(10)
        return code

    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def send_signal(self, number: int) -> None:
        """Send a signal to this process alone."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kill this process alone, and reap it."""
        self._process.kill()
        self._process.wait(30)

    def children(self) -> list[int]:
        """Ids of the processes that it started itself."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                text = stat.read_text()
            except OSError:
                continue
            if text[text.rindex(")") + 2 :].split()[1] == str(self.pid):
                found.append(int(stat.parent.name))
        return sorted(found)

    def close(self) -> None:
        """Kill it if it is there, and let go of its output."""
        if self.runs():
            self.kill()
        self._reader.join(10)
        assert self._process.stdout is not None
        if not self._reader.is_alive():
            self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._more:
                self._lines.append(line.decode(errors="replace").rstrip("\r\n"))
                self._more.notify_all()
        with self._more:
            self._ended = True
            self._more.notify_all()


class Hosts:
    """Hosts that are joined by a switch.

    Args:
        count: How many.

    Attributes:
        names: What they are called, `host-1` and so on.
        addresses: Their IPv4 addresses.
    """

    def __init__(self, count: int) -> None:
        tag = f"trainer-{os.getpid()}-{next(_COUNT)}"
        self.names = [f"host-{i + 1}" for i in range(count)]
        self.addresses = [f"10.77.0.{i + 1}" for i in range(count)]
        self._spaces = [f"{tag}-{i + 1}" for i in range(count)]
        self._switch = f"{tag}-switch"
        self._running: list[Running] = []

    def open(self) -> None:
        """Make them."""
        _ip("netns", "add", self._switch)
        _ip("-n", self._switch, "link", "add", "switch", "type", "bridge")
        _ip("-n", self._switch, "link", "set", "switch", "up")
        others = "".join(f"{a} {n}\n" for a, n in zip(self.addresses, self.names, strict=True))
        for i, (space, address) in enumerate(zip(self._spaces, self.addresses, strict=True)):
            folder = _NAMES / space
            folder.mkdir(parents=True)
            # As on a Debian machine, its own name leads nowhere that others could follow.
            own = f"127.0.0.1 localhost\n127.0.1.1 {socket.gethostname()}\n"
            (folder / "hosts").write_text(own + others)
            # Unknown names are known to be so at once.
            (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")
            _ip("netns", "add", space)
            port = f"port{i}"
            _ip(
                *("-n", self._switch, "link", "add", port, "type", "veth"),
                *("peer", "name", "eth0", "netns", space),
            )
            _ip("-n", self._switch, "link", "set", port, "master", "switch", "up")
            _ip("-n", space, "address", "add", f"{address}/24", "dev", "eth0")
            for link in ("lo", "eth0"):
                _ip("-n", space, "link", "set", link, "up")

    def call(self, host: int, *names: str) -> None:
        """Let further names lead to a host, for processes that start from now on."""
        for space in self._spaces:
            with (_NAMES / space / "hosts").open("a") as file:
                file.write(f"{self.addresses[host]} {' '.join(names)}\n")

    def start(
        self,
        host: int,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        start: type[subprocess.Popen] = subprocess.Popen,
    ) -> Running:
        """Start a process on a host.

        Args:
            host: Which one, from 0.
            argv: The program and its arguments.
            env: Added to this process's environment, from which what platforms set is taken.
            start: How it is started; `warm.Popen` if it imports TensorFlow.
        """
        whole = ["ip", "netns", "exec", self._spaces[host], *argv]
        running = Running(whole, environment(env), start)
        self._running.append(running)
        return running

    def pids(self, host: int) -> list[int]:
        """Ids of all processes on a host."""
        listed = subprocess.run(
            ["ip", "netns", "pids", self._spaces[host]], capture_output=True, text=True, check=True
        )
        return [int(pid) for pid in listed.stdout.split()]

    def lose(self, host: int) -> None:
        """Kill all processes on a host at once, as if it were switched off."""
        self.unplug(host)
        while pids := self.pids(host):
            for pid in pids:
                _kill(pid)
            for running in self._running:
                if running.pid in pids:
                    running.wait(30)

    def unplug(self, host: int) -> None:
        """Take a host from the network: nobody hears from it, and its connections stay open."""
        _ip("-n", self._switch, "link", "set", f"port{host}", "down")

    def plug(self, host: int) -> None:
        """Put it back."""
        _ip("-n", self._switch, "link", "set", f"port{host}", "up")

    def close(self) -> None:
        """Kill what runs on them, and take them away."""
        for i, space in enumerate(self._spaces):
            if Path("/run/netns", space).exists():
                for pid in self.pids(i):
                    _kill(pid)
        for running in self._running:
            running.close()
        for space in (*self._spaces, self._switch):
            if Path("/run/netns", space).exists():
                _ip("netns", "delete", space)
            shutil.rmtree(_NAMES / space, ignore_errors=True)


@pytest.fixture
def hosts() -> Iterator[Callable[[int], Hosts]]:
    """Makes hosts; they are gone after the test."""
    problem = None
    if os.geteuid() != 0 or not shutil.which("ip"):
        problem = "needs root and iproute2, for network namespaces"
    else:
        tried = subprocess.run(
            ["ip", "netns", "exec", "no-such", "true"], capture_output=True, text=True, check=False
        )
        if "No such file" not in tried.stderr:
            problem = f"no network namespaces here: {tried.stderr.strip()}"
    if problem and os.environ.get("CI"):
        pytest.fail(problem)
    if problem:
        pytest.skip(problem)
    made: list[Hosts] = []

    def make(count: int) -> Hosts:
        made.append(Hosts(count))
        made[-1].open()
        return made[-1]

    try:
        yield make
    finally:
        for each in made:
            each.close()


def _ip(*args: str) -> None:
    subprocess.run(["ip", *args], check=True, capture_output=True, timeout=30)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
