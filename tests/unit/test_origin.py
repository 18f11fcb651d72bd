"""Who is at the other end of real connections."""

import os
import socket
import subprocess
import sys

import pytest

from trainer.launch.origin import Origin

NOBODY = 65534
CONNECT = """
import os, socket, sys
os.setgid({user}); os.setuid({user})
line = socket.socket(socket.AF_INET6 if {mapped} else socket.AF_INET)
line.connect(("::ffff:127.0.0.1" if {mapped} else "127.0.0.1", {port}))
print("up", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def server():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        yield server


def test_a_connection_of_ones_own_is_known_as_such(server):
    with socket.create_connection(server.getsockname()), server.accept()[0] as here:
        origin = Origin.of(here)
    assert origin == Origin(address="127.0.0.1", user=os.geteuid(), reached_at="127.0.0.1")
    assert origin.is_own


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user")
@pytest.mark.parametrize("mapped", [False, True])
def test_a_connection_of_another_user_is_not(server, mapped):
    script = CONNECT.format(user=NOBODY, port=server.getsockname()[1], mapped=mapped)
    argv = [sys.executable, "-S", "-c", script]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(argv, **pipes) as other, server.accept()[0] as here:
        other.stdout.readline()
        origin = Origin.of(here)
        # An IPv6 socket is nobody's: no launcher and no rank has one.
        assert (origin.user, origin.is_own) == (None if mapped else NOBODY, False)
        other.communicate()


def test_what_its_process_has_closed_is_nobodys(server):
    line = socket.create_connection(server.getsockname())
    with server.accept()[0] as here:
        line.close()
        assert Origin.of(here).user is None
