"""Who is at the other end of real connections."""

import os
import socket
import subprocess
import sys

import pytest

from trainer.launch.rendezvous import origin
from trainer.launch.rendezvous.origin import Origin

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
        found = Origin.of(here)
    assert found == Origin(address="127.0.0.1", user=os.geteuid(), reached_at="127.0.0.1")
    assert found.is_own


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user")
@pytest.mark.parametrize("mapped", [False, True])
def test_a_connection_of_another_user_is_not(server, mapped):
    script = CONNECT.format(user=NOBODY, port=server.getsockname()[1], mapped=mapped)
    argv = [sys.executable, "-S", "-c", script]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(argv, **pipes) as other, server.accept()[0] as here:
        other.stdout.readline()
        found = Origin.of(here)
        # An IPv6 socket is nobody's: no launcher and no rank has one.
        assert (found.user, found.is_own) == (None if mapped else NOBODY, False)
        other.communicate()


def test_what_its_process_has_closed_is_nobodys(server):
    line = socket.create_connection(server.getsockname())
    with server.accept()[0] as here:
        line.close()
        assert Origin.of(here).user is None


@pytest.mark.parametrize("answer", [None, OSError(93, "Protocol not supported")])
def test_where_the_kernel_cannot_tell_users_apart_the_loopback_is_ones_own(
    server, monkeypatch, answer
):
    """A kernel without that part says of every socket that there is none."""

    def holder(source, target):
        if answer:
            raise answer
        return answer

    monkeypatch.setattr(origin, "holder", holder)
    with socket.create_connection(server.getsockname()), server.accept()[0] as here:
        assert Origin.of(here).is_own
