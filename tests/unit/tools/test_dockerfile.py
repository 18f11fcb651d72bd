"""The step of the Dockerfile that installs what runs need, with stand-ins for what it runs."""

import subprocess
from pathlib import Path

import pytest

SYSTEM = Path(__file__).parents[3] / "docker/system"


@pytest.mark.parametrize(
    ("broken", "told"),
    [("apt-get", ""), ("python3", "BASE_IMAGE=other: has no Python 3.11 to 3.13")],
)
def test_a_base_image_is_blamed_for_what_it_lacks_alone(tmp_path, broken, told):
    """Packages that cannot be fetched are another matter."""
    # Nothing but stand-ins is on PATH.
    tools = tmp_path / "bare"
    tools.mkdir()
    for name in ("apt-get", "python3"):
        (tools / name).write_text(f"#!/bin/sh\nexit {int(name == broken)}\n")
        (tools / name).chmod(0o755)
    (tools / "dirname").symlink_to("/usr/bin/dirname")
    ran = subprocess.run(
        ["/bin/sh", str(SYSTEM / "install")],
        env={"PATH": str(tools), "BASE_IMAGE": "other"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 1
    assert ran.stderr.startswith(told)
    assert bool(ran.stderr) is bool(told)
