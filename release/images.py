"""The images of a release: their digests, and lists of what is in them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from release.checks import Commit, ReleaseError

LABELS = "org.opencontainers.image."
# The exit codes of docker/sbom.py.
FOUND = {
    0: "no known vulnerability that an update would mend",
    1: "known vulnerabilities, listed above",
    3: "not looked up: no database of vulnerabilities answered",
}


@dataclass(frozen=True)
class Image:
    """An image of a release.

    Attributes:
        name: As the engine here knows it, NAME:TAG.
        id: The digest of its configuration.
        digests: The names by which registries give it, once it has been pushed.
        size: In bytes, unpacked.
        labels: All that it bears: version, revision, base and the day of Debian's updates.
        vulnerabilities: What the databases know of its packages.
    """

    name: str
    id: str
    digests: tuple[str, ...] = ()
    size: int = 0
    labels: dict[str, str] = field(default_factory=dict)
    vulnerabilities: str = ""


def inspect(docker: str, name: str) -> Image | None:
    """Return what the engine knows of an image; None where there is no such image."""
    done = subprocess.run(
        [docker, "image", "inspect", name], capture_output=True, text=True, check=False
    )
    if done.returncode:
        return None
    (known,) = json.loads(done.stdout)
    return Image(
        name=name,
        id=known["Id"],
        digests=tuple(known.get("RepoDigests") or ()),
        size=known["Size"],
        labels=known["Config"]["Labels"] or {},
    )


def reason_against(image: Image | None, commit: Commit) -> str:
    """Return why an image is not of this commit; empty where it is."""
    if image is None:
        return "not here: make image image-gpu"
    revision = image.labels.get(f"{LABELS}revision", "")
    if revision and commit.revision.startswith(revision):
        return ""
    return (
        f"built of {revision or 'no commit'}, not of {commit.revision[:12]}: make image image-gpu"
    )


def list_packages(root: Path, docker: str, image: Image, out: Path) -> str:
    """Write the list of an image's packages, and return what is known of them."""
    done = subprocess.run(
        [root / ".venv-audit/bin/python", "docker/sbom.py", docker, image.name],
        cwd=root, check=False, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    print(done.stdout, end="", flush=True)
    if done.returncode not in FOUND:
        raise ReleaseError(f"{image.name}: docker/sbom.py ended with {done.returncode}, see above")
    made = root / done.stdout.split("sbom: ", 1)[1].partition(":")[0]
    shutil.move(made, out / made.name)
    return FOUND[done.returncode]


def save(docker: str, image: Image, commit: Commit, out: Path) -> None:
    """Write an image as an archive for `docker load`."""
    file = out / f"{image.name.replace('/', '-').replace(':', '-')}-{commit.version}.tar"
    if subprocess.run([docker, "save", "--output", file, image.name], check=False).returncode:
        raise ReleaseError(f"{image.name}: docker save failed, see above")
    file.chmod(0o644)
    print(f"release: {file.name}", file=sys.stderr)
