"""Ask which packages of an image are known to be vulnerable, and which an update would change.

Exit code 0: all that could be looked up is well. 1: something is known to be vulnerable and a newer
version is not, or Debian has an update. 3: of the Debian packages, or of the Python ones, not one
could be looked up, so that nothing is known.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import requests
from pip_audit._service.osv import OsvService

WELL, VULNERABLE, UNKNOWN = 0, 1, 3
SECONDS = 300
# One database for all distributions; where pip-audit asks it for one package it takes many as well.
OSV = os.environ.get("OSV_URL") or OsvService.DEFAULT_OSV_URL
# What Debian would change in the image now.
PENDING = (
    "apt-get update -qq --error-on=any >&2 && "
    "apt-get -qq -s upgrade --with-new-pkgs | sed -n 's/^Inst //p'"
)


def audit(docker: str, image: str, found: dict[str, Any]) -> int:
    """Print what is known of an image's packages."""
    packages = found["debian"]
    updates = pending(docker, image)
    flaws, missing = look_up(packages, found["system"])
    if flaws:
        print(
            f"audit: {image}: {flaws} known vulnerabilities of Debian packages, which its updates"
        )
        print("  have not mended yet or do not have to")
    if missing:
        print(
            f"audit: {image}: {missing} of {len(packages)} Debian packages could not be looked up"
        )
    debian = (
        UNKNOWN if updates is None and missing == len(packages) else VULNERABLE if updates else WELL
    )
    python = audit_python(image, found["python"])
    # What is known to be wrong comes before what is not known.
    return VULNERABLE if VULNERABLE in (debian, python) else max(debian, python)


def pending(docker: str, image: str) -> int | None:
    """Print the updates that Debian has for an image; their number, None where it is not known."""
    command = [
        docker,
        "run",
        "--rm",
        "--network",
        "host",
        "--user",
        "0",
        "--entrypoint",
        "sh",
        image,
    ]
    why = "no answer"
    try:
        ran = subprocess.run(
            [*command, "-c", PENDING], capture_output=True, text=True, timeout=SECONDS, check=False
        )
        why = (ran.stderr.strip().splitlines() or [why])[-1]
    except subprocess.TimeoutExpired:
        ran = None
    if ran is None or ran.returncode:
        print(f"audit: {image}: Debian cannot be asked for updates: {why[:200]}")
        return None
    updates = ran.stdout.splitlines()
    for update in updates:
        print(f"audit: {update} is to be had: build the image anew")
    print(f"audit: {image}: {len(updates)} updates of Debian packages pending")
    return len(updates)


def look_up(packages: list[dict[str, Any]], system: dict[str, str]) -> tuple[int, int]:
    """Print the known vulnerabilities of Debian packages, by their source packages.

    Returns:
        How many are known, and how many packages could not be looked up.
    """
    if system["ID"] != "debian":
        print(f"audit: packages of {system['ID']} are not looked up: only Debian's are")
        return 0, len(packages)
    release = f"Debian:{system.get('VERSION_ID', '')}"
    sources = sorted({(p["source"], p["source_version"]) for p in packages})
    queries = [
        {"package": {"name": name, "ecosystem": release}, "version": version}
        for name, version in sources
    ]
    try:
        answer = requests.post(
            re.sub(r"/query$", "/querybatch", OSV), json={"queries": queries}, timeout=60
        )
        answer.raise_for_status()
        results = answer.json()["results"]
    except (requests.RequestException, ValueError, KeyError) as error:
        print(f"audit: the database of Debian's vulnerabilities cannot be asked: {error!s:.200}")
        return 0, len(packages)
    known = dict(zip(sources, results, strict=False))
    missing = sum((p["source"], p["source_version"]) not in known for p in packages)
    flaws = 0
    for (name, version), result in known.items():
        found = [flaw["id"] for flaw in (result or {}).get("vulns", ())]
        flaws += len(found)
        if found:
            print(f"audit: {name} {version}: {', '.join(found)}")
    return flaws, missing


def audit_python(image: str, packages: list[dict[str, Any]]) -> int:
    """Print the known vulnerabilities of Python packages."""
    # The trainer is in no database; what we build ourselves is there by its own version.
    listed = [
        f"{p['name']}=={p['version'].partition('+')[0]}"
        for p in packages
        if p["name"] != "trainer-anywhere"
    ]
    command = [sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip", "--format", "json"]
    why = "no answer"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "audited.txt"
        file.write_text("\n".join(listed) + "\n")
        try:
            ran = subprocess.run(
                [*command, "--progress-spinner", "off", "-r", str(file)],
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
            why = (ran.stderr.strip().splitlines() or [why])[-1]
            listed = json.loads(ran.stdout)["dependencies"]
        except (subprocess.TimeoutExpired, json.JSONDecodeError, KeyError):
            print(f"audit: {image}: the database of vulnerabilities cannot be asked: {why[:200]}")
            listed = []
    code = known = 0
    for package in listed:
        for flaw in package.get("vulns", ()):
            known += 1
            mended = ", ".join(flaw["fix_versions"])
            code |= VULNERABLE if mended else WELL
            print(f"audit: {package['name']} {package['version']}: {flaw['id']}", end=" ")
            print(f"(mended in {mended})" if mended else "(not mended yet)")
    asked = sum("skip_reason" not in package for package in listed)
    print(f"audit: {image}: {known} known vulnerabilities of Python packages,", end=" ")
    print(f"{len(listed) - asked} of {len(listed)} could not be looked up")
    return code if asked else UNKNOWN
