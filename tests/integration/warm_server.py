"""Import TensorFlow once, then fork a process for each request; see `warm`.

Started with the file descriptor of one end of a socket pair. Nothing of the trainer stays imported:
each process imports that, and reads its environment, as any other does.
"""

import io
import json
import os
import runpy
import signal
import socket
import sys

REQUEST_BYTES = 1 << 20


def import_tensorflow() -> dict[str, str]:
    """Import it as the trainer does, and then leave nothing of the trainer behind.

    Returns:
        The variables of the environment that this sets.
    """
    before = dict(os.environ)
    from trainer.runtime import keras_settings
    from trainer.runtime.late_modules import late

    keras_settings.claim()
    with late():
        import tensorflow  # noqa: F401
    for name in [name for name in sys.modules if name.partition(".")[0] == "trainer"]:
        del sys.modules[name]
    return {name: value for name, value in os.environ.items() if before.get(name) != value}


def serve(asked: socket.socket) -> dict:
    """Fork for each request. Returns in the processes that it forks, with what they were asked."""
    while True:
        text, fds, _, _ = socket.recv_fds(asked, REQUEST_BYTES, 3)
        if not text:
            os._exit(0)
        gone, go = os.pipe()
        told, tell = os.pipe()
        # Without a parent it becomes the child of who asked.
        middle = os.fork()
        if not middle:
            pid = os.fork()
            if pid:
                os.write(tell, str(pid).encode())
                os._exit(0)
            for fd in (go, told, tell):
                os.close(fd)
            os.read(gone, 1)
            os.close(gone)
            asked.close()
            return {"fds": fds, **json.loads(text)}
        os.waitpid(middle, 0)
        pid = os.read(told, 20)
        for fd in (*fds, gone, go, told, tell):
            os.close(fd)
        asked.sendall(pid)


def become(
    *,
    fds: list[int],
    argv: list[str],
    env: dict[str, str],
    own: dict[str, str],
    cwd: str,
    session: bool,
) -> str:
    """Let this process be as Python starts it.

    Args:
        fds: Its three standard streams.
        argv: `[-u] -m MODULE ...`.
        env: Its environment.
        own: What the import of TensorFlow sets in that.
        cwd: Its folder.
        session: True if it begins a session.

    Returns:
        The module.
    """
    if session:
        os.setsid()
    for at, fd in enumerate(fds):
        os.dup2(fd, at)
    for fd in fds:
        os.close(fd)
    os.environ.clear()
    os.environ.update(own | env)
    os.chdir(cwd)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    unbuffered = argv[0] == "-u"
    argv = argv[unbuffered:]
    for at, name in enumerate(("stdin", "stdout", "stderr")):
        stream = _stream(at, getattr(sys, name), unbuffered)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.argv = argv[1:]
    sys.path[0] = cwd
    return argv[1]


def _stream(fd: int, before: io.TextIOWrapper, unbuffered: bool) -> io.TextIOWrapper:
    """Make the stream that Python makes of a file descriptor, as it has made the one before."""
    unbuffered = unbuffered or before.write_through
    raw = io.FileIO(fd, "wb" if fd else "rb", closefd=False)
    buffered = io.BufferedWriter if fd else io.BufferedReader
    binary = raw if fd and unbuffered else buffered(raw)
    return io.TextIOWrapper(
        binary, before.encoding, before.errors, "\n",
        line_buffering=fd == 2 or (raw.isatty() and not unbuffered), write_through=unbuffered,
    )  # fmt: skip


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as pair:
        own = import_tensorflow()
        pair.sendall(b"ready")
        # In what it forks the program runs here, and ends as any other does.
        module = become(own=own, **serve(pair))
    runpy._run_module_as_main(module)
