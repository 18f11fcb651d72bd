"""What the container tests leave behind: nothing, also where they fail. With a stand-in client."""

import os
import sys
import time
from pathlib import Path

import pytest
import sagemaker_local
from containers import Container, Engine

pytestmark = pytest.mark.slow

CLIENT = """#!/bin/sh
echo "$@" >>"$0.asked"
case "$1" in
ps) echo c1; echo c2 ;;
start) exit 1 ;;
create) [ ! -e "$0.broken" ] ;;
esac
"""


@pytest.fixture
def engine(tmp_path) -> Engine:
    client = tmp_path / "docker"
    client.write_text(CLIENT)
    client.chmod(0o755)
    return Engine(str(client))


def asked(engine: Engine) -> list[str]:
    return Path(f"{engine.client}.asked").read_text().splitlines()


def test_a_network_goes_with_what_is_in_it(engine):
    with pytest.raises(ZeroDivisionError), engine.network() as name:
        raise ZeroDivisionError
    assert asked(engine)[-2:] == ["rm --force --volumes c1 c2", f"network rm {name}"]


def test_a_container_that_cannot_be_created_is_removed(engine):
    Path(f"{engine.client}.broken").touch()
    with pytest.raises(pytest.fail.Exception):
        Container(engine, "image")
    created, removed = asked(engine)
    assert removed == f"rm --force --volumes {created.split()[2]}"


@pytest.mark.slow
def test_what_an_sdk_started_ends_with_it(engine, tmp_path, monkeypatch):
    """Such as Compose, which would go on printing into the next test."""
    monkeypatch.setattr(sagemaker_local, "CLIENTS", tmp_path)
    monkeypatch.setattr(sagemaker_local, "JOB_SECONDS", 3)
    (tmp_path / "sdk_v9.py").write_text(
        "import subprocess\n"
        "print(subprocess.Popen(['sleep', '1000']).pid, flush=True)\n"
        "raise SystemExit(subprocess.call(['sleep', '1000']))\n"
    )
    local = sagemaker_local.Local(engine, lambda _: Path(sys.executable), tmp_path)
    with pytest.raises(pytest.fail.Exception) as failed:
        local.train(9)
    told, child = str(failed.value).splitlines()
    assert told == "no end within 3 s:"
    assert gone(int(child))


def gone(pid: int) -> bool:
    """Whether a process has ended; who inherits it may take a moment to reap it."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.01)
    return False
