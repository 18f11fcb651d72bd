"""The wheel, the source archive and the site, with the same bytes for the same commit."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from release.checks import Commit, ReleaseError

# Of what setuptools writes by itself; the modes are in the wheel.
UMASK = 0o022
BUILD = "from setuptools import build_meta; build_meta.build_{}({!r})"


def export(root: Path, commit: Commit, folder: Path) -> None:
    """Write the files of a commit, and none that lies beside them, into a folder."""
    archive = subprocess.run(
        ["git", "archive", "--format=tar", commit.revision],
        cwd=root,
        capture_output=True,
        check=True,
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    # A wheel has the modes of its files, and those follow from who builds it.
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


def build_packages(source: Path, commit: Commit, out: Path) -> None:
    """Build the wheel and the source archive."""
    for kind in ("wheel", "sdist"):
        _run(source, commit, "-c", BUILD.format(kind, str(out)))
    (archive,) = out.glob("trainer_anywhere-*.tar.gz")
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        # setuptools writes the time of the build and the name of who builds into it.
        pack(Path(folder), archive, commit.epoch)


def build_site(source: Path, commit: Commit, out: Path) -> None:
    """Build the site of the documentation, as one archive."""
    name = f"trainer-docs-{commit.version}"
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder) / name
        _run(source, commit, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(site))
        # For search engines alone, and it has the time of its making in it.
        (site / "sitemap.xml.gz").unlink(missing_ok=True)
        pack(Path(folder), out / f"{name}.tar.gz", commit.epoch)


def pack(folder: Path, archive: Path, epoch: int) -> None:
    """Pack what is in a folder, in the order of names, with nothing of this machine or moment."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(folder.rglob("*")):
            item = tar.gettarinfo(path, str(path.relative_to(folder)))
            item.uid = item.gid = 0
            item.uname = item.gname = ""
            item.mtime = epoch
            item.mode = 0o755 if item.isdir() or item.mode & 0o100 else 0o644
            with path.open("rb") if item.isfile() else io.BytesIO() as content:
                tar.addfile(item, content if item.isfile() else None)
    with archive.open("wb") as file, gzip.GzipFile("", "wb", fileobj=file, mtime=epoch) as packed:
        plain.seek(0)
        shutil.copyfileobj(plain, packed)


def _run(source: Path, commit: Commit, *words: str) -> None:
    """Run Python in the exported sources, with the commit's time as that of the build."""
    env = {**os.environ, "SOURCE_DATE_EPOCH": str(commit.epoch), "NO_MKDOCS_2_WARNING": "1"}
    env["PYTHONPATH"] = str(source / "src")
    done = subprocess.run(
        [sys.executable, *words], cwd=source, env=env, umask=UMASK,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise ReleaseError(f"{words[-1] if words[0] == '-c' else 'mkdocs'}: {''.join(last)}")
