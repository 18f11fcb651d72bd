"""`trainer data create`: what it writes TensorFlow reads back, and it writes all or nothing."""

import gzip
import hashlib
import os
import subprocess
import sys

import google_crc32c
import numpy as np
import pytest

from trainer.config.errors import DataError, UserError
from trainer.data.create import create_dataset
from trainer.data.creating import create_anywhere
from trainer.data.creation import JOURNAL
from trainer.data.files import open_tables
from trainer.data.folders import scan_path
from trainer.data.formats.example import encode_examples
from trainer.data.formats.framing import frame
from trainer.data.formats.idx import pack
from trainer.data.manifest import read_manifest
from trainer.data.shard_file import RUN_BYTES

COUNTS = {"train": 103, "test": 20}
NAMES = {"train": "train-{}-ubyte", "test": "t10k-{}-ubyte"}


def digits(count, seed=0):
    rng = np.random.default_rng(seed)
    return (
        rng.integers(0, 256, (count, 28, 28, 1), np.uint8),
        rng.integers(0, 10, count).astype(np.uint8),
    )


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    for split, name in NAMES.items():
        images, labels = digits(COUNTS[split])
        (folder / name.format("images-idx3")).write_bytes(pack(images[..., 0]))
        (folder / name.format("labels-idx1")).write_bytes(gzip.compress(pack(labels)))
    return folder


