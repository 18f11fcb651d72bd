"""The list of what is in the image."""

import json
import subprocess

from containers import ROOT, missing


def test_every_package_is_listed_and_looked_up(engine, image):
    """Where the database cannot be reached that is said, and the list made all the same."""
    made = subprocess.run(
        ["make", "-o", "setup", ".venv-audit/.installed"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if made.returncode:
        missing(f"the tools cannot be installed:\n{made.stderr[-2000:]}")
    ran = subprocess.run(
        [".venv-audit/bin/python", "docker/sbom.py", engine.client, image],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    # 1: something that is known to be vulnerable; a test that fails by itself one day helps nobody.
    assert ran.returncode in (0, 1), ran.stderr
    sbom, audit = ran.stdout.splitlines()[0], ran.stdout.splitlines()[-1]
    assert audit.startswith(f"audit: {image}: ")
    told = json.loads((ROOT / sbom.split()[1].rstrip(":")).read_text())
    assert told["bomFormat"] == "CycloneDX"
    assert told["metadata"]["component"]["type"] == "container"
    urls = {component["purl"].partition("@")[0] for component in told["components"]}
    assert {"pkg:deb/debian/openssh-server", "pkg:pypi/horovod", "pkg:pypi/keras"} <= urls
    assert "pkg:pypi/tensorflow-cpu" in urls or "pkg:pypi/tensorflow" in urls
