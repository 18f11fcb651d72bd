"""From paths to tables: files found, recognised and sorted by split, and every error."""

import contextlib
import gzip
import os
import re
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest

from trainer.config import TEST_PARTS
from trainer.config.errors import DataError
from trainer.data.files import find, holds_part, notes, open_tables
from trainer.data.folders import data_among, wanted_among
from trainer.data.formats.example import encode_examples
from trainer.data.formats.framing import frame
from trainer.data.formats.idx import pack
from trainer.data.formats.registry import accepted

COUNTS = {"train": 70, "test": 9}
IDX = {"train": "train-{}-idx{}-ubyte", "test": "t10k-{}-idx{}-ubyte"}


def digits(count, seed=0):
    rng = np.random.default_rng(seed)
    return (
        rng.integers(0, 256, (count, 28, 28, 1), np.uint8),
        rng.integers(0, 10, count).astype(np.uint8),
    )


def put(path, raw):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(raw)
    return path


def tfrecord(path, count=5, seed=0):
    return put(path, frame(encode_examples(*digits(count, seed))).tobytes())


def npy(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array)
    return path


def originals(folder, *, squeeze=gzip.compress, suffix=".gz"):
    """The four files under their original names, of 70 and 9 examples."""
    for split, name in IDX.items():
        images, labels = digits(COUNTS[split])
        put(folder / (name.format("images", 3) + suffix), squeeze(pack(images[..., 0])))
        put(folder / (name.format("labels", 1) + suffix), squeeze(pack(labels)))
    return folder


def sizes(*paths, split="train", **options):
    return [len(table) for table in open_tables([str(p) for p in paths], split=split, **options)]


