from pathlib import Path

import pytest

from trainer.config.errors import UserError
from trainer.packaging.contents import read_contents
from trainer.packaging.locate import locate_models as models_in
from trainer.serving.models import discover


def saved_model(path: Path, *, shards: int = 1) -> Path:
    (path / "variables").mkdir(parents=True)
    (path / "saved_model.pb").write_bytes(b"model")
    (path / "variables/variables.index").write_bytes(b"index")
    for i in range(shards):
        name = f"variables/variables.data-{i:05}-of-{shards:05}"
        (path / name).write_bytes(b"weights")
    return path


def test_versions_in_the_folder_are_one_model(tmp_path):
    one, two = saved_model(tmp_path / "1"), saved_model(tmp_path / "20260131")
    saved_model(tmp_path / ".3.42.part")
    saved_model(tmp_path / "tmp")
    assert discover.find(tmp_path, name="model") == {"model": {1: one, 20260131: two}}


def test_a_model_in_the_folder_itself_is_version_1(tmp_path):
    saved_model(tmp_path)
    assert discover.find(tmp_path, name="digits") == {"digits": {1: tmp_path}}


def test_what_estimators_write_is_one_model_too(tmp_path):
    path = saved_model(tmp_path / "export/Servo/1700000000")
    assert discover.find(tmp_path, name="model") == {"model": {1700000000: path}}


def test_folders_of_models_are_named_by_their_folders(tmp_path):
    digits, iris = saved_model(tmp_path / "digits/1"), saved_model(tmp_path / "sub/iris/7")
    assert discover.find(tmp_path, name="model") == {"digits": {1: digits}, "iris": {7: iris}}


@pytest.mark.parametrize(
    ("places", "problem"),
    [
        (("teamA/net/1", "teamB/net/1"), "teamA/net and .*teamB/net are both called 'net'"),
        (("teamA/net/1", "teamB/net/2"), "are both called 'net'"),
        (("net/1", "deep/net/1"), "are both called 'net'"),
        # That in the folder itself has the name of --model-name.
        (("1", "model/1"), "are both called 'model'"),
        (("1", "export/Servo/2"), "are both called 'model'"),
        (("a/net/export/Servo/1", "b/net/1"), "are both called 'net'"),
        (("net/1", "net/001"), "net/001 and .*net/1 are both version 1 of 'net'"),
    ],
)
def test_two_models_of_one_name_are_refused(tmp_path, places, problem):
    for place in places:
        saved_model(tmp_path / place)
    with pytest.raises(UserError, match=problem):
        discover.find(tmp_path, name="model")


def test_estimators_of_several_models_are_named_by_their_folders(tmp_path):
    a, b = (saved_model(tmp_path / name / "export/Servo/1") for name in ("a", "b"))
    assert discover.find(tmp_path, name="model") == {"a": {1: a}, "b": {1: b}}


def test_an_empty_folder_has_no_models(tmp_path):
    assert discover.find(tmp_path, name="model") == {}
    assert discover.find(tmp_path / "gone", name="model") == {}


def test_a_copy_under_way_is_not_whole(tmp_path):
    path = saved_model(tmp_path / "1", shards=2)
    whole = discover.fingerprint(path)
    assert whole is not None
    shard = path / "variables/variables.data-00001-of-00002"
    shard.unlink()
    assert discover.fingerprint(path) is None
    shard.write_bytes(b"weig")
    assert discover.fingerprint(path) not in (None, whole)
    (path / "saved_model.pb").unlink()
    assert discover.fingerprint(path) is None


def test_a_model_without_variables_is_whole(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"model")
    assert discover.fingerprint(tmp_path) is not None
    (tmp_path / "variables").mkdir()
    assert discover.fingerprint(tmp_path) is None


def test_loops_of_links_are_no_further_models(tmp_path):
    saved_model(tmp_path / "1")
    (tmp_path / "latest").symlink_to(".")
    (tmp_path / "1/variables/up").symlink_to("../..")
    assert discover.find(tmp_path, name="m") == {"m": {1: tmp_path / "1"}}
    assert [found.place for found in models_in(read_contents(tmp_path))] == ["1"]
