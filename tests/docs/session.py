"""The Python blocks of a page in one namespace, as cells of a notebook.

`session.py serve SOCKET PRELUDE` runs what `session.py ask SOCKET FILE` names, and answers 0 or 1.
What a block prints goes where the one that asks prints.
"""

# ruff: noqa: PTH109, PTH123
import os
import socket
import sys


def serve(path: str, prelude: str) -> None:
    """Run files in one namespace until the page's shell ends, and some code before them."""
    import contextlib
    import linecache
    import traceback

    sys.path.insert(0, os.getcwd())
    names = {"__name__": "__main__"}
    exec(prelude, {})
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(1)
    while True:
        connection, _ = listener.accept()
        data, files, _, _ = socket.recv_fds(connection, 65536, 2)
        for number, file in enumerate(files, start=1):
            os.dup2(file, number)
            os.close(file)
        code = 0
        try:
            with open(data) as file:
                text = file.read()
            linecache.cache[data.decode()] = (len(text), None, text.splitlines(True), data.decode())
            exec(compile(text, data.decode(), "exec"), names)
        except BaseException:
            traceback.print_exc()
            code = 1
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        connection.sendall(b"%d" % code)
        connection.close()


def ask(path: str, file: str) -> int:
    """Have a file run, and return 0 if it ended well."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    socket.send_fds(connection, [file.encode()], [1, 2])
    return int(connection.recv(1) or b"1")


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(*sys.argv[2:])
    else:
        sys.exit(ask(*sys.argv[2:]))
