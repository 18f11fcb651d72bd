import errno

import pytest

from trainer import atomic
from trainer.errors import UserError


def test_a_file_is_replaced_whole_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "metrics.json"
    atomic.write_text(path, "one")
    atomic.write_text(path, "two")
    assert path.read_text() == "two"
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.json"]


def test_a_folder_appears_only_when_its_block_ends(tmp_path):
    path = tmp_path / "1"
    with atomic.new_folder(path) as part:
        (part / "saved_model.pb").write_text("x")
        (part / "variables").mkdir()
        (part / "variables" / "data").write_text("y")
        assert not path.exists()
    assert sorted(p.name for p in path.rglob("*")) == ["data", "saved_model.pb", "variables"]
    assert [p.name for p in tmp_path.iterdir()] == ["1"]


def test_a_folder_whose_block_raises_is_not_left_behind(tmp_path):
    with pytest.raises(RuntimeError), atomic.new_folder(tmp_path / "1") as part:
        (part / "half").write_text("x")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_already_is_left_as_it_is(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "old").write_text("x")
    with pytest.raises(OSError), atomic.new_folder(tmp_path / "1") as part:
        (part / "new").write_text("y")
    assert [p.name for p in tmp_path.rglob("*")] == ["1", "old"]


def test_leftovers_of_a_killed_process_are_removed_and_nothing_else(tmp_path):
    (tmp_path / ".ckpt-00000001.123.part").mkdir()
    (tmp_path / ".metrics.json.123.part").write_text("{")
    (tmp_path / "ckpt-00000001").mkdir()
    atomic.remove_leftovers(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["ckpt-00000001"]


@pytest.mark.parametrize(
    ("error", "told"),
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
def test_a_full_disk_is_told_as_such_with_what_was_to_be_written(tmp_path, error, told):
    with pytest.raises(OSError, match=told) as full, atomic.new_folder(tmp_path / "1"):
        raise error
    assert full.value.filename == str(tmp_path / "1")
    assert list(tmp_path.iterdir()) == []


def test_another_error_stays_what_it_is(tmp_path):
    with pytest.raises(UserError), atomic.new_folder(tmp_path / "1"):
        raise UserError("--code: No space left on device")
    with pytest.raises(PermissionError, match="read-only"), atomic.new_folder(tmp_path / "1"):
        raise PermissionError(errno.EACCES, "read-only")
