"""Bringing up an engine, with stand-ins for the daemon, its client and apt-get."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PROGRAMS = ("bash", "cat", "cut", "dirname", "grep", "mkdir", "readlink", "rm", "setsid", "sh",
            "sleep", "tail", "timeout", "touch")  # fmt: skip
SCRIPTS = Path(__file__).parents[3] / "docker"

CLIENT = """#!/bin/sh
case "$1" in
version) echo 20.10 ;;
info) [ -f "$READY" ] ;;
esac
"""
DAEMON = """#!/bin/sh
echo starting
trap 'exit 0' TERM
echo $$ >"$2"
touch "$READY"
while :; do sleep 0.05; done
"""


@pytest.fixture
def engine(tmp_path):
    """Runs docker/engine, its state in a folder of the test's own."""
    tools, scripts, state = (tmp_path / name for name in ("tools", "docker", "state"))
    tools.mkdir()
    scripts.mkdir()
    text = (SCRIPTS / "engine").read_text()
    assert "STATE=/run/trainer-engine\n" in text
    (scripts / "engine").write_text(text.replace("/run/trainer-engine", str(state)))
    (scripts / "base-image").symlink_to(SCRIPTS / "base-image")

    def tool(name: str, text: str) -> None:
        (tools / name).write_text(text if text.startswith("#!") else f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)

    # Nothing else is on PATH, so that this machine's own engine is out of reach.
    for name in PROGRAMS:
        (tools / name).symlink_to(shutil.which(name))
    tool("docker", CLIENT)
    tool("dockerd", DAEMON)
    tool("id", "echo 0")
    tool("df", "echo Avail; echo 50000000")
    env = {**os.environ, "PATH": str(tools), "READY": str(tmp_path / "ready")}

    def go(*argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/bash", str(scripts / "engine"), *argv],
            env=env, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    go.tool, go.state, go.ready = tool, state, tmp_path / "ready"
    yield go
    for process in Path("/proc").glob("[0-9]*"):
        try:
            mine = str(tools / "dockerd").encode() in (process / "cmdline").read_bytes()
        except OSError:
            continue
        if mine:
            os.kill(int(process.name), signal.SIGKILL)


def line(ran: subprocess.CompletedProcess[str]) -> str:
    """The one line that it said on failing."""
    assert ran.returncode == 1, ran.stdout
    (only,) = ran.stderr.splitlines()
    return only


@pytest.mark.slow
def test_it_starts_what_is_missing_and_stops_what_it_started(engine):
    ran = engine()
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("engine: ")
    pid = int((engine.state / "pid").read_text())
    again = engine()
    assert again.returncode == 0, again.stderr
    assert int((engine.state / "pid").read_text()) == pid
    assert engine("stop").stdout == "engine: stopped\n"
    assert not Path(f"/proc/{pid}").exists()
    assert engine("stop").stdout == "engine: none that was started here\n"


def test_an_engine_that_runs_already_is_not_stopped(engine):
    engine.ready.touch()
    assert engine().returncode == 0
    assert not engine.state.exists()


def test_a_daemon_that_ends_is_told_with_its_reason(engine):
    engine.tool("dockerd", "echo first; echo 'iptables: Permission denied'; exit 1")
    told = line(engine())
    assert told.startswith("docker/engine: dockerd ended: iptables: Permission denied (")
    assert "--privileged" in told


def test_too_little_disk_is_told_before_the_daemon_starts(engine):
    engine.tool("df", "echo Avail; echo 5000000")
    told = line(engine())
    assert told == "docker/engine: 4 GiB free in /var/lib, 12 are needed: make room there"
    assert not engine.state.exists()


def test_who_may_not_start_it_is_told_how_else(engine):
    engine.tool("id", "echo 1000")
    told = line(engine())
    assert told.startswith(
        "docker/engine: the Docker engine does not answer, and starting it needs"
    )
    assert "group docker" in told


def test_packages_that_cannot_be_had_are_told_in_the_end(engine):
    """After what apt-get itself says."""
    engine.tool("docker", "exit 1")
    engine.tool("apt-get", "echo 'E: no network' >&2; exit 100")
    ran = engine()
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1].startswith("docker/engine: apt-get update failed")
