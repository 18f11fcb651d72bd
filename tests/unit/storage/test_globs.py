"""Globs: what is a pattern, what it matches, and that it does so on disk as in a store."""

from pathlib import Path

import pytest

from trainer.storage import globs


def make(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


@pytest.mark.parametrize(
    ("path", "pattern", "fits"),
    [
        ("a/b-1", "a/b-*", True),
        ("a/b-1/c/d", "a/b-*", True),
        ("a/b", "a/b-*", False),
        ("a/x/b", "a/*", True),
        ("a", "a/*", False),
        ("a/x/y/b", "**/b", True),
        ("b", "**/b", True),
        ("a/x/y/b", "a/**", True),
        ("a/x/y/b", "a/**/b", True),
        ("a/x/y/c", "a/**/b", False),
        ("a/b", "A/b", False),
        ("a/b3", "a/b[1-3]", True),
        ("a/b4", "a/b[!1-3]", True),
        ("a/bc", "a/b?", True),
        ("a/_SUCCESS", "a/*", False),
        ("a/_SUCCESS", "a/_*", True),
        ("a/_temporary/0/b", "a/*", False),
        ("a/_temporary/b", "a/**/b", False),
        (".git/b", "**/b", False),
        ("a/x[1]", "a/x[1]", True),
    ],
)
def test_globs(path, pattern, fits):
    assert globs.matches(path.split("/"), pattern.split("/")) is fits


NAMES = [
    "run[1]/a", "run[1]/b", "run1/a", "run1/deep/er/a", "x/_SUCCESS", "x/_temporary/0/a", "x/a*",
    "x/aa", ".git/a", "_hidden/a", "q?/a",
]  # fmt: skip


@pytest.mark.parametrize(
    "pattern",
    [
        "run[1]/*", "run[12]/*", "run1/**/a", "**/a", "*/a", "x/*", "x/a*", "x/a?", "x/_*", "*",
        "_*/a", "q?/*", "nothing*", "run[1]", "r*/deep", "**",
    ],
)  # fmt: skip
def test_a_glob_matches_on_disk_what_it_matches_among_the_objects_of_a_store(tmp_path, pattern):
    make(tmp_path, *NAMES)
    folders = {str(up) for name in NAMES for up in Path(name).parents}
    top, rest = globs.split(pattern, lambda name: name in folders or name in NAMES)
    below = [name for name in NAMES if not top or name == top or name.startswith(top + "/")]
    start = len(Path(top).parts)
    expected = {name for name in below if globs.matches(name.split("/")[start:], rest)}
    found = set()
    for path in globs.find(tmp_path / pattern):
        files = [path] if path.is_file() else [f for f in path.rglob("*") if f.is_file()]
        found |= {f.relative_to(tmp_path).as_posix() for f in files}
    assert found == expected


def test_links_to_folders_are_followed_and_loops_of_them_end(tmp_path):
    make(tmp_path, "real/train/a")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real/train/back").symlink_to(tmp_path)
    assert tmp_path / "link/train/a" in globs.find(tmp_path / "l*/**/a")


def test_what_nobody_may_look_into_has_no_matches(tmp_path):
    make(tmp_path, "open/a", "file")
    assert globs.find(tmp_path / "*/a") == [tmp_path / "open/a"]
    assert globs.find(tmp_path / "file/*") == []
    assert globs.find(tmp_path / "none/*") == []


def test_relative_and_absolute_globs_stay_so(tmp_path, monkeypatch):
    make(tmp_path, "a/x")
    monkeypatch.chdir(tmp_path)
    assert globs.find(Path("a/*")) == [Path("a/x")]
    assert globs.find(Path("*/x")) == [Path("a/x")]
    assert Path("/tmp") in globs.find(Path("/t*"))
    assert globs.root(Path("/t*/x")) == Path("/")


def test_paths_for_whoever_opens_files_have_no_patterns_left(tmp_path):
    make(tmp_path, "a.csv", "b.csv", "c[1].csv")
    paths = [str(tmp_path / name) for name in ("*.csv", "c[1].csv", "none*", "gone")]
    assert globs.expanded(paths) == (
        *(str(tmp_path / name) for name in ("a.csv", "b.csv", "c[1].csv")),
        *paths[2:],
    )


def test_a_link_to_a_folder_that_it_lies_in_leads_back(tmp_path):
    make(tmp_path, "a/b/x")
    for name, target in (("a/b/up", ".."), ("a/b/here", "."), ("a/other", "../c"), ("a/to", "b")):
        (tmp_path / name).symlink_to(target)
    found = [name for name in ("a/b", "a/b/up", "a/b/here", "a/other", "a/to", "a/b/x")
             if globs.links_to_ancestor(tmp_path / name)]  # fmt: skip
    assert found == ["a/b/up", "a/b/here"]