def error_of(*paths, split="train", **options):
    """Returns the line of the error, which names the flag or a file."""
    with pytest.raises(DataError) as caught:
        open_tables([str(path) for path in paths], split=split, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert f"--{split}" in message or any(str(path) in message for path in paths)
    return message


def test_no_path_means_the_synthetic_digits():
    [train], [test] = (open_tables([], split=split) for split in ("train", "test"))
    assert train.kind == test.kind == "synthetic"
    assert "synthetic" in train.name
    assert len(train) > len(test) > 0


@pytest.mark.parametrize("split", COUNTS)
@pytest.mark.parametrize(
    ("squeeze", "suffix"), [(gzip.compress, ".gz"), (bytes, "")], ids=["gz", "plain"]
)
def test_a_folder_of_the_four_original_files_serves_either_split(tmp_path, squeeze, suffix, split):
    originals(tmp_path, squeeze=squeeze, suffix=suffix)
    [table] = open_tables([str(tmp_path)], split=split)
    assert table.kind == "idx"
    assert len(table) == COUNTS[split]
    images, labels = table.read(0, len(table))
    np.testing.assert_array_equal(images, digits(COUNTS[split])[0])
    np.testing.assert_array_equal(labels, digits(COUNTS[split])[1])


def test_the_real_folder_serves_either_split(mnist_dir):
    assert sizes(mnist_dir) == [60_000]
    assert sizes(mnist_dir, split="test") == [10_000]


@pytest.mark.parametrize(
    "folders", [("train", "test"), ("training", "validation"), ("Train", "VAL")]
)
def test_nested_folders_say_which_split_they_hold(tmp_path, folders):
    for folder, count in zip(folders, (5, 3), strict=True):
        tfrecord(tmp_path / folder / "deep" / "part-0", count)
        tfrecord(tmp_path / folder / "deep" / "part-1", count)
    assert sizes(tmp_path) == [5, 5]
    assert sizes(tmp_path, split="test") == [3, 3]


def test_a_file_name_says_more_than_its_folder(tmp_path):
    tfrecord(tmp_path / "train" / "test-0", 3)
    tfrecord(tmp_path / "train" / "0", 5)
    assert sizes(tmp_path) == [5]
    assert sizes(tmp_path, split="test") == [3]


def test_folders_above_the_one_given_say_nothing(tmp_path):
    tfrecord(tmp_path / "test" / "run" / "part-0", 4)
    assert sizes(tmp_path / "test" / "run") == [4]
    assert sizes(tmp_path / "test") == [4]


def test_words_within_words_say_nothing(tmp_path):
    tfrecord(tmp_path / "latest-retrained", 4)
    assert sizes(tmp_path) == sizes(tmp_path, split="test") == [4]


def test_files_folders_and_globs_are_taken_together_and_each_file_once(tmp_path):
    one = tfrecord(tmp_path / "a" / "one.tfrecord", 1)
    tfrecord(tmp_path / "a" / "two.tfrecord", 2)
    tfrecord(tmp_path / "b" / "three.tfrecord", 3)
    tfrecord(tmp_path / "b" / "four.tfrecord", 4)
    assert sizes(one) == [1]
    assert sizes(one, tmp_path / "b") == [1, 4, 3]
    assert sizes(tmp_path / "?" / "t*.tfrecord") == [2, 3]
    assert sizes(tmp_path / "**" / "[of]*") == [1, 4]
    assert sizes(one, tmp_path / "a", tmp_path / "*") == [1, 2, 4, 3]


def test_a_glob_that_matches_both_splits_serves_either(tmp_path):
    originals(tmp_path / "idx")
    tfrecord(tmp_path / "records" / "train" / "part-0", 5)
    tfrecord(tmp_path / "records" / "test" / "part-0", 3)
    for glob in ("idx/*", "idx/*.gz"):
        assert sizes(tmp_path / glob) == [70]
        assert sizes(tmp_path / glob, split="test") == [9]
    for glob in ("records/*", "records/*/part-*", "rec*/*", "rec*/**/*"):
        assert sizes(tmp_path / glob) == [5]
        assert sizes(tmp_path / glob, split="test") == [3]


def test_a_folder_whose_name_looks_like_a_glob_is_a_folder(tmp_path):
    tfrecord(tmp_path / "run[1]" / "train" / "x", 5)
    tfrecord(tmp_path / "run[1]" / "test" / "x", 3)
    assert sizes(tmp_path / "run[1]", split="test") == [3]


def test_a_file_named_by_itself_is_meant_whatever_its_name(tmp_path):
    file = tfrecord(tmp_path / "test.tfrecord", 4)
    assert sizes(file) == [4]
    assert not holds_part([str(file)], TEST_PARTS)


@pytest.mark.parametrize(
    "name", ["data", "images.txt", "x.npy", "train.gz", "archive.zip", "odd name ü"]
)
def test_the_format_is_recognised_by_content_whatever_the_name(tmp_path, name):
    file = tfrecord(tmp_path / "1" / name, 4)
    [table] = open_tables([str(file)], split="train")
    assert (table.kind, len(table)) == ("tfrecord", 4)
    images, labels = digits(4)
    x = put(tmp_path / "2" / ("a" + name), pack(images[..., 0]))
    y = put(tmp_path / "2" / ("b" + name), gzip.compress(pack(labels)))
    [table] = open_tables([str(x), str(y)], split="train")
    assert (table.kind, len(table)) == ("idx", 4)
    x, y = npy(tmp_path / "3" / "a.npy", images), npy(tmp_path / "3" / "b.npy", labels)
    x, y = x.rename(x.with_name("a" + name)), y.rename(y.with_name("b" + name))
    [table] = open_tables([str(x), str(y)], split="train")
    assert (table.kind, len(table)) == ("npy", 4)


def test_what_commonly_lies_beside_data_is_passed_over(tmp_path):
    originals(tmp_path)
    for name in ("README.md", "LICENSE", "SHA256SUMS.sha256", "_SUCCESS", ".DS_Store", "info.json"):
        put(tmp_path / name, b"text")
    put(tmp_path / ".git" / "objects" / "ab", b"zlib")
    put(tmp_path / ".ipynb_checkpoints" / "data", b"json")
    put(tmp_path / ".train.tfrecords.123.part", b"")
    assert sizes(tmp_path) == [70]
    tfrecord(tmp_path / "plain" / "part-0", 4)
    put(tmp_path / "plain" / ".git" / "objects" / "ab", b"zlib")
    assert sizes(tmp_path / "plain") == [4]


BESIDE = [
    "_SUCCESS", "_temporary/0/part-0", "_delta_log/0.json", "lost+found/x", ".git/objects/ab",
    "x_$folder$", "manifest", "manifest.json", "train.manifest", "SHA256SUMS", "train.log",
    "job.out", ".part-0.crc", "part-0.crc", "beam-temp-train-1/part-0", "part-0.tfrecord.tmp",
    "part-0~", "train/part-0.idx", "stats.avro", "train/@eaDir/x", "$RECYCLE.BIN/x",
    "README", "Makefile", "preview.svg", "model.tar.gz",
    "events.out.tfevents.1.host", "logs/events.out.tfevents.1.host.v2", "checkpoint",
    "model.ckpt-7.meta", "model.ckpt-7.index", "model.ckpt-7.data-00000-of-00001", "weights.h5",
    "ckpt-00000007/state.json", "ckpt-00000007/variables.data-00000-of-00001",
    "model/1/saved_model.pb", "model/1/variables/variables.data-00000-of-00001",
    "model/1/assets/part-0", "model/code/inference.py", "metrics.json", "mnist.zip",
]  # fmt: skip


@pytest.mark.parametrize("name", BESIDE)
def test_what_writers_tools_and_the_trainer_itself_leave_is_no_data(tmp_path, name):
    file = tfrecord(tmp_path / "data" / name, 9)
    for beside in ("model.ckpt-7.index", "model/1/saved_model.pb", "ckpt-00000007/state.json"):
        if name.startswith(beside.split("-")[0].split("/")[0]):
            put(tmp_path / "data" / beside, b"x")
    tfrecord(tmp_path / "data/train/part-0", 4)
    tfrecord(tmp_path / "data/test/part-0", 2)
    for path in (tmp_path / "data", tmp_path / "data/*"):
        assert sizes(path) == [4]
        assert sizes(path, split="test") == [2]
    names = [
        f.relative_to(tmp_path / "data").as_posix() for f in tmp_path.rglob("*/*") if f.is_file()
    ]
    assert data_among(names) == {"train/part-0", "test/part-0"}
    # It is taken where it is meant.
    if file.stat().st_size > 1:
        assert sizes(file) == [9]


def test_what_describes_the_data_is_fetched_with_it_and_is_no_data():
    beside = ["mnist/3.0.1/features.json", "mnist/3.0.1/label.labels.txt"]
    names = ["mnist/3.0.1/mnist-train.tfrecord-00000-of-00001", *beside, "mnist/labels.txt"]
    assert data_among(names) == {names[0]}
    assert wanted_among(names) == {names[0], *beside}


def test_shards_named_like_the_values_of_a_checkpoint_are_data(tmp_path):
    tfrecord(tmp_path / "train.data-00000-of-00001", 4)
    assert sizes(tmp_path) == [4]


def test_links_to_folders_are_followed_and_loops_of_them_end(tmp_path):
    tfrecord(tmp_path / "big/train/part-0", 4)
    tfrecord(tmp_path / "big/test/part-0", 2)
    (tmp_path / "big/train/loop").symlink_to(tmp_path / "big")
    data = tmp_path / "data"
    data.mkdir()
    for name in ("train", "test"):
        (data / name).symlink_to(tmp_path / "big" / name)
    (data / "self").symlink_to("self")
    (data / "latest").symlink_to(data)
    for path in (data, data / "t*", tmp_path / "d*"):
        assert sizes(path) == [4]
        assert sizes(path, split="test") == [2]
    # One folder may be meant for both.
    (tmp_path / "big/train/loop").unlink()
    (data / "test").unlink()
    (data / "test").symlink_to(tmp_path / "big/train")
    assert sizes(data) == sizes(data, split="test") == [4]


def test_folders_that_all_link_to_each_other_are_looked_through_once(tmp_path):
    for i in range(12):
        tfrecord(tmp_path / f"{i:02}" / "part-0", 1)
        for j in range(12):
            (tmp_path / f"{i:02}" / f"to-{j}").symlink_to(tmp_path / f"{j:02}")
    assert sizes(tmp_path) == [1] * 12


def test_a_link_that_leads_nowhere_is_data_that_is_missing(tmp_path):
    tfrecord(tmp_path / "part-0")
    (tmp_path / "part-1").symlink_to(tmp_path / "gone")
    message = f"--train {tmp_path}/part-1: cannot be read: a link that leads nowhere"
    assert error_of(tmp_path) == message
    (tmp_path / "part-1").rename(tmp_path / "part-1.crc")
    assert sizes(tmp_path) == [5]


@pytest.mark.parametrize("glob", ["", "*"])
def test_of_three_splits_the_test_split_is_evaluated_on_and_validation_is_not_used(tmp_path, glob):
    for name, count in (("train", 5), ("validation", 3), ("eval", 4), ("test", 2)):
        tfrecord(tmp_path / f"{name}.tfrecords", count)
    path = tmp_path / glob
    assert sizes(path) == [5]
    assert sizes(path, split="test") == [2]
    unused = f"not used: {tmp_path}/eval.tfrecords, {tmp_path}/validation.tfrecords"
    assert notes([str(path)], [str(path)]) == [unused]
    (tmp_path / "test.tfrecords").unlink()
    assert sizes(path, split="test") == [4]
    (tmp_path / "eval.tfrecords").unlink()
    assert sizes(path, split="test") == [3]
    assert sizes(path) == [5]
    assert notes([str(path)], [str(path)]) == []


def test_of_a_folder_with_three_splits_each_is_used_for_what_it_is(tmp_path):
    for name, count in (("train", 5), ("validation", 3), ("test", 2)):
        tfrecord(tmp_path / f"{name}.tfrecords", count)
    assert sizes(tmp_path, split="validation") == [3]
    assert notes(*[[str(tmp_path)]] * 3) == []
    (tmp_path / "validation.tfrecords").rename(tmp_path / "eval.tfrecords")
    assert sizes(tmp_path, split="validation") == [3]
    (tmp_path / "eval.tfrecords").unlink()
    assert sizes(tmp_path / "test.tfrecords", split="validation") == [2]


def test_one_part_is_evaluated_on_though_others_lie_in_other_folders(tmp_path):
    for name in ("a/train", "a/validation", "b/train", "b/test"):
        tfrecord(tmp_path / name / "part-0", 3 if "validation" in name else 2)
    assert sizes(tmp_path / "a", tmp_path / "b", split="test") == [2]


def test_shards_that_are_missing_are_reported(tmp_path):
    for number in (0, 2):
        tfrecord(tmp_path / f"train-0000{number}-of-00004.tfrecord")
    put(tmp_path / "train-00003-of-00004.tfrecord", b"")
    tfrecord(tmp_path / "test-00000-of-00001.tfrecord")
    assert notes([str(tmp_path)], [str(tmp_path)])[1:] == [
        f"{tmp_path}/train-*-of-00004: only 3 of 4 files are there"
    ]
    # Where each host holds a part, the others have them.
    assert len(notes([str(tmp_path)], [str(tmp_path)], shared=True)) == 1


def test_idx_files_of_other_shapes_and_types_are_reported_as_such(tmp_path):
    file = put(tmp_path / "a", pack(np.zeros((2, 28, 28, 1, 1), np.uint8)))
    assert error_of(tmp_path) == f"{file}: an IDX file of 5 dimensions; expected 1 to 4"


def test_a_file_that_is_there_gzipped_and_unpacked_counts_once(tmp_path):
    originals(tmp_path)
    originals(tmp_path, squeeze=bytes, suffix="")
    assert sizes(tmp_path) == [70]
    assert list(find([str(tmp_path)], split="test").images) == [
        tmp_path / IDX["test"].format("images", 3)
    ]


@pytest.mark.parametrize(
    "names",
    [
        ("x_{}.npy", "y_{}.npy"),
        ("{}_data.npy", "{}_labels.npy"),
        ("{}_images.npy", "{}_labels.npy"),
        ("{}-images.npy", "{}-labels.npy"),
        ("{}/images.npy", "{}/labels.npy"),
        ("{}-X.npy", "{}-Y.npy"),
    ],
)
def test_npy_files_are_paired_by_name(tmp_path, names):
    for split, count in COUNTS.items():
        for name, array in zip(names, digits(count), strict=True):
            npy(tmp_path / name.format(split), array)
    for split, count in COUNTS.items():
        [table] = open_tables([str(tmp_path)], split=split)
        assert (table.kind, len(table)) == ("npy", count)


@pytest.mark.parametrize(
    "names",
    [
        ("train-images-{}.gz", "train-labels-{}.gz"),
        ("part{}-images-idx3-ubyte", "part{}-labels-idx1-ubyte"),
        ("{}/images", "{}/labels"),
        ("image{}", "label{}"),
        ("x{}", "y{}"),
    ],
)
def test_several_pairs_are_matched_by_name(tmp_path, names):
    for number in range(12):
        images, labels = digits(number + 1, seed=number)
        put(tmp_path / names[0].format(number), pack(images[..., 0]))
        put(tmp_path / names[1].format(number), pack(labels))
    tables = open_tables([str(tmp_path)], split="train")
    assert sorted(map(len, tables)) == list(range(1, 13))
    for table in tables:
        np.testing.assert_array_equal(
            table.read(0, len(table))[1], digits(len(table), seed=len(table) - 1)[1]
        )


def test_a_single_pair_needs_no_names_that_match(tmp_path):
    images, labels = digits(4)
    npy(tmp_path / "pictures.npy", images)
    npy(tmp_path / "classes.npy", labels)
    assert sizes(tmp_path) == [4]


def test_tables_come_in_the_order_of_their_names(tmp_path):
    for number in (3, 1, 2):
        tfrecord(tmp_path / f"part-{number}", number)
    assert sizes(tmp_path) == [1, 2, 3]


# What is refused.


@pytest.mark.parametrize("path", ["nowhere", "nowhere/*.tfrecord", "no[thing", "**/nothing"])
def test_a_path_that_does_not_exist_is_reported(tmp_path, path):
    message = error_of(tmp_path / path)
    assert message.startswith(f"--train {tmp_path / path}: does not exist; give files, folders")


def test_an_empty_folder_is_reported(tmp_path):
    (tmp_path / "deep/er").mkdir(parents=True)
    assert error_of(tmp_path, split="test").startswith(f"--test {tmp_path}: is empty; give files")


@pytest.mark.parametrize(
    ("names", "held"),
    [
        (["README.md"], "README.md"),
        ([".hidden"], ".hidden"),
        (["mnist_test.json", "mnist_train.json"], "mnist_test.json, mnist_train.json"),
        (["train/a.svg", "b.svg", "c.svg", "d.svg"], "a.svg, b.svg, c.svg and 1 more"),
        (["_temporary/0/part-0"], "_temporary"),
        (["ckpt-00000007/state.json"], "ckpt-00000007"),
    ],
)
def test_a_folder_that_holds_no_data_is_reported_with_what_it_holds(tmp_path, names, held):
    for name in names:
        put(tmp_path / name, b"x")
    message = f": holds only {held}, of which nothing is read; give files, folders or globs of TF"
    assert error_of(tmp_path).startswith(f"--train {tmp_path}{message}")
    glob = tmp_path / "*"
    if held[0] not in "._":
        assert error_of(glob).startswith(f"--train {glob}{message}")


def test_files_without_a_byte_are_passed_over_unless_all_are_or_one_is_named(tmp_path):
    tfrecord(tmp_path / "train/part-0", 3)
    tfrecord(tmp_path / "test/part-0", 2)
    put(tmp_path / "train/part-1", b"")
    put(tmp_path / "train_$folder$", b"")
    for path in (tmp_path, tmp_path / "*", tmp_path / "train" / "part-*"):
        assert sizes(path) == [3]
    assert notes([str(tmp_path)], [str(tmp_path)]) == [f"without a record: {tmp_path}/train/part-1"]
    (tmp_path / "train/part-0").write_bytes(b"")
    message = error_of(tmp_path / "train")
    assert "holds only part-0 (without a byte), part-1 (without a byte), of which" in message
    assert error_of(tmp_path / "train/part-1").startswith(f"{tmp_path}/train/part-1: is empty")


def test_an_empty_file_is_reported(tmp_path):
    file = put(tmp_path / "x.tfrecord", b"")
    assert error_of(file).startswith(f"{file}: is empty, expected {accepted()}")
    file = put(tmp_path / "y.gz", gzip.compress(b""))
    assert error_of(file).startswith(f"{file}: is empty, expected {accepted()}")


@pytest.mark.parametrize("raw", [b"\n", b"<html>", bytes(200), b"\0\0\x08\x03", b"PK\3\4" * 100])
def test_a_file_of_no_known_kind_is_reported_with_its_first_bytes(tmp_path, raw):
    file = put(tmp_path / "data", raw)
    message = error_of(tmp_path)
    assert message.startswith(f"{file}: is neither {accepted()}: ")
    assert message.endswith(f"begins with the bytes {raw[:8].hex(' ')}")


@pytest.mark.parametrize("name", ["a.tfrecord", "B.TFRECORDS", "c.tfrec"])
def test_a_tfrecord_whose_first_record_is_damaged_is_known_by_its_name(tmp_path, name):
    file = tfrecord(tmp_path / name, 5)
    file.write_bytes(b"\xff" + file.read_bytes()[1:])
    message = error_of(tmp_path)
    assert message.startswith(f"{file}: record 0 at offset 0: length checksum is wrong")
    assert sizes(tmp_path, skip_corrupt=1) == [4]


@pytest.mark.parametrize("name", ["x.npy.gz", "x.tfrecord.gz"])
def test_a_gzipped_file_that_is_not_read_gets_one_clear_line(tmp_path, name):
    file = npy(tmp_path / "x.npy", digits(3)[0])
    packed = put(tmp_path / "g" / name, gzip.compress(file.read_bytes()))
    assert re.fullmatch(
        rf"{packed}: gzipped npy.* files are not read; unpack it: gunzip", error_of(packed)
    )


@pytest.mark.parametrize("left", [2, 5, 12])
def test_a_gzip_stream_that_is_cut_in_its_head_is_reported(tmp_path, left):
    file = put(tmp_path / "x.gz", gzip.compress(pack(digits(3)[1]))[:left])
    assert error_of(file).startswith(f"{file}: damaged gzip file (")


def test_mixed_kinds_are_reported_with_an_example_of_each(tmp_path):
    originals(tmp_path, squeeze=bytes, suffix="")
    tfrecord(tmp_path / "train.tfrecords")
    message = error_of(tmp_path)
    assert message.startswith("--train: idx and tfrecord files are mixed: ")
    assert "train.tfrecords (tfrecord)" in message
    assert "train-images-idx3-ubyte (idx images)" in message


@pytest.mark.parametrize(("split", "other"), [("train", "test"), ("test", "train")])
def test_a_folder_that_holds_only_the_other_split_is_reported(tmp_path, split, other):
    tfrecord(tmp_path / other / "part-0")
    message = error_of(tmp_path, split=split)
    assert message.startswith(f"--{split} {tmp_path}: holds {other} data only (part-0, …)")
    assert sizes(tmp_path / other, split=split) == [5]


@pytest.mark.parametrize(("gone", "what"), [("images", "images"), ("labels", "labels")])
@pytest.mark.parametrize("count", [1, 2])
def test_a_missing_partner_is_reported(tmp_path, count, gone, what):
    for number in range(count):
        images, labels = digits(3)
        put(tmp_path / f"{number}-images", pack(images[..., 0]))
        put(tmp_path / f"{number}-labels", pack(labels))
    (tmp_path / f"0-{gone}").unlink()
    left = tmp_path / ("0-labels" if gone == "images" else "0-images")
    assert error_of(tmp_path) == f"--train: no file of {what} goes with {left}"


def test_only_one_of_the_four_original_files_is_reported(tmp_path):
    originals(tmp_path)
    file = tmp_path / (IDX["train"].format("images", 3) + ".gz")
    assert error_of(file) == f"--train: no file of labels goes with {file}"


def test_files_without_any_record_are_reported(tmp_path):
    put(tmp_path / "images", pack(np.zeros((0, 28, 28), np.uint8)))
    put(tmp_path / "labels", pack(np.zeros(0, np.uint8)))
    assert error_of(tmp_path) == f"--train: {tmp_path} holds no records"


@contextlib.contextmanager
def closed(folder):
    """Nobody may look into a folder for a while; root would all the same, so be nobody."""
    folder.chmod(0)
    root = os.geteuid() == 0
    try:
        if root:
            os.seteuid(65534)
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)


