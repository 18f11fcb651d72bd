"""Build a release of the commit that is checked out, into dist/VERSION.

    make release                          # packages, site, images of this commit, sums
    make release ARGS='--without docs images'
    make release ARGS=--save-images       # and the images' archives: 1.6 and 6.3 GB

Nothing is uploaded. The last line is the command that does.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from release import images as of_images
from release.checks import Commit, ReleaseError, commit_of
from release.images import Image
from release.packages import build_packages, build_site, export

ROOT = Path(__file__).parent.parent
SUMS, NOTES, MANIFEST = "SHA256SUMS", "RELEASE_NOTES.md", "manifest.json"


def main() -> int:
    """Build everything beside the place where it belongs, and move it there when it is whole."""
    parser = argparse.ArgumentParser(
        prog="make release", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--without", nargs="+", default=(), choices=("docs", "images"))
    parser.add_argument("--images", nargs="+", default=("trainer:cpu", "trainer:gpu"))
    parser.add_argument("--docker", default="", help="the engine's client")
    parser.add_argument("--save-images", action="store_true", help="write their archives, too")
    args = parser.parse_args()
    dist = ROOT / "dist"
    dist.mkdir(exist_ok=True)
    try:
        commit = commit_of(ROOT)
        with tempfile.TemporaryDirectory(dir=dist) as folder:
            out = Path(folder) / commit.version
            out.mkdir()
            build(commit, out, args)
            shutil.rmtree(dist / commit.version, ignore_errors=True)
            out.rename(dist / commit.version)
    except ReleaseError as error:
        print(f"release: {error}", file=sys.stderr)
        return 2
    verify(dist / commit.version)
    print(f"release: dist/{commit.version} is whole; nothing was uploaded. To publish it:")
    print(publish_command(commit))
    return 0


def build(commit: Commit, out: Path, args: argparse.Namespace) -> None:
    """Build all parts into a folder."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "trainer"
        source.mkdir()
        export(ROOT, commit, source)
        build_packages(source, commit, out)
        if "docs" not in args.without:
            build_site(source, commit, out)
    (out / NOTES).write_text(f"# trainer {commit.version}\n\n{commit.notes}\n")
    found = [] if "images" in args.without else examine_images(commit, out, args)
    write_manifest(commit, found, out)
    lines = [f"{checksum(path)}  {path.name}" for path in sorted(out.iterdir())]
    (out / SUMS).write_text("\n".join(lines) + "\n")


def examine_images(commit: Commit, out: Path, args: argparse.Namespace) -> list[Image]:
    """Write the lists of the images that are of this commit, and name those that are not."""
    if not args.docker:
        print("release: images left out: no Docker client that can build is here", file=sys.stderr)
        return []
    found = []
    for name in args.images:
        image = of_images.inspect(args.docker, name)
        against = of_images.reason_against(image, commit)
        if image is None or against:
            print(f"release: {name} left out: {against}", file=sys.stderr)
            continue
        known = of_images.list_packages(ROOT, args.docker, image, out)
        print(f"release: {name}: {known}", file=sys.stderr)
        if args.save_images:
            of_images.save(args.docker, image, commit, out)
        found.append(dataclasses.replace(image, vulnerabilities=known))
    return found


def write_manifest(commit: Commit, images: list[Image], out: Path) -> None:
    """Write what the release consists of."""
    files = [
        {"name": path.name, "bytes": path.stat().st_size, "sha256": checksum(path)}
        for path in sorted(out.iterdir())
    ]
    manifest = {
        "version": commit.version,
        "tag": commit.tag,
        "revision": commit.revision,
        "date": datetime.fromtimestamp(commit.epoch, UTC).isoformat(),
        "files": files,
        "images": [dataclasses.asdict(image) for image in images],
    }
    (out / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(folder: Path) -> None:
    """Check the files by the program that users have for it."""
    subprocess.run(["sha256sum", "--check", "--quiet", SUMS], cwd=folder, check=True)
    for line in (folder / SUMS).read_text().splitlines():
        print(line)


def publish_command(commit: Commit) -> str:
    """Return the command that tags the commit and uploads the packages."""
    return (
        f"git tag {commit.tag} {commit.revision[:12]} && git push origin {commit.tag} && "
        f".venv/bin/uv publish dist/{commit.version}/trainer_anywhere-{commit.version}*"
    )


if __name__ == "__main__":
    sys.exit(main())
