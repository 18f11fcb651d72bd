import gzip
import os
from pathlib import Path

import pytest

from trainer.config.errors import DataError
from trainer.data import fingerprint as module
from trainer.data.fingerprint import fingerprint_of


def make(folder: Path, **files: bytes) -> str:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return str(folder)


def of(*paths: str, **more):
    return fingerprint_of(paths, split="train", flag="--train", **more)


def test_the_same_data_in_other_folders_is_the_same(tmp_path):
    one = make(tmp_path / "one/train", a=b"aa", b=b"bbb")
    two = make(tmp_path / "two/elsewhere", a=b"aa", b=b"bbb")
    assert of(one) == of(two) == of(str(tmp_path / "one")) == of(one + "/*")
    assert of(f"file://{one}") == of(one)
    assert of(one).text == "2 files, 5 bytes"


@pytest.mark.parametrize(
    ("files", "first"),
    [
        ({"a": b"aa"}, "b"),
        ({"a": b"aa", "c": b"bbb"}, "b"),
        ({"a": b"aa", "b": b"bbbb"}, "b"),
        ({"a": b"ab", "b": b"bbb"}, "a"),
    ],
)
def test_other_data_is_other_data(tmp_path, files, first):
    one = dict(of(make(tmp_path / "one", a=b"aa", b=b"bbb")).entries)
    two = dict(of(make(tmp_path / "two", **files)).entries)
    assert next(name for name in one if one[name] != two.get(name)) == first


def test_gzipped_files_of_one_size_are_distinguished_by_their_checksums(tmp_path):
    # Their compressed bytes begin alike.
    content = bytearray(os.urandom(100_000))
    one = make(tmp_path / "one", **{"x.gz": gzip.compress(bytes(content), mtime=0)})
    content[50_000] ^= 1
    two = make(tmp_path / "two", **{"x.gz": gzip.compress(bytes(content), mtime=0)})
    assert of(one).text == of(two).text
    assert of(one) != of(two)


def test_the_order_of_reading_counts(tmp_path):
    one, two = make(tmp_path / "one", a=b"a"), make(tmp_path / "two", b=b"b")
    assert of(one, two) != of(two, one)


def test_few_files_are_opened_however_many_there_are(tmp_path):
    folder = make(tmp_path / "many", **{f"part-{i:04}": b"x" * (i + 1) for i in range(1000)})
    probed = [name for name, known in of(folder).entries if "," in known]
    assert 1 < len(probed) <= module.PROBED
    assert len(of(folder).entries) == 1000


def test_a_store_is_not_listed_as_its_address_says_what_is_read():
    assert of("gcs://bucket/data/") == of("gs://bucket/data")
    assert of("s3://bucket/a").entries != of("s3://bucket/b").entries
    assert of("s3://bucket/a").text == "s3://bucket/a"


def test_no_data_is_synthetic_data_but_for_a_module_that_may_have_its_own():
    assert of().text == "synthetic digits"
    assert of(own_reader=True).text == "none given"


def test_what_is_not_there_is_reported_as_in_training(tmp_path):
    with pytest.raises(DataError, match=f"--train {tmp_path}/no: does not exist; give files"):
        of(f"{tmp_path}/no")


def test_a_module_of_the_users_own_reads_what_it_likes(tmp_path):
    one = make(tmp_path / "one/cats", **{"a.csv": b"1", ".hidden": b"2"})
    make(tmp_path / "one/dogs", **{"a.csv": b"1"})
    found = of(str(Path(one).parent), own_reader=True)
    assert [name for name, _ in found.entries] == ["cats/a.csv", "dogs/a.csv"]
    assert of(one + "/*.csv", own_reader=True).text == "1 file, 1 bytes"
    assert of("a name for the module", own_reader=True).text == "a name for the module"


def test_too_many_files_of_a_module_are_not_waited_for(tmp_path):
    folder = make(tmp_path / "many", **{f"{i}.jpg": b"x" for i in range(30)})
    assert of(folder, own_reader=True, most_files=20).text == "more than 20 files"
