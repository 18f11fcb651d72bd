"""Say in which files two images differ, other than where two builds of one commit may.

    python3 docker/differences.py DOCKER IMAGE OTHER

A line for each file that only one of them has, or whose content, kind, owner or mode is another;
exit code 1 if there is one. docker/differences.txt lists where builds may differ, and why. When a
file was written is not compared, nor what the engine notes of an image: its labels say when it was
built.

    docker/build-image cpu trainer:one --no-cache
    docker/build-image cpu trainer:two --no-cache       or --build-arg AGAIN=2: the last steps alone
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

EXPECTED = Path(__file__).parent / "differences.txt"


class Entry(NamedTuple):
    """What is compared of a file."""

    kind: bytes
    mode: int
    owner: tuple[int, int]
    link: str
    digest: str


def main(docker: str, *images: str) -> int:
    """Compare two images."""
    one, other = (files(docker, image) for image in images)
    expected = [
        line.split()[0] for line in EXPECTED.read_text().splitlines() if line[:1] not in "#"
    ]
    changed = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
    strange = [name for name in changed if not any(fnmatchcase(name, p) for p in expected)]
    for name in strange:
        alone = [image for image, own in zip(images, (one, other), strict=True) if name not in own]
        print(f"/{name}: not in {alone[0]}" if alone else f"/{name}: differs")
    print(
        f"differences: {len(changed) - len(strange)} expected, {len(strange)} others, of {len(one)}"
    )
    return bool(strange)


def files(docker: str, image: str) -> dict[str, Entry]:
    """Every file of an image, by its name."""
    container = subprocess.check_output([docker, "create", image], text=True).strip()
    found = {}
    try:
        with (
            subprocess.Popen([docker, "export", container], stdout=subprocess.PIPE) as process,
            tarfile.open(fileobj=process.stdout, mode="r|") as tar,
        ):
            for member in tar:
                found[member.name.rstrip("/")] = entry(tar, member)
    finally:
        subprocess.check_call([docker, "rm", container], stdout=subprocess.DEVNULL)
    return found


def entry(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Entry:
    """Return what is compared of one file."""
    stream = tar.extractfile(member) if member.isfile() else None
    digest = hashlib.file_digest(stream, "sha256").hexdigest() if stream else ""
    return Entry(member.type, member.mode, (member.uid, member.gid), member.linkname, digest)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