def tree(folder):
    """Every file below a folder, hidden ones too, with its content's checksum."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def refused(kind=UserError, **options):
    with pytest.raises(kind) as caught:
        create_dataset(**options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.tensorflow
@pytest.mark.parametrize("shards", [1, 3])
def test_tensorflow_reads_back_what_is_written(source, tmp_path, shards):
    import tensorflow as tf

    spec = {
        **{name: tf.io.FixedLenFeature((), tf.int64) for name in ("height", "width", "depth")},
        "label": tf.io.FixedLenFeature((), tf.int64),
        "image_raw": tf.io.FixedLenFeature((), tf.string),
    }
    written = create_dataset(source=str(source), out=tmp_path / "out", shards=shards)
    for split, paths in written.items():
        images, labels = digits(COUNTS[split])
        records = tf.data.TFRecordDataset([str(path) for path in paths])
        found = list(records.map(lambda raw: tf.io.parse_single_example(raw, spec)))
        assert [int(example["label"]) for example in found] == labels.tolist()
        assert [example["image_raw"].numpy() for example in found] == [i.tobytes() for i in images]
        for example in found:
            assert [int(example[n]) for n in ("height", "width", "depth")] == [28, 28, 1]


@pytest.mark.parametrize("shards", [1, 2, 7, 20])
def test_shards_are_named_in_order_and_differ_by_one_record_at_most(source, tmp_path, shards):
    out = tmp_path / "out"
    written = create_dataset(source=str(source), out=out, shards=shards)
    for split, paths in written.items():
        assert paths == [
            out / split / f"{split}-{number:05d}-of-{shards:05d}.tfrecord"
            for number in range(shards)
        ]
        counts = [len(table) for table in open_tables([str(p) for p in paths], split=split)]
        assert sum(counts) == COUNTS[split]
        assert max(counts) - min(counts) <= 1
    names = [str(path.relative_to(out)) for paths in written.values() for path in paths]
    assert sorted(tree(out)) == sorted([*names, "manifest.json"])


def test_the_folder_that_is_written_serves_as_data_for_either_split(source, tmp_path):
    create_dataset(source=str(source), out=tmp_path / "out", shards=2)
    for split, count in COUNTS.items():
        images, labels = digits(count)
        tables = open_tables([str(tmp_path / "out")], split=split)
        parts = [table.read(0, len(table)) for table in tables]
        np.testing.assert_array_equal(np.concatenate([part[0] for part in parts]), images)
        np.testing.assert_array_equal(np.concatenate([part[1] for part in parts]), labels)


def test_more_records_than_are_held_in_memory_are_written_in_order(tmp_path):
    count = RUN_BYTES // 784 + 100
    labels = np.random.default_rng(0).integers(0, 10, count).astype(np.uint8)
    for folder, part in (("train", labels), ("test", labels[:5])):
        (tmp_path / "npy" / folder).mkdir(parents=True)
        np.save(tmp_path / "npy" / folder / "x.npy", np.zeros((len(part), 28, 28), np.uint8))
        np.save(tmp_path / "npy" / folder / "y.npy", part)
    written = create_dataset(source=str(tmp_path / "npy"), out=tmp_path / "out", shards=3)
    tables = open_tables([str(path) for path in written["train"]], split="train")
    found = [table.read(0, len(table))[1] for table in tables]
    np.testing.assert_array_equal(np.concatenate(found), labels)


def test_without_a_source_the_synthetic_digits_are_written(tmp_path):
    written = create_dataset(source=None, out=tmp_path)
    for split, paths in written.items():
        [ours], [theirs] = (open_tables(list(map(str, of)), split=split) for of in (paths, []))
        assert len(ours) == len(theirs)
        np.testing.assert_array_equal(ours.read(0, 640)[0], theirs.read(0, 640)[0])


def test_the_same_command_twice_gives_the_same_files(source, tmp_path):
    create_dataset(source=str(source), out=tmp_path / "out", shards=2)
    before = tree(tmp_path / "out")
    create_dataset(source=str(source), out=tmp_path / "out", shards=2)
    assert tree(tmp_path / "out") == before


def test_what_was_written_can_be_written_to_its_own_place(source, tmp_path):
    out = tmp_path / "out"
    create_dataset(source=str(source), out=out, shards=3)
    before = tree(out)
    create_dataset(source=str(out), out=out, shards=3)
    # The manifest names another source.
    assert tree(out) | {"manifest.json": ""} == before | {"manifest.json": ""}


def damaged_records(folder, *, bad):
    """TFRecords of both splits; record 150 of 200 of one has a wrong checksum."""
    for split in ("train", "test"):
        raw = bytearray(frame(encode_examples(*digits(200))).tobytes())
        if split == bad:
            raw[150 * len(raw) // 200 + 100] ^= 1
        (folder / split).mkdir(parents=True)
        (folder / split / "x.tfrecords").write_bytes(raw)
    return folder


@pytest.mark.parametrize("bad", ["train", "test"])
def test_a_source_that_breaks_in_the_middle_leaves_nothing(tmp_path, bad):
    source = damaged_records(tmp_path / "source", bad=bad)
    message = refused(DataError, source=str(source), out=tmp_path / "out", shards=4)
    assert "record 150 at offset" in message
    assert tree(tmp_path / "out") == {}


@pytest.mark.parametrize("bad", ["train", "test"])
def test_a_source_that_breaks_in_the_middle_leaves_earlier_files_as_they_were(
    source, tmp_path, bad
):
    create_dataset(source=str(source), out=tmp_path / "out", shards=4)
    before = tree(tmp_path / "out")
    broken = damaged_records(tmp_path / "broken", bad=bad)
    refused(DataError, source=str(broken), out=tmp_path / "out", shards=4)
    assert tree(tmp_path / "out") == before


@pytest.mark.parametrize("split", COUNTS)
@pytest.mark.parametrize(
    "name",
    [
        "train-00000-of-00009.tfrecord",
        "mnist_train-00000-of-00001.tfrecords",
        "other",
        "x.tfrecord",
    ],
)
def test_a_folder_that_holds_other_data_is_refused_untouched(source, tmp_path, split, name):
    out = tmp_path / "out"
    (out / split).mkdir(parents=True)
    (out / split / name).write_bytes(b"other data")
    before = tree(out)
    assert refused(source=str(source), out=out, shards=2) == (
        f"--out {out}: {out / split} holds {name} already; give an empty folder"
    )
    assert tree(out) == before


def test_notes_beside_the_data_are_no_other_data(source, tmp_path):
    (tmp_path / "out" / "train").mkdir(parents=True)
    (tmp_path / "out" / "train" / "README.md").write_text("ours")
    create_dataset(source=str(source), out=tmp_path / "out")


def test_more_shards_than_examples_are_refused(source, tmp_path):
    assert refused(source=str(source), out=tmp_path / "out", shards=21) == (
        "--shards 21: more than the 20 test examples"
    )
    assert not (tmp_path / "out").exists()


def test_a_source_that_does_not_tell_splits_apart_is_written_as_train(tmp_path, caplog):
    for name, array in zip("xy", digits(10), strict=True):
        np.save(tmp_path / f"{name}.npy", array)
    with caplog.at_level("INFO"):
        written = create_dataset(source=str(tmp_path), out=tmp_path / "out")
    assert list(written) == ["train"]
    assert f"no name in {tmp_path} tells train from test" in caplog.text


def test_what_is_neither_trained_nor_tested_on_is_reported(source, tmp_path, capsys):
    (source / "validation.tfrecord").write_bytes(b"")
    create_anywhere(source=str(source), out=str(tmp_path / "out"))
    assert capsys.readouterr().out.splitlines() == [
        f"without a record: {source}/validation.tfrecord",
    ]


def test_a_missing_source_is_reported_with_its_flag(tmp_path):
    message = refused(DataError, source=str(tmp_path / "none"), out=tmp_path / "out")
    assert message.startswith(f"--source {tmp_path / 'none'}: does not exist")


def test_a_source_of_one_split_is_written_as_that(source, tmp_path):
    for path in source.glob("t10k*"):
        path.unlink()
    assert list(create_dataset(source=str(source), out=tmp_path / "out")) == ["train"]
    assert not (tmp_path / "out/test").exists()


def test_a_name_of_a_class_is_the_same_label_in_every_split(tmp_path):
    for split, names in (("train", ["ant", "bee", "cat"]), ("test", ["cat", "ant"])):
        np.save(tmp_path / f"x_{split}.npy", np.zeros((len(names), 28, 28), np.uint8))
        np.save(tmp_path / f"y_{split}.npy", np.array(names))
    create_dataset(source=str(tmp_path), out=tmp_path / "out")
    assert read_manifest(tmp_path / "out").class_names == ["ant", "bee", "cat"]
    [test] = open_tables([str(tmp_path / "out")], split="test")
    assert test.read(0, 2)[1].tolist() == [2, 0]


def test_the_manifest_has_counts_labels_and_checksums(source, tmp_path):
    out = tmp_path / "out"
    create_dataset(source=str(source), out=out, shards=3)
    manifest = read_manifest(out)
    assert (manifest.shape, manifest.dtype, manifest.pixel_range) == (
        (28, 28, 1),
        "uint8",
        (0, 255),
    )
    for split, count in COUNTS.items():
        found = manifest.splits[split]
        labels = digits(count)[1]
        assert (found.examples, found.labels) == (count, np.bincount(labels).tolist())
        for file in found.files:
            data = (out / file.name).read_bytes()
            assert file.bytes == len(data)
            assert file.crc32c == f"{google_crc32c.value(data):08x}"
        assert sum(file.examples for file in found.files) == count


@pytest.mark.parametrize("workers", [1, 4])
def test_packed_files_hold_the_same_and_are_the_same_each_time(source, tmp_path, workers):
    for folder in ("a", "b"):
        create_dataset(
            source=str(source), out=tmp_path / folder, shards=3, packed=True, workers=workers
        )
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    assert all(name.endswith((".tfrecord.gz", ".json")) for name in tree(tmp_path / "a"))
    for split, count in COUNTS.items():
        parts = [t.read(0, len(t)) for t in open_tables([str(tmp_path / "a")], split=split)]
        np.testing.assert_array_equal(np.concatenate([p[0] for p in parts]), digits(count)[0])


def test_names_of_classes_go_with_each_split(tmp_path):
    images = np.zeros((6, 8, 8), np.uint8)
    for split in ("train", "test"):
        np.save(tmp_path / f"{split}_images.npy", images)
        np.save(tmp_path / f"{split}_labels.npy", np.array(["cat", "dog", "owl"] * 2))
    out = tmp_path / "out"
    create_dataset(source=str(tmp_path), out=out)
    assert read_manifest(out).class_names == ["cat", "dog", "owl"]
    for split in ("train", "test"):
        (table,) = open_tables([str(out / split)], split=split)
        assert table.class_names == ("cat", "dog", "owl")


def test_float_images_keep_their_values(tmp_path):
    images = np.random.default_rng(0).random((70, 8, 6, 3), np.float32)
    np.save(tmp_path / "images.npy", images)
    np.save(tmp_path / "labels.npy", np.arange(70) % 3)
    create_dataset(source=str(tmp_path), out=tmp_path / "out")
    (table,) = open_tables([str(tmp_path / "out")], split="train")
    assert (table.spec.dtype, table.spec.shape) == ("float32", (8, 6, 3))
    np.testing.assert_array_equal(table.read(0, 70)[0], images)


KILLED = """
import os, sys
from pathlib import Path
from trainer.data import creation
from trainer.data.create import create_dataset

