"""Starting the trainer as a process that has TensorFlow already, as importing it takes seconds.

For tests of what the program does, prints and writes. A `Popen` of this module is a child like any
other, with its own environment, streams, group and signals, forked from a process that imports
TensorFlow once. Where a test is about how the program starts, or sets what is read as TensorFlow
is imported, it is started as always.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import inspect
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SERVER = Path(__file__).with_name("warm_server.py")
START_SECONDS = 300
# Read by Python, its libraries and Keras before the program's first line.
EARLY = ("PYTHON", "LD_", "MALLOC_", "GLIBC_", "OMP_", "OPENBLAS_", "MKL_", "KMP_", "CUDA_")
EARLY += ("NVIDIA_", "TF_", "XLA_", "KERAS_", "HOME", "TMPDIR", "LANG", "LC_", "HOROVOD_", "GRPC_")
# Of those, what is read each time.
LATE = ("TF_CONFIG",)
# Only these import TensorFlow.
VERBS = ("train", "serve", "export")
PR_SET_CHILD_SUBREAPER = 36
# How the processes of tests are started, and what no fork does.
PLAIN = {
    "preexec_fn": None, "shell": False, "pass_fds": (), "gid": None, "gids": None, "uid": None,
    "executable": None, "restore_signals": True,
}  # fmt: skip
_lock = threading.Lock()


def _words(argv: Sequence[object]) -> list[str] | None:
    """Return a command without the interpreter, if it is the trainer's and imports TensorFlow."""
    words = [str(word) for word in argv]
    rest = words[2:] if words[1:2] == ["-u"] else words[1:]
    known = words[:1] == [sys.executable] and rest[:2] == ["-m", "trainer"]
    return words[1:] if known and rest[2:3] in [[verb] for verb in VERBS] else None


def _early(env: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in env.items() if k.startswith(EARLY) and not k.startswith(LATE)}


class Popen(subprocess.Popen):
    """A process, forked from one that has imported TensorFlow where that makes no difference."""

    def _execute_child(self, *args: Any) -> None:
        names = inspect.signature(super()._execute_child).parameters
        given = dict(zip(names, args, strict=True))
        env = dict(os.environ if given["env"] is None else given["env"])
        words = _words(given["args"])
        plain = all(given[name] == value for name, value in PLAIN.items())
        if not plain or not words or _early(env) != _early(_server().env):
            return super()._execute_child(*args)
        streams = [given[name] for name in ("p2cread", "c2pwrite", "errwrite")]
        fds = [at if fd == -1 else fd for at, fd in enumerate(streams)]
        request = {
            "argv": words,
            "env": env,
            "cwd": os.path.abspath(given["cwd"] or os.curdir),  # noqa: PTH100
            "session": bool(given["start_new_session"]),
        }
        try:
            self.pid = _server().fork(request, fds)
            self._child_created = True
        finally:
            pipes = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
            self._close_pipe_fds(*(given[name] for name in pipes))
        return None


class _Server:
    """The process that is forked."""

    def __init__(self) -> None:
        self.env = dict(os.environ)
        self._pair, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._pair.settimeout(START_SECONDS)
        with there:
            self._process = subprocess.Popen(
                [sys.executable, SERVER, str(there.fileno())], pass_fds=[there.fileno()],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env={"TF_CPP_MIN_LOG_LEVEL": "3", **self.env},
            )  # fmt: skip
        assert self._pair.recv(10) == b"ready", "it ended"
        atexit.register(self.close)

    def fork(self, request: Mapping[str, Any], fds: Sequence[int]) -> int:
        """Return the id of a new child of this process."""
        prctl = ctypes.CDLL(None, use_errno=True).prctl
        with _lock:
            prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
            try:
                socket.send_fds(self._pair, [json.dumps(request).encode()], fds)
                return int(self._pair.recv(20))
            finally:
                prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)

    def close(self) -> None:
        """End it."""
        self._pair.close()
        self._process.wait(START_SECONDS)


@functools.cache
def _server() -> _Server:
    return _Server()
