"""Say what is in an image, and which of it is known to be vulnerable.

    make sbom
    .venv-audit/bin/python docker/sbom.py DOCKER IMAGE…

For each image dist/NAME-TAG.cdx.json is written: CycloneDX, every Debian and Python package. Exit
code 1 if one of the Python packages has a known vulnerability that a newer version does not have.
Where the database cannot be reached, that is said, and the lists alone are made.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

DIST = Path(__file__).parent.parent / "dist"
SECONDS = 300

# Runs in the image; nothing but Python and dpkg is needed there.
LOOK = """
import importlib.metadata, json, platform, subprocess
form = "${db:Status-Abbrev}\\t${Package}\\t${Version}\\t${Architecture}\\n"
lines = subprocess.check_output(["dpkg-query", "-W", "-f", form], text=True).splitlines()
debian = [line.split("\\t")[1:] for line in lines if line.startswith("ii")]
python = [[d.metadata["Name"], d.version] for d in importlib.metadata.distributions()]
system = platform.freedesktop_os_release()
print(json.dumps({"debian": debian, "python": python, "system": system}))
"""


def main(docker: str, images: list[str]) -> int:
    """Examine images one after the other."""
    DIST.mkdir(exist_ok=True)
    code = 0
    for image in images:
        found = look(docker, image)
        name = re.sub(r"[^\w.-]", "-", image)
        file = DIST / f"{name}.cdx.json"
        file.write_text(sbom(image, found))
        print(f"sbom: {file.relative_to(DIST.parent)}: {len(found['debian'])} Debian and", end=" ")
        print(f"{len(found['python'])} Python packages")
        code |= audit(image, found["python"])
    return code


def look(docker: str, image: str) -> dict[str, Any]:
    """The packages of an image, as its own tools tell them."""
    command = [docker, "run", "--rm", "--network", "none", "--entrypoint", "python3", image]
    ran = subprocess.run(
        [*command, "-c", LOOK], capture_output=True, text=True, timeout=SECONDS, check=False
    )
    if ran.returncode:
        sys.exit(f"docker/sbom: {image}: {ran.stderr.strip() or 'cannot be run'}")
    return json.loads(ran.stdout)


def sbom(image: str, found: dict[str, Any]) -> str:
    """The list as CycloneDX has it."""
    name, _, tag = image.rpartition(":")
    bom = Bom()
    whole = Component(name=name, version=tag, type=ComponentType.CONTAINER)
    bom.metadata.component = whole
    system = found["system"]
    for package, version, architecture in found["debian"]:
        where = {"arch": architecture, "distro": f"{system['ID']}-{system.get('VERSION_ID', '')}"}
        url = PackageURL("deb", system["ID"], package, version, qualifiers=where)
        bom.components.add(Component(name=package, version=version, purl=url))
    for package, version in found["python"]:
        url = PackageURL("pypi", None, package.lower(), version)
        bom.components.add(Component(name=package, version=version, purl=url))
    bom.register_dependency(whole, bom.components)
    return make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2)


def audit(image: str, packages: list[list[str]]) -> int:
    """Print the known vulnerabilities of Python packages; 1 if a newer version mends one."""
    # The trainer is in no database; what we build ourselves is there by its own version.
    listed = [f"{n}=={v.partition('+')[0]}" for n, v in packages if n != "trainer-anywhere"]
    file = DIST / "audited.txt"
    file.write_text("\n".join(listed) + "\n")
    command = [sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip", "-r", str(file)]
    why = "no answer"
    try:
        ran = subprocess.run(
            [*command, "--format", "json", "--progress-spinner", "off"],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        why = (ran.stderr.strip().splitlines() or [why])[-1]
        told = json.loads(ran.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, json.JSONDecodeError, KeyError):
        print(f"audit: {image}: the database of vulnerabilities cannot be asked: {why[:200]}")
        return 0
    finally:
        file.unlink()
    code = known = 0
    for package in told:
        for flaw in package.get("vulns", ()):
            known += 1
            mended = ", ".join(flaw["fix_versions"])
            code |= bool(mended)
            print(f"audit: {package['name']} {package['version']}: {flaw['id']}", end=" ")
            print(f"(mended in {mended})" if mended else "(not mended yet)")
    print(f"audit: {image}: {known} known vulnerabilities")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
