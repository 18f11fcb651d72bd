"""Starting the trainer as a process that has TensorFlow already, as importing it takes seconds.

For tests of what the program does, prints and writes. A `Popen` of this module is a child like any
other, with its own environment, streams, group and signals, forked from a process that imports
TensorFlow once. Where a test is about how the program starts, or sets what is read as TensorFlow
is imported, it is started as always.

So are the processes that such a trainer starts, which are its own children: ranks, workers, servers
and trials. For them it has a child more, of whom it knows nothing and that ends with it; what it
starts besides, such as a user's script, is started as always. Tests of how processes are killed and
ended start them as always, too.
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
ENTRY_POINTS = Path(__file__).parents[2] / "entrypoints"
START_SECONDS = 300
READY_BYTES = 1 << 16
# Read by Python, its libraries and Keras before the program's first line.
EARLY = ("PYTHON", "LD_", "MALLOC_", "GLIBC_", "OMP_", "OPENBLAS_", "MKL_", "KMP_", "CUDA_")
EARLY += ("NVIDIA_", "TF_", "XLA_", "KERAS_", "HOME", "LANG", "LC_", "GRPC_")
# Of those, what is read each time, as devices are looked for or servers connected, or by a fork.
LATE = ("TF_CONFIG", "GRPC_FAIL_FAST", "PYTHONUNBUFFERED", "CUDA_VISIBLE_DEVICES")
# Only these import TensorFlow, alone or in processes that they start, too.
ALONE = ("serve", "export", "package")
STARTING = ("train", "sweep")
ENTRIES = ("container", "sagemaker", "ai_platform")
PR_SET_CHILD_SUBREAPER = 36
PR_GET_CHILD_SUBREAPER = 37
# How the processes of tests are started, and what no fork does.
PLAIN = {
    "preexec_fn": None, "shell": False, "pass_fds": (), "gid": None, "gids": None, "uid": None,
    "executable": None, "restore_signals": True,
}  # fmt: skip
_lock = threading.Lock()
_adopted = False


def _words(argv: Sequence[object]) -> list[str] | None:
    """Return a command without the interpreter, if it imports TensorFlow.

    Of what a trainer starts that is known of its own processes only.
    """
    words = [str(word) for word in argv]
    if words[:1] != [sys.executable] or not words[1:]:
        return None
    rest = _program(words[1:])
    is_script = not _adopted and (rest[0] == "-c" or rest[0].endswith(".py"))
    known = is_script or _starts_others(rest) or rest[:3] in [["-m", "trainer", v] for v in ALONE]
    return words[1:] if known else None


def _program(words: list[str]) -> list[str]:
    return words[words[0] == "-u" :]


def _starts_others(rest: list[str]) -> bool:
    """Return whether a command may start others that import TensorFlow."""
    return (
        rest[:3] in [["-m", "trainer", verb] for verb in STARTING]
        or rest[:2] == ["-m", "trainer.sweep.child"]
        or rest[0] in [str(ENTRY_POINTS / name) for name in ENTRIES]
    )


def _on_host(argv: Sequence[object]) -> tuple[str, Sequence[object]]:
    """Return the network namespace in which a command runs, and the command."""
    within = [str(word) for word in argv[:3]] == ["ip", "netns", "exec"]
    return (str(argv[3]), argv[4:]) if within else ("", argv)


def _early(env: Mapping[str, str], forker: Forker) -> dict[str, str]:
    """Return what has to be as it was when TensorFlow was imported."""
    late = LATE
    # Where there was none, its folders take their place among those of modules.
    folders = env.get("PYTHONPATH", "").split(":")
    if not any(Path(folder, "sitecustomize.py").exists() for folder in folders if folder):
        late += () if "PYTHONPATH" in forker.env else ("PYTHONPATH",)
    return {
        name: value
        for name, value in env.items()
        if name.startswith(EARLY) and not name.startswith(late) and forker.own.get(name) != value
    }


class Popen(subprocess.Popen):
    """A process, forked from one that has imported TensorFlow where that makes no difference."""

    def _execute_child(self, *args: Any) -> None:
        names = inspect.signature(super()._execute_child).parameters
        given = dict(zip(names, args, strict=True))
        env = dict(os.environ if given["env"] is None else given["env"])
        host, argv = _on_host(given["args"])
        words = _words(argv)
        cwd = os.path.abspath(given["cwd"] or os.curdir)  # noqa: PTH100
        plain = all(given[name] == value for name, value in PLAIN.items())
        if not plain or not words or not Path(cwd).is_dir():
            return super()._execute_child(*args)
        forker = _forker()
        if _early(env, forker) != _early(forker.env, forker):
            return super()._execute_child(*args)
        streams = [given[name] for name in ("p2cread", "c2pwrite", "errwrite")]
        fds = [at if fd == -1 else fd for at, fd in enumerate(streams)]
        request = {
            "argv": words, "env": env, "cwd": cwd, "host": host,
            "session": bool(given["start_new_session"]),
            # One of a job's processes starts no others.
            "starts": _starts_others(_program(words)) and "TRAINER_TASK" not in env,
        }  # fmt: skip
        try:
            self.pid = forker.fork(request, fds)
            self._child_created = True
        finally:
            pipes = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
            self._close_pipe_fds(*(given[name] for name in pipes))
        return None


class Forker:
    """The way to the process that is forked.

    Args:
        pair: Where it is asked.

    Attributes:
        env: The environment in which it has imported TensorFlow.
        own: What that has set.
    """

    def __init__(self, pair: socket.socket, *, env: Mapping[str, str], own: Mapping[str, str]):
        self.env = env
        self.own = own
        self._pair = pair

    def fork(self, request: Mapping[str, Any], fds: Sequence[int]) -> int:
        """Return the id of a new child of this process."""
        prctl = ctypes.CDLL(None, use_errno=True).prctl
        before = ctypes.c_int()
        with _lock:
            prctl(PR_GET_CHILD_SUBREAPER, ctypes.byref(before), 0, 0, 0)
            prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
            try:
                socket.send_fds(self._pair, [json.dumps(request).encode()], fds)
                return int(self._pair.recv(20))
            finally:
                prctl(PR_SET_CHILD_SUBREAPER, before.value, 0, 0, 0)


def adopt(forker: Forker) -> None:
    """Start what this process starts from another one."""
    global _adopted, _forker
    _adopted = True
    _forker = functools.cache(lambda: forker)
    subprocess.Popen = Popen  # type: ignore[misc]


@functools.cache
def _forker() -> Forker:
    pair, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pair.settimeout(START_SECONDS)
    env = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
    with there:
        process = subprocess.Popen(
            [sys.executable, SERVER, str(there.fileno())], pass_fds=[there.fileno()], env=env,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def close() -> None:
        pair.close()
        process.wait(START_SECONDS)

    atexit.register(close)
    return Forker(pair, env=env, own=json.loads(pair.recv(READY_BYTES)))
