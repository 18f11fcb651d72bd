"""A Python that has its large modules imported already, and forks for each program.

`python fork_server.py SOCKET MODULE…`; `forked.py` asks it. TensorFlow takes seconds to import,
and the pages have more than a hundred commands that would each do so.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Request:
    """A program to run in the place of a process that asks for it.

    Attributes:
        argv: As behind `python`: `-m MODULE …`, `-c CODE …` or `FILE …`.
        cwd: Its folder.
        env: Its environment.
        parent: The parent of the process that asks.
        executable: What it is to start others of its kind by.
        files: Standard input, output and error.
    """

    argv: list[str]
    cwd: str
    env: dict[str, str]
    parent: int
    executable: str
    files: list[int]


def receive(connection: socket.socket) -> Request:
    """Read a request: a line of JSON, and three file descriptors with its first byte."""
    data, files, _, _ = socket.recv_fds(connection, 65536, 3)
    while not data.endswith(b"\n"):
        data += connection.recv(65536)
    return Request(**json.loads(data), files=files)


def become(request: Request) -> int:
    """Run a program in this process, and return its exit code."""
    for number, file in enumerate(request.files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(request.cwd)
    os.environ.clear()
    os.environ.update(request.env)
    sys.path[:0] = [path for path in request.env.get("PYTHONPATH", "").split(":") if path]
    os.getppid = lambda: request.parent  # type: ignore[assignment]
    sys.executable = request.executable
    for name in ("stdin", "stdout", "stderr"):
        mode, number = ("r", 0) if name == "stdin" else ("w", 1 if name == "stdout" else 2)
        setattr(sys, name, open(number, mode, buffering=1, closefd=False))  # noqa: SIM115
    try:
        execute(request.argv)
    except SystemExit as end:
        if isinstance(end.code, int | None):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def execute(argv: list[str]) -> None:
    """Run what stands behind `python`."""
    how, rest = argv[0], argv[1:]
    if how == "-m":
        sys.path.insert(0, os.getcwd())  # noqa: PTH109
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif how == "-c":
        sys.path.insert(0, "")
        sys.argv = argv[:1] + rest[1:]
        exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.path.insert(0, str(Path(how).parent))
        sys.argv = argv
        runpy.run_path(how, run_name="__main__")


class Server:
    """Forks for each connection, and answers with the child's number and then its status."""

    def __init__(self, path: str) -> None:
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(64)
        self.ended, wakes = socket.socketpair()
        for end in (self.ended, wakes):
            end.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
        self.wakes = wakes
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.selector.register(self.ended, selectors.EVENT_READ)
        self.children: dict[int, socket.socket] = {}

    def serve(self) -> None:
        """Answer until the parent has gone."""
        parent = os.getppid()
        while os.getppid() == parent:
            for key, _ in self.selector.select(timeout=1):
                if key.fileobj is self.listener:
                    self.begin()
                elif key.fileobj is self.ended:
                    with contextlib.suppress(BlockingIOError):
                        self.ended.recv(4096)
                    self.reap()
                else:
                    self.abandoned(key.fileobj)
        for child in self.children:
            os.kill(child, signal.SIGKILL)

    def begin(self) -> None:
        connection, _ = self.listener.accept()
        request = receive(connection)
        child = os.fork()
        if child == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for each in (self.listener, self.ended, self.wakes, connection,
                         *self.children.values()):  # fmt: skip
                each.close()
            self.selector.close()
            os.setpgid(0, 0)
            code = become(request)
            leave(code)
        for file in request.files:
            os.close(file)
        self.children[child] = connection
        self.selector.register(connection, selectors.EVENT_READ)
        connection.sendall(b"%d\n" % child)

    def reap(self) -> None:
        while self.children:
            child, status = os.waitpid(-1, os.WNOHANG)
            if child == 0:
                return
            connection = self.children.pop(child)
            self.selector.unregister(connection)
            with contextlib.suppress(OSError):
                connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
            connection.close()

    def abandoned(self, connection: Any) -> None:
        """End the child whose place the process that asked no longer holds."""
        for child, its in self.children.items():
            if its is connection:
                os.kill(child, signal.SIGKILL)


def leave(code: int) -> None:
    """End this process as Python would: threads, functions of atexit, what is printed."""
    import atexit
    import threading

    with contextlib.suppress(BaseException):
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code & 0xFF)


def main() -> None:
    """Import the modules, and serve."""
    path, *modules = sys.argv[1:]
    sys.path.pop(0)
    for name in modules:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    server = Server(path)
    # Whoever waits for this file may ask from now on.
    Path(f"{path}.ready").touch()
    server.serve()


if __name__ == "__main__":
    main()
