"""The image as Kubernetes starts it: the containers of its pods, on the real engine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from containers import DEADLINE, Engine


def submit(image: str, folder: Path, name: str, *argv: str) -> subprocess.CompletedProcess:
    """Run a job's request for Kubernetes on this machine's engine."""
    command = [sys.executable, "-m", "trainer", "submit", "--to", "kubernetes", "--local"]
    ran = subprocess.run(
        [*command, "--image", image, "--name", name, "--volume", "results:/results", *argv],
        cwd=folder, capture_output=True, text=True, timeout=DEADLINE, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    return ran


@pytest.mark.parametrize(
    ("flavor", "flags"),
    [
        ("job", ("--distribution", "horovod")),
        ("jobset", ("--distribution", "parameter_server")),
        ("trainjob", ()),
    ],
)
def test_pods_meet_by_the_names_of_their_service_and_share_a_volume(image, tmp_path, flavor, flags):
    servers = ("--parameter-servers", "1") if flavor == "jobset" else ()
    name = f"t{os.urandom(4).hex()}"
    ran = submit(
        image, tmp_path, name, "--flavor", flavor, "--hosts", "2", *servers,
        "--", "--model", "fast", "--steps", "20", *flags,
    )  # fmt: skip
    assert "step=20 " in ran.stdout
    folder = tmp_path / "runs" / name
    found = json.loads((folder / "metrics.json").read_text())
    assert (found["platform"], found["steps"]) == ("kubernetes", 20)
    assert found["processes"] == (1 if flavor == "jobset" else 2)
    assert (folder / "model/1/saved_model.pb").is_file()


@pytest.mark.parametrize("user", ["0", "1000"])
def test_the_reason_of_a_failure_is_in_the_file_that_the_kubelet_mounts(
    engine: Engine, image: str, tmp_path: Path, user: str
):
    log = tmp_path / "termination-log"
    log.touch()
    # As the kubelet makes it, so that any user may write it.
    log.chmod(0o666)
    ran = engine(
        "run", "--rm", "--network", "none", "--user", user, "--read-only", "--tmpfs", "/tmp",
        "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
        "--volume", f"{log}:/dev/termination-log", "--env", "JOB_COMPLETION_INDEX=0",
        image, "--model", "none-such", check=False,
    )  # fmt: skip
    assert ran.returncode == 2
    assert "cannot write" not in ran.stderr
    assert log.read_text().startswith("--model none-such: ")
