"""The plan of `trainer data sync`."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from trainer.config import UserError
from trainer.storage.sync.entries import Entry
from trainer.storage.sync.plan import (
    SyncPlan,
    check_local_names,
    make_plan,
    same_but_for_case,
    to_compare,
)

NAMES = st.sampled_from(["a", "b", "d/a", "d/e/f", "ü", "A"])
FILES = st.dictionaries(NAMES, st.binary(max_size=3))


def entries(*names: str, size: int = 1, mtime: float = 0.0) -> dict[str, Entry]:
    return {name: Entry(name=name, size=size, mtime=mtime) for name in names}


def listed(files: dict[str, bytes]) -> dict[str, Entry]:
    return {name: Entry(name=name, size=len(data), mtime=0.0) for name, data in files.items()}


def plan_of(source: dict[str, bytes], target: dict[str, bytes], *, delete: bool) -> SyncPlan:
    ours, theirs = listed(source), listed(target)
    same = {name for name in to_compare(ours, theirs) if source[name] == target[name]}
    return make_plan(ours, theirs, same=same, delete=delete)


def names(found: tuple[Entry, ...]) -> list[str]:
    return [entry.name for entry in found]


@pytest.mark.parametrize(
    ("source", "target", "delete", "new", "changed", "deleted", "extra", "same"),
    [
        ({"a": b"1"}, {}, False, ["a"], [], [], 0, 0),
        ({"a": b"1"}, {"a": b"1"}, True, [], [], [], 0, 1),
        ({"a": b"1"}, {"a": b"2"}, False, [], ["a"], [], 0, 0),
        ({"a": b"1"}, {"a": b"11"}, False, [], ["a"], [], 0, 0),
        ({"a": b""}, {"a": b""}, False, [], [], [], 0, 1),
        ({"a": b"1"}, {"b": b"1"}, False, ["a"], [], [], 1, 0),
        ({"a": b"1"}, {"b": b"1", "c/d": b""}, True, ["a"], [], ["b", "c/d"], 0, 0),
    ],
)
def test_what_is_copied_deleted_and_left(
    source, target, delete, new, changed, deleted, extra, same
):
    plan = plan_of(source, target, delete=delete)
    assert (names(plan.new), names(plan.changed), names(plan.deleted)) == (new, changed, deleted)
    assert (plan.extra, plan.same) == (extra, same)
    assert plan.copied_bytes == sum(len(source[name]) for name in new + changed)


@given(FILES, FILES, st.booleans())
def test_a_plan_that_is_done_makes_dst_hold_src_and_the_next_is_empty(source, target, delete):
    plan = plan_of(source, target, delete=delete)
    after = dict(target)
    after |= {entry.name: source[entry.name] for entry in plan.copies}
    for entry in plan.deleted:
        del after[entry.name]
    kept = {} if delete else {name: d for name, d in target.items() if name not in source}
    assert after == source | kept
    # Nothing is touched that was right, nor what the plan does not name.
    assert not {n for n in source if target.get(n) == source[n]} & set(names(plan.copies))
    again = plan_of(source, after, delete=delete)
    assert (again.copies, again.deleted, again.same) == ((), (), len(source))


@given(FILES, FILES)
def test_nothing_is_deleted_unless_it_is_asked_for(source, target):
    assert plan_of(source, target, delete=False).deleted == ()


def test_files_that_are_newer_in_dst_are_named():
    source = entries("older", "newer", "alike", mtime=100.0)
    target = entries("older", mtime=50.0) | entries("newer", mtime=200.0)
    target |= entries("alike", mtime=101.0)
    assert make_plan(source, target, same=set(), delete=False).newer == ("newer",)


@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "a//b", "/etc/passwd", "./a", ".", "..", "a/..", "a\0b"]
)
def test_names_that_lead_out_of_a_folder_are_refused(name):
    with pytest.raises(UserError, match="cannot be the name of a file below out; leave it out"):
        check_local_names(entries("good", name), {}, "out")


def test_a_name_cannot_be_a_file_and_a_folder():
    with pytest.raises(UserError, match="'a' is a file and, of 'a/b', a folder"):
        check_local_names(entries("a", "a/b"), {}, "out")
    for source, target in (("a", "a/b"), ("a/b/c", "a")):
        with pytest.raises(UserError, match="is a file on one side and a folder on the other"):
            check_local_names(entries(source), entries(target), "out")


def test_odd_names_that_stay_inside_are_taken():
    check_local_names(entries("..a", "a..", "b/...", "\\", "é", "e\u0301", " "), {}, "out")


def test_names_that_differ_by_case_alone_are_found():
    assert same_but_for_case({"a/B", "a/b", "c", "STRASSE", "straße"}) == ["a/b", "straße"]
    assert same_but_for_case({"e\u0301", "é"}) == []
