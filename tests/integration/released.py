"""A repository of the sources as they are now, and the release that is built of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEADLINE = 300
NOTES = "- `trainer train` trains."


def git(repository: Path, *words: str) -> str:
    """Run git as somebody, with none of this machine's settings."""
    env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    for role in ("AUTHOR", "COMMITTER"):
        env |= {f"GIT_{role}_NAME": "a", f"GIT_{role}_EMAIL": "a@b",
                f"GIT_{role}_DATE": "2026-01-02T03:04:06Z"}  # fmt: skip
    return subprocess.run(
        ["git", *words], cwd=repository, env=env, capture_output=True, text=True,
        timeout=DEADLINE, check=True,
    ).stdout  # fmt: skip


def repository(folder: Path, version: str) -> Path:
    """Commit a copy of the sources, with notes of one version."""
    listed = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        # Other users of the folder may not read what is checked out: no matter.
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    (folder / "CHANGELOG.md").write_text(f"# Changelog\n\n## {version}, 2026-01-02\n\n{NOTES}\n")
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "All")
    return folder


def release(folder: Path, *words: str, umask: int = 0o022) -> subprocess.CompletedProcess[str]:
    """Run what `make release` runs."""
    return subprocess.run(
        [sys.executable, "-m", "release", *words], cwd=folder, umask=umask,
        capture_output=True, text=True, timeout=DEADLINE, check=False,
    )  # fmt: skip


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a release: packages, notes, manifest and checksums."""
    from trainer import __version__

    root = repository(tmp_path_factory.mktemp("released") / "trainer", __version__)
    done = release(root, "--without", "docs", "images")
    assert done.returncode == 0, done.stdout + done.stderr
    return root / "dist" / __version__
