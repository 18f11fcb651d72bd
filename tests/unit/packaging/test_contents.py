import shutil
import zipfile

import pytest
from made_models import keras_file, member, saved_model, tar

from trainer.config.errors import UserError
from trainer.packaging.contents import files_below, read_contents
from trainer.packaging.keras_file import read as keras_model
from trainer.packaging.prepare import prepare_model
from trainer.storage.archive import ArchiveLimits


def test_a_folder_an_archive_and_a_keras_file_are_read_alike(tmp_path):
    folder = saved_model(tmp_path / "model/1").parent
    names = ["1/saved_model.pb", "1/variables/variables.index"]
    parts = [member(f"./{name}", (folder / name).read_bytes()) for name in names]
    archive = tar(tmp_path / "model.tar.gz", member("./", type=b"5"), *parts)
    of_folder, of_archive = read_contents(folder), read_contents(archive)
    assert (of_folder.form, of_archive.form) == ("folder", "tar.gz")
    for name in names:
        assert of_folder.read(name) == of_archive.read(name)
        assert of_folder.sizes[name] == of_archive.sizes[name]
    zipped = read_contents(keras_file(tmp_path / "net.keras"))
    assert zipped.form == "keras"
    assert zipped.read("model.weights.h5") == b"\x89HDF"


def test_a_large_file_in_an_archive_is_read_whole(tmp_path):
    raw = bytes(range(256)) * 20_000
    archive = tar(tmp_path / "model.tar.gz", member("1/saved_model.pb", raw))
    assert read_contents(archive).read("1/saved_model.pb") == raw


def test_names_in_an_archive_are_those_that_they_have_once_unpacked(tmp_path):
    archive = tar(tmp_path / "a.tar.gz", member("././1//saved_model.pb"), member("./code/x"))
    assert list(read_contents(archive).sizes) == ["1/saved_model.pb", "code/x"]


def test_hidden_files_and_what_python_leaves_are_not_part_of_an_artifact(tmp_path):
    names = [".DS_Store", "a/.git/config", "code/__pycache__/x.pyc", "code/inference.py"]
    for name in names:
        (tmp_path / "x" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "x" / name).write_text("")
    archive = tar(tmp_path / "x.tar.gz", *map(member, names))
    assert list(read_contents(tmp_path / "x").sizes) == ["code/inference.py"]
    assert list(read_contents(archive).sizes) == ["code/inference.py"]


def test_links_in_a_folder_are_followed_as_mounted_volumes_are_made_of_them(tmp_path):
    saved_model(tmp_path / "..data-7/1")
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume/1").symlink_to(tmp_path / "..data-7/1")
    assert "1/saved_model.pb" in read_contents(tmp_path / "volume").sizes


def test_a_link_to_the_folder_itself_is_not_followed(tmp_path):
    (tmp_path / "a").write_text("")
    (tmp_path / "round").symlink_to(tmp_path)
    assert list(files_below(tmp_path)) == ["a"]


def test_links_that_lead_to_each_other_end(tmp_path):
    for name, other in (("x", "y"), ("y", "x")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("")
        (tmp_path / name / "to").symlink_to(tmp_path / other)
    with pytest.raises(UserError, match="has more than 30 files"):
        files_below(tmp_path, limits=ArchiveLimits(members=30))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"BZh91AY", "expected a tar file packed with gzip"),
        (b"\xfd7zXZ\0", "expected a tar file packed with gzip"),
        (b"\x89HDF\r\n", "a Keras HDF5 file, which is not taken"),
        (b"PK\3\4....", "not a whole .keras file"),
        (b"text", "not a whole tar file"),
        (b"", "not a whole tar file"),
    ],
)
def test_what_is_no_artifact_is_an_error_of_one_line(tmp_path, raw, expected):
    (tmp_path / "model.tar.gz").write_bytes(raw)
    with pytest.raises(UserError, match=expected) as caught:
        read_contents(tmp_path / "model.tar.gz", name="--source x")
    assert str(caught.value).startswith("--source x: ")
    assert "\n" not in str(caught.value)


def test_a_keras_file_that_is_damaged_anywhere_is_read_or_refused(tmp_path):
    path = keras_file(tmp_path / "net.keras")
    raw = path.read_bytes()
    for place in range(4, len(raw)):
        path.write_bytes(raw[:place] + bytes([raw[place] ^ 0xFF]) + raw[place + 1 :])
        try:
            keras_model(read_contents(path))
        except UserError as error:
            assert str(error).isprintable()


def test_a_keras_file_with_a_damaged_or_cut_part_is_refused(tmp_path):
    path = tmp_path / "net.keras"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("config.json", "metadata.json"):
            archive.writestr(name, "{}")
        archive.writestr("model.weights.h5", b"weights" * 100)
    raw = path.read_bytes()
    place = raw.index(b"weightsw") + 50
    path.write_bytes(raw[:place] + b"#" + raw[place + 1 :])
    expected = r"not a whole \.keras file: its model\.weights\.h5 is damaged"
    with pytest.raises(UserError, match=expected):
        read_contents(path)
    archive = tar(tmp_path / "packed/a.tar.gz", member("net.keras", path.read_bytes()))
    (tmp_path / "folder").mkdir()
    shutil.copy(path, tmp_path / "folder")
    for source in (archive, tmp_path / "folder"):
        with pytest.raises(UserError, match=expected), prepare_model(source, name="--source x"):
            pass
    path.write_bytes(raw[:-10])
    with pytest.raises(UserError, match=r"not a whole \.keras file"):
        read_contents(path)


def test_a_zip_file_without_a_model_is_told_apart(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
        archive.writestr("readme", "")
    with pytest.raises(UserError, match=r"a zip file, but no Keras model: it has no config\.json"):
        read_contents(tmp_path / "a.keras")


def test_a_file_that_is_too_large_to_be_read_is_not_read(tmp_path):
    archive = tar(tmp_path / "a.tar.gz", member("saved_model.pb", bytes(1000)))
    with pytest.raises(UserError, match="too large to read"):
        read_contents(archive).read("saved_model.pb", most=999)


def test_json_that_would_fill_memory_is_not_read(tmp_path):
    huge = b" " * (2**25 + 1)
    archive = tar(tmp_path / "a.tar.gz", member("model-symbol.json", huge))
    with pytest.raises(UserError, match=r"its model-symbol\.json of 34 MB is too large"):
        read_contents(archive).read("model-symbol.json")
    with zipfile.ZipFile(tmp_path / "a.keras", "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("metadata.json", "{}")
        zipped.writestr("config.json", huge)
    with pytest.raises(UserError, match="no Keras model has a configuration of more than 32 MiB"):
        read_contents(tmp_path / "a.keras")


def test_what_is_not_there_is_told(tmp_path):
    with pytest.raises(UserError, match="none: not found; expected a SavedModel folder"):
        read_contents(tmp_path / "none")
