"""Folders on disk as SRC and DST: links, changes, parts that a killed process left."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from trainer.storage.sync.disk import DiskPlace
from trainer.storage.sync.disk_copy import MOST, PART, _runs, span_for
from trainer.storage.sync.entries import Entry, SyncFileError
from trainer.storage.sync.part_file import PartFile, disk_problem, part_name_for
from trainer.storage.sync.place import Meter, SyncSettings


@pytest.fixture
def place(tmp_path):
    settings = SyncSettings(meter=Meter(), notes=tmp_path / "notes")

    def make(path: Path, *, follow: bool = True) -> DiskPlace:
        return DiskPlace(str(path), path, flag="SRC", settings=settings, follow=follow)

    return make


def write(path: Path, data: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def copy(source: DiskPlace, target: DiskPlace) -> None:
    """Copy all files, step by step."""
    for entry in source.entries().values():
        steps = list(target.receive(entry, source))
        while steps:
            steps = [*steps.pop()(), *steps]


def test_links_are_followed_in_src_but_for_those_that_lead_back(place, tmp_path):
    write(tmp_path / "src/d/a")
    write(tmp_path / "else/b")
    (tmp_path / "src/file").symlink_to("d/a")
    (tmp_path / "src/folder").symlink_to(tmp_path / "else")
    (tmp_path / "src/d/up").symlink_to(tmp_path / "src")
    source = place(tmp_path / "src")
    assert list(source.entries()) == ["d/a", "file", "folder/b"]
    assert source.problems == []


def test_what_cannot_be_copied_is_named_and_the_rest_is_listed(place, tmp_path):
    write(tmp_path / "src/a")
    (tmp_path / "src/broken").symlink_to("nowhere")
    (tmp_path / "src/loop").symlink_to("loop")
    os.mkfifo(tmp_path / "src/fifo")
    (tmp_path / "src/to_fifo").symlink_to("fifo")
    source = place(tmp_path / "src")
    assert list(source.entries()) == ["a"]
    assert sorted(Path(problem.subject).name for problem in source.problems) == [
        "broken",
        "fifo",
        "loop",
        "to_fifo",
    ]


def test_unfinished_files_are_no_data(place, tmp_path):
    write(tmp_path / "src/.x.part")
    write(tmp_path / "src/.ckpt.77.part/y")
    write(tmp_path / "src/.hidden")
    assert list(place(tmp_path / "src").entries()) == [".hidden"]


def test_nothing_is_written_through_a_link_in_dst(place, tmp_path):
    write(tmp_path / "src/d/a", b"new")
    write(tmp_path / "else/a", b"old")
    (tmp_path / "dst").mkdir()
    (tmp_path / "dst/d").symlink_to(tmp_path / "else")
    source, target = place(tmp_path / "src"), place(tmp_path / "dst", follow=False)
    assert list(target.entries()) == ["d"]
    with pytest.raises(SyncFileError, match="nothing is written through the link"):
        copy(source, target)
    assert (tmp_path / "else/a").read_bytes() == b"old"


def test_a_link_to_a_file_in_dst_is_replaced_and_its_file_stays(place, tmp_path):
    write(tmp_path / "src/a", b"new")
    old = write(tmp_path / "else/a", b"old")
    (tmp_path / "dst").mkdir()
    (tmp_path / "dst/a").symlink_to(old)
    copy(place(tmp_path / "src"), place(tmp_path / "dst", follow=False))
    assert (tmp_path / "dst/a").read_bytes() == b"new"
    assert old.read_bytes() == b"old"


def test_deleting_takes_the_link_and_the_folders_left_empty(place, tmp_path):
    old = write(tmp_path / "else/a")
    (tmp_path / "dst/d/e").mkdir(parents=True)
    (tmp_path / "dst/d/e/link").symlink_to(old)
    target = place(tmp_path / "dst", follow=False)
    target.delete("d/e/link")
    target.delete("d/e/link")
    assert list((tmp_path / "dst").iterdir()) == []
    assert old.exists()


@pytest.mark.parametrize("size", [10, 2 * PART])
def test_a_file_that_changes_while_it_is_read_is_not_copied(place, tmp_path, size):
    path = write(tmp_path / "src/a", bytes(size))
    source, target = place(tmp_path / "src"), place(tmp_path / "dst", follow=False)
    (entry,) = source.entries().values()
    path.write_bytes(b"1" * size)
    os.utime(path, ns=(1, 1))
    with pytest.raises(SyncFileError, match="changed while it was read; run it again"):
        for step in target.receive(entry, source):
            step()
    assert list((tmp_path / "dst").iterdir()) == []


def test_times_and_modes_come_along(place, tmp_path):
    path = write(tmp_path / "src/run.sh", b"#!/bin/sh\n")
    path.chmod(0o750)
    os.utime(path, ns=(10**18 + 123_456_789, 10**18 + 123_456_789))
    source, target = place(tmp_path / "src"), place(tmp_path / "dst", follow=False)
    copy(source, target)
    copied = (tmp_path / "dst/run.sh").stat()
    assert copied.st_mode & 0o777 == 0o750
    (ours,), (theirs,) = source.entries().values(), target.entries().values()
    assert ours.mtime == theirs.mtime


def test_parts_that_follow_each_other_come_by_one_request():
    assert _runs([0, 1, 2, 4, 5, 9], 2) == [range(2), range(2, 3), range(4, 6), range(9, 10)]
    assert _runs([], 4) == []
    assert _runs([3], 1) == [range(3, 4)]


def test_requests_are_as_long_as_keeps_all_workers_busy():
    def large(size: int) -> list[Entry]:
        return [Entry(name="a", size=size, mtime=0.0), Entry(name="b", size=5, mtime=0.0)]

    assert span_for(large(20 * PART), 10) == 2 * PART
    assert span_for(large(2 * PART), 10) == PART
    assert span_for(large(10**12), 10) == MOST
    assert span_for([], 10) == PART


class TestPartFile:
    ENTRY = Entry(name="a", size=25, mtime=0.0, version="1")

    def open(self, folder: Path, entry: Entry = ENTRY) -> PartFile:
        return PartFile(folder / "a", entry, 10)

    def test_the_next_process_goes_on_with_the_parts_that_lack(self, tmp_path):
        first = self.open(tmp_path)
        assert first.missing == [0, 1, 2]
        first.write(b"b" * 10, 10)
        first.end_part(1)
        first.close()
        assert list(tmp_path.iterdir()) == [part_name_for(tmp_path / "a")]
        second = self.open(tmp_path)
        assert second.missing == [0, 2]
        assert second.range_of(2) == (20, 25)
        second.write(b"a" * 10, 0)
        second.write(b"c" * 5, 20)
        second.trim()
        second.finish(5.0, None)
        assert list(tmp_path.iterdir()) == [tmp_path / "a"]
        assert (tmp_path / "a").read_bytes() == b"a" * 10 + b"b" * 10 + b"c" * 5
        assert (tmp_path / "a").stat().st_mtime == 5.0

    @pytest.mark.parametrize(
        "other",
        [
            Entry(name="a", size=25, mtime=0.0, version="2"),
            Entry(name="a", size=26, mtime=0.0, version="1"),
        ],
    )
    def test_parts_of_another_source_are_not_taken(self, tmp_path, other):
        first = self.open(tmp_path)
        first.end_part(0)
        first.close()
        assert self.open(tmp_path, other).missing == [0, 1, 2]

    def test_a_damaged_file_is_begun_anew(self, tmp_path):
        part_name_for(tmp_path / "a").write_bytes(b"\1" * 30)
        assert self.open(tmp_path).missing == [0, 1, 2]

    def test_two_processes_do_not_write_one_file(self, tmp_path):
        with part_name_for(tmp_path / "a").open("wb") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            with pytest.raises(SyncFileError, match="another process is writing it now"):
                self.open(tmp_path)

    def test_room_for_all_is_reserved(self, tmp_path):
        self.open(tmp_path, Entry(name="a", size=2**20, mtime=0.0)).close()
        assert part_name_for(tmp_path / "a").stat().st_blocks * 512 >= 2**20


def test_a_full_disk_ends_all_and_says_how_to_go_on():
    problem = disk_problem(OSError(errno.ENOSPC, "x"), Path("out/a"))
    assert not isinstance(problem, SyncFileError)
    assert str(problem) == (
        "DST out/a: No space left on device; make room and run it again: it goes on from here"
    )
    assert isinstance(disk_problem(OSError(errno.EACCES, "x"), Path("a")), SyncFileError)
