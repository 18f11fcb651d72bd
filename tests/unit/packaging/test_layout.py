from pathlib import Path

import pytest
from made_models import saved_model, tree

from trainer.packaging.contents import files_below, read_contents
from trainer.packaging.layout import copy_files, next_version, place_model
from trainer.packaging.locate import locate_models
from trainer.storage.archive import unpack_archive


@pytest.fixture
def write(tmp_path):
    """Writes a SavedModel into a folder."""
    found = files_below(saved_model(tmp_path / "source"))
    return lambda folder: copy_files(found, folder)


@pytest.fixture
def whole(tmp_path, write):
    write(tmp_path / "whole")
    return tree(tmp_path / "whole")


def test_versions_are_numbers_that_go_up(tmp_path):
    assert next_version(tmp_path) == 1
    for name in ("3", "20", "tmp", ".4"):
        (tmp_path / name).mkdir()
    assert next_version(tmp_path) == 21


@pytest.mark.parametrize(("layout", "base"), [("version", ""), ("servo", "export/Servo/")])
def test_numbered_layouts_add_a_version(tmp_path, write, whole, layout, base):
    for number in (1, 2):
        path = place_model(tmp_path / "model", layout, write)
        assert path == tmp_path / "model" / f"{base}{number}"
        assert tree(path) == whole
    assert len(tree(tmp_path / "model")) == 2 * len(whole)


def test_a_flat_model_lies_in_the_folder_itself(tmp_path, write, whole):
    for _ in range(2):
        assert place_model(tmp_path / "model", "flat", write) == tmp_path / "model"
        assert tree(tmp_path / "model") == whole


def test_of_a_flat_model_nothing_of_the_one_before_is_left_but_what_is_not_the_models(
    tmp_path, write, whole
):
    model = tmp_path / "model"
    for name in ("variables/variables.data-00001-of-00002", "assets/words.txt", "notes.txt"):
        (model / name).parent.mkdir(parents=True, exist_ok=True)
        (model / name).write_text("old")
    place_model(model, "flat", write)
    assert tree(model) == {**whole, "notes.txt": b"old"}


def test_a_flat_model_that_is_cut_short_is_no_model_and_no_version(
    tmp_path, write, whole, monkeypatch
):
    model = tmp_path / "model"
    place_model(model, "flat", write)
    replace = Path.replace

    def cut(file, place):
        if place.name == "variables.index":
            raise KeyboardInterrupt
        return replace(file, place)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "replace", cut)
        place_model(model, "flat", write)
    assert locate_models(read_contents(model)) == []
    place_model(model, "flat", write)
    assert tree(model) == whole


def test_a_packed_model_is_one_file_that_holds_version_1(tmp_path, write, whole):
    for _ in range(2):
        path = place_model(tmp_path / "model", "tar", write)
        assert path == tmp_path / "model/model.tar.gz"
        assert list(tree(tmp_path / "model")) == ["model.tar.gz"]
    unpack_archive(path, tmp_path / "out", name="x")
    assert tree(tmp_path / "out/1") == whole


@pytest.mark.parametrize("layout", ["version", "servo", "flat", "tar"])
def test_nothing_is_left_of_a_model_that_cannot_be_written(tmp_path, write, layout):
    def fail(folder):
        write(folder)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        place_model(tmp_path / "model", layout, fail)
    assert tree(tmp_path / "model") == {}


@pytest.mark.parametrize("layout", ["version", "servo", "flat", "tar"])
def test_code_goes_beside_the_model_and_replaces_older_code(tmp_path, write, layout):
    for text in ("old", "new"):
        code = tmp_path / text
        code.mkdir()
        (code / f"{text}.py").write_text(text)
        place_model(tmp_path / "model", layout, write, code=code)
    found = tmp_path / "model"
    if layout == "tar":
        unpack_archive(found / "model.tar.gz", tmp_path / "out", name="x")
        found = tmp_path / "out"
    assert tree(found / "code") == {"new.py": b"new"}


@pytest.mark.parametrize("layout", ["version", "servo", "tar"])
def test_what_a_killed_process_left_behind_is_removed(tmp_path, write, layout):
    for place in ("model/.1.4242.part", "model/export/Servo/.1.4242.part"):
        saved_model(tmp_path / place)
    place_model(tmp_path / "model", layout, write)
    left = [name for name in tree(tmp_path / "model") if ".part" in name]
    assert left == ([] if layout == "servo" else [n for n in left if n.startswith("export/")])
