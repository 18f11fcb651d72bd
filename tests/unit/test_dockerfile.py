"""The steps of the Dockerfile that say what is wrong, with stand-ins for what they run."""

import re
import subprocess
from pathlib import Path

import pytest

DOCKERFILE = Path(__file__).parent.parent.parent / "docker/Dockerfile"


@pytest.mark.parametrize(
    ("broken", "told"),
    [("apt-get", ""), ("python3", "BASE_IMAGE=other: has no Python 3.11 to 3.13")],
)
def test_a_base_image_is_blamed_for_what_it_lacks_alone(tmp_path, broken, told):
    """The Dockerfile's first step; packages that cannot be fetched are another matter."""
    text = DOCKERFILE.read_text().replace("\\\n", "")
    (step,) = re.findall(r"^RUN (?:--mount=\S+ +)*(apt-get update.*openssh-server.*)$", text, re.M)
    # Nothing but stand-ins is on PATH.
    tools = tmp_path / "bare"
    tools.mkdir()
    for name in ("apt-get", "rm", "python3"):
        (tools / name).write_text(f"#!/bin/sh\nexit {int(name == broken)}\n")
        (tools / name).chmod(0o755)
    ran = subprocess.run(
        ["/bin/sh", "-c", step], env={"PATH": str(tools), "BASE_IMAGE": "other"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 1
    assert ran.stderr.startswith(told)
    assert bool(ran.stderr) is bool(told)