@pytest.fixture
def public_folder():
    """A folder that anybody may enter; only its owner enters tmp_path."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("path", [".", "part-0", "inner"])
def test_a_folder_that_may_not_be_entered_is_reported(public_folder, path):
    tfrecord(public_folder / "data" / "part-0")
    path = public_folder / "data" / path
    with closed(public_folder / "data"):
        message = error_of(path)
    assert message.startswith(f"--train {path}: ")
    # What is below a closed folder, Python 3.13 takes for missing.
    assert "Permission denied" in message or (path.name != "data" and "does not exist" in message)


def test_a_file_that_may_not_be_read_is_reported(public_folder):
    file = tfrecord(public_folder / "part-0")
    with closed(file):
        assert error_of(file) == f"{file}: cannot be read: Permission denied"


def test_a_path_that_no_system_takes_is_reported(tmp_path):
    path = tmp_path / ("x" * 5000)
    assert error_of(path) == f"--train {path}: cannot be read: File name too long"


# What may be left out.


def test_damaged_records_are_counted_over_all_files(tmp_path):
    paths = [tfrecord(tmp_path / f"part-{i}", 10, seed=i) for i in range(3)]
    raw = bytearray(paths[0].read_bytes())
    stride = len(raw) // 10
    for path, record in ((paths[0], 4), (paths[2], 7), (paths[2], 8)):
        raw = bytearray(path.read_bytes())
        raw[record * stride + 100] ^= 1
        path.write_bytes(raw)
    tables = open_tables([str(tmp_path)], split="train", skip_corrupt=3)
    assert list(map(len, tables)) == [9, 10, 8]
    assert [len(table.damage) for table in tables] == [1, 0, 2]
    message = error_of(tmp_path, skip_corrupt=2)
    assert message.startswith(
        f"3 damaged records, more than --skip-corrupt 2; the first: {paths[0]}: record 4 at offset "
    )


def test_a_file_of_nothing_but_damage_beside_good_ones_is_left_out(tmp_path):
    tfrecord(tmp_path / "a.tfrecord", 4)
    put(tmp_path / "b.tfrecord", b"<html>not found</html>")
    assert sizes(tmp_path, skip_corrupt=1) == [4, 0]


def test_the_flag_in_a_message_can_be_another(tmp_path):
    with pytest.raises(DataError, match=r"^--source .* does not exist"):
        open_tables([str(tmp_path / "none")], split="train", flag="--source")


@pytest.mark.parametrize(
    ("path", "train", "test"),
    [
        ("idx", True, True),
        ("idx/*.gz", True, True),
        ("idx/t10k*", False, True),
        ("nested", True, True),
        ("nested/*", True, True),
        ("nested/test", False, False),
        ("plain", False, False),
        ("none", False, False),
        ("idx/t10k-labels-idx1-ubyte.gz", False, False),
    ],
)
def test_whether_a_folder_or_glob_holds_a_split(tmp_path, path, train, test):
    originals(tmp_path / "idx")
    tfrecord(tmp_path / "nested" / "train" / "x")
    tfrecord(tmp_path / "nested" / "test" / "x")
    tfrecord(tmp_path / "plain" / "x")
    paths = [str(tmp_path / path)]
    assert holds_part(paths, ["train"]) == train
    assert holds_part(paths, TEST_PARTS) == test
    assert holds_part([str(tmp_path / "plain"), *paths], TEST_PARTS) == test
