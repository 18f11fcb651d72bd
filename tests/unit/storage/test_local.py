import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from trainer.config.errors import UserError
from trainer.storage import local


def test_a_file_is_replaced_whole_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "metrics.json"
    local.write_text(path, "one")
    local.write_text(path, "two")
    assert path.read_text() == "two"
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.json"]


def test_a_folder_appears_only_when_its_block_ends(tmp_path):
    path = tmp_path / "1"
    with local.new_folder(path) as part:
        (part / "saved_model.pb").write_text("x")
        (part / "variables").mkdir()
        (part / "variables" / "data").write_text("y")
        assert not path.exists()
    assert sorted(p.name for p in path.rglob("*")) == ["data", "saved_model.pb", "variables"]
    assert [p.name for p in tmp_path.iterdir()] == ["1"]


def test_a_folder_whose_block_raises_is_not_left_behind(tmp_path):
    with pytest.raises(RuntimeError), local.new_folder(tmp_path / "1") as part:
        (part / "half").write_text("x")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_already_is_left_as_it_is(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "old").write_text("x")
    with pytest.raises(OSError), local.new_folder(tmp_path / "1") as part:
        (part / "new").write_text("y")
    assert [p.name for p in tmp_path.rglob("*")] == ["1", "old"]


def test_leftovers_of_a_killed_process_are_removed_and_nothing_else(tmp_path):
    (tmp_path / ".ckpt-00000001.123.part").mkdir()
    (tmp_path / ".metrics.json.123.part").write_text("{")
    (tmp_path / "ckpt-00000001").mkdir()
    local.remove_leftovers(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["ckpt-00000001"]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "data"),
            "No space left on device: .*/1",
        ),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "Disk quota exceeded: .*/1"),
        (RuntimeError("SaveV2: /x/y; Disk quota exceeded [Op:SaveV2]"), "Disk quota exceeded"),
        (RuntimeError("SaveV2: /x/y; No space left on device [Op:SaveV2]"), "No space left"),
    ],
    ids=["system", "quota", "TensorFlow's quota", "TensorFlow"],
)
def test_a_full_disk_is_reported_as_such_with_what_was_to_be_written(tmp_path, error, expected):
    with pytest.raises(OSError, match=expected) as full, local.new_folder(tmp_path / "1"):
        raise error
    assert full.value.filename == str(tmp_path / "1")
    assert list(tmp_path.iterdir()) == []


def test_another_error_stays_what_it_is(tmp_path):
    with pytest.raises(UserError), local.new_folder(tmp_path / "1"):
        raise UserError(subject="--code", problem="No space left on device")
    with pytest.raises(PermissionError, match="read-only"), local.new_folder(tmp_path / "1"):
        raise PermissionError(errno.EACCES, "read-only")


# What file systems say that rename no folders: gcsfuse, overlays, other mounts of stores.
REFUSALS = [errno.EMFILE, errno.EXDEV, errno.ENOTSUP, errno.EPERM, errno.EIO, errno.ENOSYS]
MODEL = {"saved_model.pb": "pb", "fingerprint.pb": "f", "variables/variables.index": "i"}


def refuse_folders(monkeypatch, number):
    """Let no folder that holds something be renamed, as mounted stores do; return what is moved."""
    rename, replace, moved = os.rename, os.replace, []

    def refusing(source, target, **more):
        if Path(source).is_dir() and names(Path(source)):
            raise OSError(number, os.strerror(number), str(source))
        rename(source, target, **more)

    def noting(source, target, **more):
        moved.append(Path(target).name)
        replace(source, target, **more)

    monkeypatch.setattr(os, "rename", refusing)
    monkeypatch.setattr(os, "replace", noting)
    return moved


def fill(folder):
    for name, text in MODEL.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    (folder / "empty").mkdir()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def held(folder):
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("number", REFUSALS)
def test_where_folders_are_not_renamed_files_are_moved_and_the_one_readers_look_for_last(
    tmp_path, monkeypatch, number
):
    moved = refuse_folders(monkeypatch, number)
    with local.new_folder(tmp_path / "1") as part:
        fill(part)
    assert held(tmp_path / "1") == MODEL
    assert (tmp_path / "1/empty").is_dir()
    assert moved[-1] == "saved_model.pb"
    assert names(tmp_path) == ["1"]
    with (
        pytest.raises(OSError, match=os.strerror(number)),
        local.new_folder(tmp_path / "1") as new,
    ):
        fill(new)
    local.remove_folder(tmp_path / "1")
    assert names(tmp_path) == []


def test_where_nothing_is_renamed_files_are_copied(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.ENOSYS, "no")

    monkeypatch.setattr(os, "rename", refuse)
    monkeypatch.setattr(os, "replace", refuse)
    with local.new_folder(tmp_path / "1") as part:
        # Whoever fills it may rename files in it, as TensorFlow does.
        assert not part.is_relative_to(tmp_path)
        fill(part)
    assert not part.exists()
    assert held(tmp_path / "1") == MODEL
    for text in ("one", "two"):
        local.write_text(tmp_path / "m.json", text)
    assert (tmp_path / "m.json").read_text() == "two"
    assert names(tmp_path) == ["1", "m.json"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_full_disk_is_not_tried_again_file_by_file(tmp_path, monkeypatch, number):
    moved = refuse_folders(monkeypatch, number)
    with (
        pytest.raises(OSError, match=os.strerror(number)),
        local.new_folder(tmp_path / "1") as part,
    ):
        fill(part)
    assert moved == []
    assert names(tmp_path) == []


def test_a_folder_of_which_not_all_files_could_be_moved_is_not_left(tmp_path, monkeypatch):
    refuse_folders(monkeypatch, errno.EMFILE)
    noting = os.replace

    def full(source, target, **more):
        if Path(target).name == "variables.index":
            raise OSError(errno.ENOSPC, "No space left on device")
        noting(source, target, **more)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"), local.new_folder(tmp_path / "1") as part:
        fill(part)
    assert names(tmp_path) == []


KILLED = """
import os, sys
from pathlib import Path
sys.path[:0] = sys.argv[1:2]
from trainer.storage import local as atomic
rename, replace = os.rename, os.replace
def refuse(source, target):
    if os.path.isdir(source): raise OSError(24, "Too many open files")
    rename(source, target)
def cut(source, target):
    if Path(target).name == sys.argv[3]: os._exit(9)
    replace(source, target)
os.rename, os.replace = refuse, cut
with atomic.new_folder(Path(sys.argv[2])) as part:
    (part / "variables").mkdir()
    for name in ("saved_model.pb", "variables/variables.index", "state.json"):
        (part / name).write_text("x")
"""


@pytest.mark.parametrize("at", ["variables.index", "saved_model.pb"])
def test_a_folder_whose_moving_was_killed_is_not_there_for_readers_and_goes(tmp_path, at):
    from trainer.packaging.contents import read_contents
    from trainer.packaging.locate import locate_models
    from trainer.serving.models import discover

    argv = [sys.executable, "-c", KILLED, "", str(tmp_path / "m/1"), at]
    assert subprocess.run(argv, check=False).returncode == 9
    assert (tmp_path / "m/1").is_dir()
    assert locate_models(read_contents(tmp_path / "m")) == []
    assert discover.find(tmp_path / "m", name="m") == {}
    local.remove_leftovers(tmp_path / "m")
    assert names(tmp_path / "m") == []
