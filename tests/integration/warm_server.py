"""Import TensorFlow once, then fork a process for each request; see `warm`.

Started with the file descriptor of one end of a socket pair. Nothing of the trainer stays imported:
each process imports that, and reads its environment, as any other does.
"""

import ctypes
import gc
import io
import json
import os
import runpy
import signal
import socket
import sys
import tempfile
import types
from pathlib import Path

REQUEST_BYTES = 1 << 20
CLONE_NEWNS, CLONE_NEWNET = 0x20000, 0x40000000
MS_BIND, MS_REC, MS_SLAVE, MNT_DETACH = 0x1000, 0x4000, 1 << 19, 2


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


def enter(host: str) -> None:
    """Do what `ip netns exec` does: have a network, /sys and files of /etc of its own."""
    libc = ctypes.CDLL(None, use_errno=True)

    def call(function: str, *args: object) -> None:
        if getattr(libc, function)(*args):
            raise OSError(ctypes.get_errno(), function)

    with Path("/run/netns", host).open() as space:
        call("setns", space.fileno(), CLONE_NEWNET)
    call("unshare", CLONE_NEWNS)
    call("mount", b"", b"/", b"none", MS_SLAVE | MS_REC, None)
    libc.umount2(b"/sys", MNT_DETACH)
    call("mount", host.encode(), b"/sys", b"sysfs", 0, None)
    for own in Path("/etc/netns", host).iterdir():
        call("mount", bytes(own), b"/etc/" + own.name.encode(), b"none", MS_BIND, None)


def begin(asked: socket.socket) -> tuple[dict, socket.socket | None]:
    """Fork for each request, and for what the processes ask that are forked.

    Returns:
        In the processes that it forks, what they were asked, and where they ask in their turn.
    """
    request = serve(asked)
    while True:
        if request["host"]:
            enter(request["host"])
        if not request["starts"]:
            return request, None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if os.fork():
            theirs.close()
            return request, ours
        ours.close()
        for fd in request["fds"]:
            os.close(fd)
        request = serve(theirs)


def become(
    *,
    fds: list[int],
    argv: list[str],
    env: dict[str, str],
    own: dict[str, str],
    cwd: str,
    session: bool,
) -> None:
    """Let this process be as Python starts it.

    Args:
        fds: Its three standard streams.
        argv: `[-u] -m MODULE ...`, `[-u] -c CODE ...` or `[-u] FILE ...`.
        env: Its environment.
        own: What the import of TensorFlow sets in that.
        cwd: Its folder.
        session: True if it begins a session.
    """
    if session:
        os.setsid()
    for at, fd in enumerate(fds):
        os.dup2(fd, at)
    for fd in fds:
        os.close(fd)
    folders = [] if "PYTHONPATH" in os.environ else env.get("PYTHONPATH", "").split(":")
    os.environ.clear()
    os.environ.update(own | env)
    os.chdir(cwd)
    # Found as it is first asked for.
    tempfile.tempdir = None
    signal.signal(signal.SIGINT, signal.default_int_handler)
    unbuffered = argv[0] == "-u"
    argv = argv[unbuffered:]
    unbuffered |= bool(env.get("PYTHONUNBUFFERED"))
    for at, name in enumerate(("stdin", "stdout", "stderr")):
        stream = _stream(at, getattr(sys, name), unbuffered)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.argv = argv[1:] if argv[0] == "-m" else ["-c", *argv[2:]] if argv[0] == "-c" else argv
    sys.path[0] = {"-m": cwd, "-c": ""}.get(argv[0], str(Path(argv[0]).parent))
    sys.path[1:1] = [str(Path(folder).absolute()) for folder in folders if folder]


def _stream(fd: int, before: io.TextIOWrapper, unbuffered: bool) -> io.TextIOWrapper:
    """Make the stream that Python makes of a file descriptor, as it has made the one before."""
    raw = io.FileIO(fd, "wb" if fd else "rb", closefd=False)
    buffered = io.BufferedWriter if fd else io.BufferedReader
    binary = raw if fd and unbuffered else buffered(raw)
    return io.TextIOWrapper(
        binary, before.encoding, before.errors, "\n",
        line_buffering=fd == 2 or (raw.isatty() and not unbuffered),
        write_through=bool(unbuffered),
    )  # fmt: skip


def run(argv: list[str]) -> None:
    """Run what `become` has prepared, as `__main__`."""
    argv = argv[argv[0] == "-u" :]
    if argv[0] == "-m":
        runpy._run_module_as_main(argv[1])
        return
    # What Python gives code and a file that it runs.
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    main.__dict__.update(__builtins__=__builtins__)
    code, name = argv[1], "<string>"
    if argv[0] != "-c":
        main.__file__ = name = argv[0]
        code = Path(name).read_text()
    exec(compile(code, name, "exec"), main.__dict__)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as pair:
        early = dict(os.environ)
        own = import_tensorflow()
        gc.freeze()
        pair.sendall(json.dumps(own).encode())
        # In what it forks the program runs here, and ends as any other does.
        request, nested = begin(pair)
    if nested:
        import warm

        warm.adopt(warm.Forker(nested, env=early, own=own))
    del request["host"], request["starts"]
    become(own=own, **request)
    run(request["argv"])
