"""Checks that a commit may become a release."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

# How long a remote repository may take to list its tags.
SECONDS = 30


class ReleaseError(Exception):
    """A reason, in one line, why there is no release of this commit."""


@dataclass(frozen=True)
class Commit:
    """The commit that is released.

    Attributes:
        version: Of the package, as `src/trainer/__init__.py` has it.
        revision: The commit's whole hash.
        epoch: When it was made, in seconds since 1970; everything built of it bears this time.
        notes: The changelog's section of this version.
    """

    version: str
    revision: str
    epoch: int
    notes: str

    @property
    def tag(self) -> str:
        """Return the name of its tag."""
        return f"v{self.version}"


def git(root: Path, *words: str, timeout: float | None = None) -> str:
    """Return what git prints, or raise CalledProcessError."""
    return subprocess.run(
        ["git", *words], cwd=root, capture_output=True, text=True, timeout=timeout, check=True
    ).stdout


def commit_of(root: Path) -> Commit:
    """Return the commit of a working tree.

    Raises:
        ReleaseError: The tree has changes, the version has no notes, or its tag is elsewhere.
    """
    changed = git(root, "status", "--porcelain").splitlines()
    if changed:
        first = changed[0][3:]
        raise ReleaseError(
            f"{first}: not committed ({len(changed)} in all): commit it, or remove it"
        )
    version = version_of(root)
    commit = Commit(
        version=version,
        revision=git(root, "rev-parse", "HEAD").strip(),
        epoch=int(git(root, "log", "-1", "--format=%ct")),
        notes=notes_of((root / "CHANGELOG.md").read_text(), version),
    )
    check_tag(root, commit)
    return commit


def version_of(root: Path) -> str:
    """Return the version that the sources have."""
    source = (root / "src/trainer/__init__.py").read_text()
    found = re.search(r'^__version__ = "(.+)"$', source, re.MULTILINE)
    if not found:
        raise ReleaseError("src/trainer/__init__.py: no line with __version__")
    return found[1]


def notes_of(changelog: str, version: str) -> str:
    """Return the section of a version, without its heading."""
    sections = {
        heading.split(",")[0].strip(): text.strip()
        for heading, _, text in (part.partition("\n") for part in changelog.split("\n## ")[1:])
    }
    if sections.get("Unreleased"):
        raise ReleaseError(f"CHANGELOG.md: notes under Unreleased: move them under {version}")
    if not sections.get(version):
        raise ReleaseError(
            f"CHANGELOG.md: no notes under `## {version}`: write them, or mend __version__"
        )
    return sections[version]


def check_tag(root: Path, commit: Commit) -> None:
    """Refuse a version whose tag, here or in a remote repository, names another commit."""
    tag = f"refs/tags/{commit.tag}"
    places = {"here": ["show-ref", "--dereference", tag]}
    for remote in git(root, "remote").split():
        places[f"in {remote}"] = ["ls-remote", "--tags", remote, tag, f"{tag}^{{}}"]
    for place, command in places.items():
        try:
            listed = git(root, *command, timeout=SECONDS).split("\n")
        except subprocess.TimeoutExpired:
            raise ReleaseError(f"{place[3:]}: does not list its tags within {SECONDS} s") from None
        except subprocess.CalledProcessError as error:
            if place == "here":
                continue  # git's way to say that there is no such tag
            reason = error.stderr.strip().partition("\n")[0]
            raise ReleaseError(f"{place[3:]}: does not list its tags: {reason}") from None
        # Of a tag with a message the last line, with ^{}, has the commit.
        commits = [line.split()[0] for line in sorted(filter(None, listed), key=len)]
        if commits and commits[-1] != commit.revision:
            raise ReleaseError(
                f"{commit.tag}: {place} it is the tag of {commits[-1][:12]}, and this is "
                f"{commit.revision[:12]}: raise __version__ in src/trainer/__init__.py"
            )
