import pytest
from made_models import checkpoint, keras_file, member, saved_model, tar

from trainer.config.errors import UserError
from trainer.packaging.contents import read_contents
from trainer.packaging.locate import LocatedModel, choose_model, locate_models, sizes_inside
from trainer.serving.models import discover


@pytest.mark.parametrize("base", ["", "export/Servo/", "deep/down/"])
def test_the_newest_version_is_chosen_by_number(tmp_path, base):
    for version in ("9", "10"):
        saved_model(tmp_path / base / version)
    of = read_contents(tmp_path)
    assert choose_model(of) == LocatedModel(kind="saved_model", place=f"{base}10", version=10)
    assert choose_model(of, version=9).place == f"{base}9"
    with pytest.raises(UserError, match=r"--version 8: .* has 9, 10"):
        choose_model(of, version=8)


@pytest.mark.parametrize("name", ["0", "00000123", str(2**63 - 1), "20260131235959"])
def test_what_servers_take_for_a_version_is_one(tmp_path, name):
    saved_model(tmp_path / name)
    found = LocatedModel(kind="saved_model", place=name, version=int(name))
    assert choose_model(read_contents(tmp_path)) == found
    assert choose_model(read_contents(tmp_path), version=int(name)) == found
    assert discover.find(tmp_path, name="model") == {"model": {int(name): tmp_path / name}}


def test_two_folders_of_one_version_are_refused(tmp_path):
    for name in ("123", "00000123", "7"):
        saved_model(tmp_path / name)
    with pytest.raises(UserError, match="00000123 and 123 are both version 123; name one"):
        choose_model(read_contents(tmp_path))
    assert choose_model(read_contents(tmp_path), version=7).place == "7"


@pytest.mark.parametrize("name", ["1a", "v1", "-1", "1.0", "²", "٣", str(2**63), "9" * 250])
def test_what_servers_do_not_take_for_a_version_is_none(tmp_path, name):
    saved_model(tmp_path / name)
    assert choose_model(read_contents(tmp_path)) == LocatedModel(
        kind="saved_model", place=name, version=None
    )


def test_each_kind_of_model_is_found(tmp_path):
    saved_model(tmp_path / "a")
    keras_file(tmp_path / "a/net.keras")
    tar(tmp_path / "b/model.tar.gz", member("x"))
    checkpoint(tmp_path / "c", prefix="model")
    kinds = {name: locate_models(read_contents(tmp_path / name)) for name in "abc"}
    assert [model.kind for model in kinds["a"]] == ["saved_model", "keras"]
    assert kinds["b"] == [LocatedModel(kind="archive", place="model.tar.gz")]
    assert kinds["c"] == [LocatedModel(kind="mxnet", place="")]
    assert locate_models(read_contents(tmp_path / "a/net.keras")) == [
        LocatedModel(kind="keras", place="")
    ]


def test_what_is_in_the_code_folder_is_no_model(tmp_path):
    saved_model(tmp_path / "1")
    saved_model(tmp_path / "code/test/2")
    assert [model.place for model in locate_models(read_contents(tmp_path))] == ["1"]


def test_of_several_models_one_has_to_be_named(tmp_path):
    saved_model(tmp_path / "digits/1")
    saved_model(tmp_path / "iris/1")
    with pytest.raises(
        UserError,
        match=r"several models: digits/1 \(saved_model\), iris/1 \(saved_model\); name one",
    ):
        choose_model(read_contents(tmp_path))


@pytest.mark.parametrize("place", ["", "net"])
@pytest.mark.parametrize("version", [None, 1, 9])
def test_a_model_beside_versions_is_not_one_of_them(tmp_path, place, version):
    for name in ("", "1", "2"):
        saved_model(tmp_path / place / name)
    with pytest.raises(
        UserError, match=rf"several models: ({place}|its top) \(.*2 \(saved_model\)"
    ):
        choose_model(read_contents(tmp_path), version=version)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("readme.txt", r"expected saved_model\.pb, a \.keras file or model\.tar\.gz, found readme"),
        ("1/saved_model.pbtxt", r"1/saved_model\.pbtxt is a SavedModel as text"),
        ("old.h5", "old.h5 is a Keras HDF5 file"),
        ("model.ckpt.index", "is a checkpoint without its model"),
        (".hidden", "found nothing"),
        ("a\nb\x1b[2J", r"found a\\nb\\x1b\[2J$"),
        ("a\n.h5", r"a\\n\.h5 is a Keras HDF5 file"),
    ],
)
def test_what_holds_no_model_says_what_it_holds(tmp_path, name, expected):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("")
    with pytest.raises(UserError, match=f"holds no model: .*{expected}") as caught:
        choose_model(read_contents(tmp_path))
    assert str(caught.value).isprintable()


def test_the_files_of_a_folder_in_an_artifact_have_names_relative_to_it(tmp_path):
    saved_model(tmp_path / "1")
    saved_model(tmp_path / "10")
    names = ["saved_model.pb", "variables/variables.data-00000-of-00001"]
    assert set(names) < set(sizes_inside(read_contents(tmp_path), "1"))
    assert len(sizes_inside(read_contents(tmp_path), "1")) == 3
    assert len(sizes_inside(read_contents(tmp_path), "")) == 6
