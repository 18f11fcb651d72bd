import os
import subprocess
import tarfile

import pytest
from made_models import saved_model, tree

from trainer.config.errors import UserError
from trainer.packaging.contents import files_below
from trainer.packaging.tarball import write_tarball
from trainer.storage.archive import unpack_archive


def test_the_same_files_give_the_same_bytes_whenever_and_whoever_wrote_them(tmp_path):
    one, two = saved_model(tmp_path / "a/1"), saved_model(tmp_path / "b/1")
    for file in two.rglob("*"):
        os.utime(file, (1, 2))
        file.chmod(0o700)
    first = write_tarball(tmp_path / "x.tar.gz", files_below(one)).read_bytes()
    again = write_tarball(
        tmp_path / "other.tar.gz", dict(reversed(files_below(two).items()))
    ).read_bytes()
    assert first == again


def test_folders_come_before_what_is_in_them_and_belong_to_nobody(tmp_path):
    out = write_tarball(tmp_path / "x.tar.gz", {"export/Servo/1/a": b"1", "code/b": b"2"})
    with tarfile.open(out) as archive:
        members = archive.getmembers()
    assert [m.name for m in members] == [
        *("code", "code/b"),
        *("export", "export/Servo", "export/Servo/1", "export/Servo/1/a"),
    ]
    assert {(m.uid, m.gid, m.uname, m.gname) for m in members} == {(0, 0, "", "")}
    assert {m.mode for m in members} == {0o755, 0o644}


def test_what_is_packed_is_unpacked_by_us_and_by_tar_without_a_warning(tmp_path):
    found = files_below(saved_model(tmp_path / "m"))
    out = write_tarball(
        tmp_path / "x.tar.gz", {f"1/{'long' * 40}/{name}": f for name, f in found.items()}
    )
    unpack_archive(out, tmp_path / "ours", name="x")
    (tmp_path / "theirs").mkdir()
    done = subprocess.run(
        ["tar", "-xzf", out, "-C", tmp_path / "theirs"], capture_output=True, check=True
    )
    assert done.stderr == b""
    assert tree(tmp_path / "ours") == tree(tmp_path / "theirs")
    assert tree(tmp_path / "ours" / "1" / ("long" * 40)) == tree(tmp_path / "m")


def test_a_file_that_cannot_be_read_leaves_the_archive_of_before(tmp_path):
    out = tmp_path / "x.tar.gz"
    out.write_bytes(b"before")
    with pytest.raises(UserError, match=r"gone: No such file.*; .*x\.tar\.gz was not written"):
        write_tarball(out, {"a": b"1", "b": tmp_path / "gone"})
    assert tree(tmp_path) == {"x.tar.gz": b"before"}


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"x\.tar\.gz was not written"):
        write_tarball(tmp_path / "file/x.tar.gz", {"a": b"1"})
