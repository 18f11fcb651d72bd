"""`--include` and `--exclude` of `trainer data sync`."""

from __future__ import annotations

import pytest

from trainer.storage.sync.filters import NameGlobs


@pytest.mark.parametrize(
    ("glob", "fits", "fits_not"),
    [
        ("*.py", ["a.py", "d/a.py"], ["a.pyc", "py"]),
        ("cache", ["cache", "cache/x", "d/cache/x/y"], ["caches", "d/xcache"]),
        ("d/*.py", ["d/a.py"], ["d/e/a.py", "x/d/a.py"]),
        ("/a", ["a", "a/b"], ["d/a"]),
        ("d/**/a", ["d/a", "d/e/f/a"], ["a", "d/ab"]),
        ("**", ["a", "d/e"], []),
        ("?", ["a", "d/b"], ["ab"]),
        ("[a-c]x", ["ax", "d/cx"], ["dx"]),
        ("[!a]x", ["bx"], ["ax", "/x"]),
        ("a.b", ["a.b"], ["axb"]),
        ("run(1)+", ["run(1)+"], ["run1"]),
    ],
)
def test_globs(glob, fits, fits_not):
    assert [name for name in fits if not NameGlobs(include=[glob]).takes(name)] == []
    assert [name for name in fits_not if NameGlobs(include=[glob]).takes(name)] == []
    assert [name for name in fits if NameGlobs(exclude=[glob]).takes(name)] == []


def test_what_is_left_out_is_left_out_of_what_is_wanted():
    globs = NameGlobs(include=["*.py", "*.txt"], exclude=["test_*"])
    assert [n for n in ("a.py", "b.txt", "test_a.py", "c.md") if globs.takes(n)] == [
        "a.py",
        "b.txt",
    ]
    assert NameGlobs().takes("anything/at all")
