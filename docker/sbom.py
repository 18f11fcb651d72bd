"""Say what is in an image, and which of it is known to be vulnerable.

    make sbom
    .venv-audit/bin/python docker/sbom.py DOCKER IMAGE…

For each image dist/NAME-TAG.cdx.json is written: CycloneDX, the image's digest and revision, and
every Debian and Python package with its licences and the hash of what was downloaded. Then
docker/audit.py asks which of them are known to be vulnerable; its exit codes are this program's.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import audit
from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense, License
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

HERE = Path(__file__).parent
DIST = HERE.parent / "dist"
SECONDS = 300
LABELS = "org.opencontainers.image."


def main(docker: str, images: list[str]) -> int:
    """Examine images one after the other."""
    DIST.mkdir(exist_ok=True)
    code = 0
    for image in images:
        found = look(docker, image)
        name = re.sub(r"[^\w.-]", "-", image)
        file = DIST / f"{name}.cdx.json"
        file.write_text(sbom(image, inspect(docker, image), found))
        print(f"sbom: {file.relative_to(DIST.parent)}: {len(found['debian'])} Debian and", end=" ")
        print(f"{len(found['python'])} Python packages")
        code = code or audit.audit(docker, image, found)
    return code


def look(docker: str, image: str) -> dict[str, Any]:
    """Return the packages of an image, as its own tools know them."""
    command = [
        docker,
        "run",
        "--rm",
        "-i",
        "--network",
        "none",
        "--entrypoint",
        "python3",
        image,
        "-",
    ]
    ran = subprocess.run(
        command,
        input=(HERE / "look.py").read_text(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if ran.returncode:
        sys.exit(f"docker/sbom: {image}: {ran.stderr.strip() or 'cannot be run'}")
    return json.loads(ran.stdout)


def inspect(docker: str, image: str) -> dict[str, Any]:
    """Return what the engine knows of an image."""
    described = subprocess.check_output(
        [docker, "image", "inspect", image], text=True, timeout=SECONDS
    )
    return json.loads(described)[0]


def sbom(image: str, known: dict[str, Any], found: dict[str, Any]) -> str:
    """Return the list as CycloneDX has it."""
    bom = Bom()
    whole = described(image, known)
    bom.metadata.component = whole
    system = found["system"]
    for package in found["debian"]:
        where = {
            "arch": package["architecture"],
            "distro": f"{system['ID']}-{system.get('VERSION_ID', '')}",
        }
        url = PackageURL("deb", system["ID"], package["name"], package["version"], qualifiers=where)
        bom.components.add(component(package, url))
    for package in found["python"]:
        url = PackageURL("pypi", None, package["name"].lower(), package["version"])
        bom.components.add(component(package, url))
    bom.register_dependency(whole, bom.components)
    return make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2)


def described(image: str, known: dict[str, Any]) -> Component:
    """Return the image: its digest, of which commit it is, and on what and when it was built.

    The digest by which a registry names it is there once it has been pushed; its ID, the digest of
    its configuration, always.
    """
    name, _, tag = image.rpartition(":")
    digest = known["Id"].removeprefix("sha256:")
    labels = known["Config"]["Labels"] or {}
    facts = {
        key: labels.get(LABELS + key, "")
        for key in ("version", "revision", "created", "base.name", "base.digest")
    }
    facts |= {"debian.date": labels.get("trainer.debian.date", ""), "id": known["Id"]}
    facts["digest"] = " ".join(known.get("RepoDigests") or ())
    return Component(
        name=name,
        version=tag,
        type=ComponentType.CONTAINER,
        purl=PackageURL("oci", None, name.rpartition("/")[2], known["Id"], qualifiers={"tag": tag}),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
        licenses=licences([labels.get(LABELS + "licenses", "")]),
        properties=[Property(name=f"trainer:{k}", value=v) for k, v in facts.items() if v],
    )


def component(package: dict[str, Any], url: PackageURL) -> Component:
    """One package."""
    digest = package["sha256"]
    return Component(
        name=package["name"],
        version=package["version"],
        purl=url,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)] if digest else (),
        licenses=licences(package["licenses"]),
    )


def licences(names: Iterable[str]) -> list[License]:
    """Licences as CycloneDX has them: one SPDX expression, or any number of names."""
    named = [name for name in names if name]
    if len(named) == 1:
        return [LicenseFactory().make_from_string(named[0])]
    return [DisjunctiveLicense(name=name) for name in named]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
