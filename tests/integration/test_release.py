"""`make release`: what it builds of a commit, and which commits it refuses."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tarfile
from pathlib import Path

import pytest
from released import NOTES, git, release, repository

from trainer import __version__

WHEEL = f"trainer_anywhere-{__version__}-py3-none-any.whl"
SDIST = f"trainer_anywhere-{__version__}.tar.gz"
SKIP = ("--without", "docs", "images")


@pytest.fixture
def commit(released: Path, tmp_path: Path) -> Path:
    """A repository of its own, of the commit that is released."""
    git(tmp_path, "clone", "--quiet", str(released.parents[1]), "trainer")
    git(tmp_path / "trainer", "remote", "remove", "origin")
    return tmp_path / "trainer"


def test_it_has_packages_notes_and_checksums_that_hold(released: Path):
    names = {path.name for path in released.iterdir()}
    assert names == {WHEEL, SDIST, "RELEASE_NOTES.md", "manifest.json", "SHA256SUMS"}
    checked = subprocess.run(
        ["sha256sum", "--check", "SHA256SUMS"],
        cwd=released, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert checked.stdout.count(": OK\n") == len(names) - 1
    assert NOTES in (released / "RELEASE_NOTES.md").read_text()
    manifest = json.loads((released / "manifest.json").read_text())
    assert manifest["revision"] == git(released.parents[1], "rev-parse", "HEAD").strip()
    assert manifest["tag"] == f"v{__version__}"
    listed = {file["name"]: file["sha256"] for file in manifest["files"]}
    assert listed[WHEEL] == hashlib.sha256((released / WHEEL).read_bytes()).hexdigest()


def test_the_source_archive_builds_the_package(released: Path):
    with tarfile.open(released / SDIST) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "src/trainer/py.typed"} <= names
    assert "src/trainer/serving/page.html" in names
    assert not any(name.startswith("tests/") for name in names)


@pytest.fixture(scope="module")
def again(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The same commit built elsewhere, by somebody whose files others may not read."""
    folder = tmp_path_factory.mktemp("again")
    root = repository(folder / "elsewhere", __version__)
    # What lies beside the sources is in no package.
    (root / "build/lib/trainer").mkdir(parents=True)
    (root / "build/lib/trainer/stray.py").write_text("")
    # The engine's client, as far as a release asks it before it looks into an image.
    client = folder / "docker"
    labels = '{"org.opencontainers.image.revision": "0123456789ab"}'
    known = f'[{{"Id": "sha256:1", "Size": 2, "Config": {{"Labels": {labels}}}}}]'
    client.write_text(f"#!/bin/sh\ncase $3 in *:cpu) echo '{known}' ;; *) exit 1 ;; esac\n")
    client.chmod(0o755)
    done = release(root, "--without", "docs", "--docker", str(client), umask=0o077)
    assert done.returncode == 0, done.stdout + done.stderr
    return root / "dist" / __version__, done


def test_the_same_commit_gives_the_same_bytes_wherever_it_is_built(released: Path, again):
    for name in (WHEEL, SDIST):
        assert (again[0] / name).read_bytes() == (released / name).read_bytes(), name


def test_images_of_another_commit_are_left_out(again):
    folder, done = again
    assert "release: trainer:cpu left out: built of 0123456789ab, not of" in done.stderr
    assert "release: trainer:gpu left out: not here" in done.stderr
    assert json.loads((folder / "manifest.json").read_text())["images"] == []


def test_it_ends_with_the_command_that_would_publish(again):
    assert again[1].stdout.splitlines()[-1].startswith(f"git tag v{__version__} ")


def refused(folder: Path) -> str:
    done = release(folder, *SKIP)
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert not (folder / "dist" / __version__).exists()
    return line


def test_a_tree_with_changes_is_refused(commit: Path):
    (commit / "new.py").write_text("")
    assert refused(commit).startswith("release: new.py: not committed (1 in all)")


@pytest.mark.parametrize("heading", ["## 0.0.1", f"## Unreleased\n\n- New.\n\n## {__version__}"])
def test_a_version_without_its_own_notes_is_refused(commit: Path, heading: str):
    (commit / "CHANGELOG.md").write_text(f"# Changelog\n\n{heading}\n\n- Old.\n")
    git(commit, "commit", "--quiet", "-am", "Change the notes")
    line = refused(commit)
    assert line.startswith("release: CHANGELOG.md: no")
    assert __version__ in line


@pytest.mark.parametrize("message", [(), ("-a", "-m", "Release")])
@pytest.mark.parametrize("where", ["here", "in origin"])
def test_a_tag_of_another_commit_is_refused(
    commit: Path, tmp_path: Path, where: str, message: tuple[str, ...]
):
    git(commit, "tag", *message, f"v{__version__}")
    if where != "here":
        git(commit, "clone", "--quiet", "--bare", ".", str(tmp_path / "origin"))
        git(commit, "remote", "add", "origin", str(tmp_path / "origin"))
        git(commit, "tag", "-d", f"v{__version__}")
    old = git(commit, "rev-parse", "HEAD")[:12]
    git(commit, "commit", "--quiet", "--allow-empty", "-m", "Go on")
    assert refused(commit).startswith(
        f"release: v{__version__}: {where} it is the tag of {old}, and this is "
    )


def test_a_remote_repository_that_does_not_answer_is_named(commit: Path, tmp_path: Path):
    git(commit, "remote", "add", "origin", str(tmp_path / "nothing"))
    assert refused(commit).startswith("release: origin: does not list its tags: ")
