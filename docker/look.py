"""Print what is installed in an image, as JSON. Runs in the image, whose Python and dpkg it uses.

Each package has its name, version, the SHA-256 of what was downloaded and its licences; where they
are not known the hash is empty, and the list of licences too.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

# Written by docker/system/install and docker/build/environment.
SHARE = Path("/opt/trainer/share")
FIELDS = (
    "db:Status-Abbrev",
    "Package",
    "Version",
    "Architecture",
    "source:Package",
    "source:Version",
)
FORM = "\t".join(f"${{{field}}}" for field in FIELDS) + "\n"
CLASSIFIER = "License :: OSI Approved :: "


def rows(name: str) -> list[list[str]]:
    """Return the lines of one of the image's own lists."""
    file = SHARE / name
    return [line.split("\t") for line in file.read_text().splitlines()] if file.exists() else []


def debian() -> Iterator[dict[str, object]]:
    """Each Debian package that is installed."""
    hashes = {(row[0], row[1], row[2]): row[5] for row in rows("debian-packages.txt")}
    listed = subprocess.check_output(["dpkg-query", "-W", "-f", FORM], text=True)
    lines = [line.split("\t") for line in listed.splitlines() if line.startswith("ii")]
    # A package that has no such file shares that of another one of its source.
    licenses: dict[str, list[str]] = {}
    for _, name, _, _, source, _ in lines:
        licenses[source] = licenses.get(source) or copyright_of(name)
    for _, name, version, architecture, source, source_version in lines:
        digest = hashes.get((name, version, architecture), "-")
        yield {
            "name": name,
            "version": version,
            "architecture": architecture,
            "source": source,
            "source_version": source_version,
            "sha256": digest if digest != "-" else "",
            "licenses": copyright_of(name) or licenses[source],
        }


def copyright_of(package: str) -> list[str]:
    """Return the licences that a Debian package names, from its file `copyright`."""
    file = Path("/usr/share/doc") / package / "copyright"
    text = file.read_text(errors="replace") if file.exists() else ""
    found = re.findall(r"^License:[ \t]*(\S.*)$", text, re.MULTILINE)
    # Older files are prose that points to the texts which Debian has of the common ones.
    found = found or re.findall(r"/usr/share/common-licenses/([\w.+-]*\w)", text)
    return sorted({name.strip() for name in found})


def python() -> Iterator[dict[str, object]]:
    """Each Python package that is installed."""
    hashes = {(canonical(row[0]), row[1]): row[2] for row in rows("python-packages.txt")}
    for found in importlib.metadata.distributions():
        name = found.metadata["Name"]
        yield {
            "name": name,
            "version": found.version,
            "sha256": hashes.get((canonical(name), found.version), ""),
            "licenses": licences_of(found.metadata),
        }


def licences_of(metadata: importlib.metadata.PackageMetadata) -> list[str]:
    """Return the licences that a Python package names."""
    classifiers = metadata.get_all("Classifier") or ()
    listed = sorted({c.removeprefix(CLASSIFIER) for c in classifiers if c.startswith(CLASSIFIER)})
    written = metadata.get("License-Expression") or metadata.get("License") or ""
    # Some have the whole text there.
    return [written] if written and "\n" not in written and written != "UNKNOWN" else listed


def canonical(name: str) -> str:
    """Return a package's name as indexes spell it."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    system = platform.freedesktop_os_release()
    print(json.dumps({"debian": list(debian()), "python": list(python()), "system": system}))
