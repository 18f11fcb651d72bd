"""Names of what is being written: hidden, known as such, and found when it is left."""

from pathlib import Path

import pytest

from trainer.storage import unfinished


def test_a_name_is_beside_the_path_hidden_and_known_as_unfinished(tmp_path):
    for name in (
        unfinished.name_for(tmp_path / "saved"),
        unfinished.short_name_in(tmp_path),
        Path(unfinished.temporary_folder(tmp_path).name),
    ):
        assert name.parent == tmp_path
        assert name.name.startswith(".")
        assert unfinished.is_within(name.relative_to(tmp_path).as_posix())


@pytest.mark.parametrize(
    ("name", "within"),
    [
        (".ckpt-1.77.part/variables.index", True),
        ("a/.metrics.json.1.part", True),
        ("a/part-0", False),
        ("images.gz.part", False),
        (".hidden/part", False),
    ],
)
def test_what_is_unfinished_is_known_by_its_name(name, within):
    assert unfinished.is_within(name) is within


def test_what_a_killed_process_left_is_found(tmp_path):
    (tmp_path / ".1.4242.part").mkdir()
    (tmp_path / "1").mkdir()
    assert unfinished.left_in(tmp_path) == [tmp_path / ".1.4242.part"]