write, left = creation.write_shard, [3]

def write_some(*args, **options):
    if not left[0]:
        os.kill(os.getpid(), 9)
    left[0] -= 1
    return write(*args, **options)

creation.write_shard = write_some
create_dataset(source=sys.argv[1], out=Path(sys.argv[2]), shards=5)
"""


def test_what_a_killed_process_left_whole_is_not_written_again(source, tmp_path, caplog):
    out = tmp_path / "out"
    ran = subprocess.run([sys.executable, "-c", KILLED, str(source), str(out)], check=False)
    assert ran.returncode == -9
    # Nothing there is data yet.
    assert scan_path(out).files == []
    parts = {path: path.stat().st_mtime_ns for path in out.rglob(".*.tfrecord.part")}
    with caplog.at_level("INFO"):
        create_dataset(source=str(source), out=out, shards=5)
    assert "3 of 10 files are there" in caplog.text
    for part, written in parts.items():
        name = part.name.removeprefix(".").removesuffix(".part")
        assert part.with_name(name).stat().st_mtime_ns == written
    create_dataset(source=str(source), out=tmp_path / "other", shards=5)
    assert tree(out) == tree(tmp_path / "other")


def test_what_a_killed_process_left_of_another_source_is_written_again(source, tmp_path):
    out = tmp_path / "out"
    subprocess.run([sys.executable, "-c", KILLED, str(source), str(out)], check=False)
    assert (out / JOURNAL).exists()
    labels = gzip.compress(pack(np.zeros(103, np.uint8)))
    (source / NAMES["train"].format("labels-idx1")).write_bytes(labels)
    create_dataset(source=str(source), out=out, shards=5)
    assert read_manifest(out).splits["train"].labels == [103]


def test_a_file_in_place_of_the_folder_is_reported(source, tmp_path):
    (tmp_path / "out").write_text("a file")
    message = refused(source=str(source), out=tmp_path / "out")
    assert message.startswith(f"--out {tmp_path / 'out'}: cannot be written: ")
    assert (tmp_path / "out").read_text() == "a file"


def test_a_folder_that_may_not_be_written_is_reported(source, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    out.chmod(0o555)
    try:
        if os.geteuid() == 0:
            # Root may write anywhere but below /proc.
            out = type(out)("/proc/sys/out")
        message = refused(source=str(source), out=out)
    finally:
        (tmp_path / "out").chmod(0o755)
    assert message.startswith(f"--out {out}: cannot be written: ")
