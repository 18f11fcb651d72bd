"""TFRecord files, against TensorFlow's own reader and writer, whole and damaged."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from trainer.config.errors import DataError
from trainer.data.formats import example, protobuf
from trainer.data.formats.file_reader import OPEN_FILES, FileReader
from trainer.data.formats.framing import find_header, frame, header_length, is_tfrecord, masked_crc
from trainer.data.formats.record_table import TFRecordTable
from trainer.data.formats.table import BLOCK_RECORDS

quick = settings(deadline=None, max_examples=30)
seeds = st.integers(0, 2**32 - 1)

STRIDE = example.encode_examples(np.zeros((1, 28, 28, 1), np.uint8), np.zeros(1)).shape[1] + 16


@pytest.fixture(scope="session")
def tf():
    import tensorflow

    return tensorflow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One folder for the examples of the property tests, which write over each other's files."""
    return tmp_path_factory.mktemp("tfrecord")


def digits(count, seed=0):
    rng = np.random.default_rng(seed)
    return (
        rng.integers(0, 256, (count, 28, 28, 1), np.uint8),
        rng.integers(0, 10, count).astype(np.uint8),
    )


def uniform(count, seed=0):
    """A file whose records have one length, as bytes; and what it holds."""
    images, labels = digits(count, seed)
    return frame(example.encode_examples(images, labels)).tobytes(), images, labels


def mixed(count, seed=0):
    """A file whose records have a name of any length each; with their offsets."""
    images, labels = digits(count, seed)
    rng = np.random.default_rng(seed)
    raw, offsets = b"", []
    for payload in example.encode_examples(images, labels):
        name = protobuf.field(1, protobuf.field(1, rng.bytes(rng.integers(1, 30))))
        extra = protobuf.field(
            1,
            protobuf.field(1, protobuf.field(1, b"name") + protobuf.field(2, name)),
        )
        offsets.append(len(raw))
        whole = np.frombuffer(payload.tobytes() + extra, np.uint8)
        raw += frame(whole[None]).tobytes()
    return raw, images, labels, [*offsets, len(raw)]


def put(path, raw):
    path.write_bytes(raw)
    return path


def flip(raw, at):
    return raw[:at] + bytes([raw[at] ^ 0x10]) + raw[at + 1 :]


def assert_holds(table, images, labels):
    assert len(table) == len(labels)
    found, classes = table.read(0, len(table))
    assert found.shape == images.shape
    assert (found.dtype, classes.dtype) == (np.uint8, np.int32)
    np.testing.assert_array_equal(found, images)
    np.testing.assert_array_equal(classes, labels)


def error_of(call, *args, **options):
    with pytest.raises(DataError) as caught:
        call(*args, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@quick
@given(seed=seeds, count=st.integers(1, 50), length=st.integers(0, 300))
def test_tensorflow_reads_the_records_we_frame(tf, folder, seed, count, length):
    payloads = np.random.default_rng(seed).integers(0, 256, (count, length), np.uint8)
    path = put(folder / "ours", frame(payloads).tobytes())
    found = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
    assert found == [payload.tobytes() for payload in payloads]


@quick
@given(seed=seeds, count=st.integers(1, 200), names=st.sampled_from(["none", "equal", "any"]))
def test_we_read_the_files_that_tensorflow_writes(tf, folder, seed, count, names):
    images, labels = digits(count, seed)
    rng = np.random.default_rng(seed)
    path = folder / "theirs"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for image, label in zip(images, labels, strict=True):
            message = tf.train.Example()
            feature = message.features.feature
            feature["image_raw"].bytes_list.value.append(image.tobytes())
            feature["label"].int64_list.value.append(int(label))
            if names != "none":
                size = 5 if names == "equal" else int(rng.integers(0, 300))
                feature["name"].bytes_list.value.append(rng.bytes(size))
            writer.write(message.SerializeToString())
    assert_holds(TFRecordTable(path), images, labels)
    assert_holds(TFRecordTable(path, skip_corrupt=True), images, labels)


@pytest.mark.parametrize("kind", [uniform, mixed])
@quick
@given(data=st.data(), count=st.integers(1, 5 * BLOCK_RECORDS))
def test_any_range_of_blocks_is_the_slice_of_the_whole(folder, kind, data, count):
    raw, images, labels = kind(count)[:3]
    table = TFRecordTable(put(folder / "ranges", raw))
    assert len(table) == count
    start = BLOCK_RECORDS * data.draw(st.integers(0, (count - 1) // BLOCK_RECORDS))
    stop = min(count, start + BLOCK_RECORDS * data.draw(st.integers(1, 5)))
    found, classes = table.read(start, stop)
    np.testing.assert_array_equal(found, images[start:stop])
    np.testing.assert_array_equal(classes, labels[start:stop])


PARTS = {
    "length": (3, "length"),
    "length checksum": (9, "length"),
    "payload": (300, "data checksum is wrong"),
    "payload checksum": (STRIDE - 2, "data checksum is wrong"),
}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("number", [0, 1, 7, 8, 9])
@pytest.mark.parametrize("kind", [uniform, mixed])
def test_a_corrupt_byte_is_reported_with_file_record_and_offset(tmp_path, kind, number, part):
    raw, *_ = made = kind(10)
    offsets = made[3] if kind is mixed else range(0, 11 * STRIDE, STRIDE)
    at, problem = PARTS[part]
    # The payload's checksum is at the end of its record, the rest at its start.
    at += offsets[number + 1] - STRIDE if part == "payload checksum" else offsets[number]
    path = put(tmp_path / "some.tfrecords", flip(raw, at))

    def read():
        table = TFRecordTable(path)
        table.read(0, len(table))

    message = error_of(read)
    assert message.startswith(f"{path}: record {number} at offset {offsets[number]}: {problem}")
    assert "--skip-corrupt" in message


@pytest.mark.parametrize("kind", [uniform, mixed])
@pytest.mark.parametrize("left", [1, 11, 12, 13, 400, STRIDE - 4, STRIDE - 1])
@pytest.mark.parametrize("number", [0, 1, 9])
def test_a_truncated_record_is_named_by_file_number_and_offset(tmp_path, kind, number, left):
    raw, *_ = made = kind(10)
    offset = made[3][number] if kind is mixed else number * STRIDE
    path = put(tmp_path / "some.tfrecords", raw[: offset + left])
    message = error_of(TFRecordTable, path)
    assert message.startswith(f"{path}: record {number} at offset {offset}: is cut short")


def test_a_damaged_record_among_many_of_one_length_is_found_when_it_is_read(tmp_path):
    raw, images, _ = uniform(1000)
    # Not one of the records that are looked at on opening.
    path = put(tmp_path / "some.tfrecords", flip(raw, 997 * STRIDE + 2))
    table = TFRecordTable(path)
    assert len(table) == 1000
    np.testing.assert_array_equal(
        table.read(0, 15 * BLOCK_RECORDS)[0], images[: 15 * BLOCK_RECORDS]
    )
    message = error_of(table.read, 15 * BLOCK_RECORDS, 1000)
    assert f"{path}: record 997 at offset {997 * STRIDE}: length or its checksum" in message


def damaged(raw, offsets, bad):
    """The file `raw` with a byte changed in a part of each of the records `bad`."""
    for number, part in bad.items():
        at = offsets[number + 1] - STRIDE if part == "payload checksum" else offsets[number]
        raw = flip(raw, at + PARTS[part][0])
    return raw


def assert_left_out(path, offsets, bad, images, labels):
    table = TFRecordTable(path, skip_corrupt=True)
    good = np.setdiff1d(np.arange(len(labels)), list(bad))
    if good.size:
        assert_holds(table, images[good], labels[good])
    assert len(table) == good.size
    assert [line.split(": ")[:2] for line in table.damage] == [
        [str(path), f"record {number} at offset {offsets[number]}"] for number in sorted(bad)
    ]


@quick
@given(bad=st.dictionaries(st.integers(1, 39), st.sampled_from(sorted(PARTS)), max_size=30))
def test_skip_corrupt_leaves_out_the_damaged_records_and_no_others(folder, bad):
    raw, images, labels = uniform(40)
    offsets = range(0, 41 * STRIDE, STRIDE)
    path = put(folder / "skip", damaged(raw, offsets, bad))
    assert_left_out(path, offsets, bad, images, labels)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("number", [0, 1, 20, 39])
@pytest.mark.parametrize("kind", [uniform, mixed])
def test_after_a_damaged_record_the_next_one_is_found(tmp_path, kind, number, part):
    raw, images, labels, *rest = kind(40)
    offsets = rest[0] if rest else range(0, 41 * STRIDE, STRIDE)
    path = put(tmp_path / "skip", damaged(raw, offsets, {number: part}))
    assert_left_out(path, offsets, {number: part}, images, labels)


@pytest.mark.parametrize("left", [1, 11, 12, 400, STRIDE - 1])
def test_skip_corrupt_leaves_out_a_record_that_is_cut_short(tmp_path, left):
    raw, images, labels = uniform(20)
    path = put(tmp_path / "cut", raw[: 19 * STRIDE + left])
    assert_left_out(path, range(0, 21 * STRIDE, STRIDE), {19: "cut"}, images, labels)


def test_the_next_record_is_found_behind_a_gap_of_megabytes(tmp_path):
    raw, images, labels = uniform(3)
    # A header that lies across the border between two parts that are searched.
    for gap in range((1 << 20) - 8, (1 << 20) + 12, 3):
        path = put(tmp_path / "gap", raw[:STRIDE] + b"\xff" * gap + raw[STRIDE:])
        table = TFRecordTable(path, skip_corrupt=True)
        assert_holds(table, images, labels)
        assert len(table.damage) == 1


def test_what_is_no_record_at_all_is_left_out_as_one(tmp_path):
    table = TFRecordTable(put(tmp_path / "x", b"<html>" * 5000), skip_corrupt=True)
    assert len(table) == 0
    assert len(table.damage) == 1


def test_numbers_in_messages_count_the_damaged_records_too(tmp_path):
    images, labels = digits(10)
    labels = labels.astype(np.int64)
    labels[7] = 65_536
    raw = flip(frame(example.encode_examples(images, labels)).tobytes(), 2 * STRIDE + 300)
    path = put(tmp_path / "x", raw)
    table = TFRecordTable(path, skip_corrupt=True)
    assert len(table) == 9
    message = error_of(table.read, 0, 9)
    assert message == f"{path}: record 7: label 65536 is out of range, expected 0 to 65535"


@pytest.mark.parametrize("label", [65_536, 2**40])
def test_a_label_out_of_range_is_named_with_file_and_record(tmp_path, label):
    images, labels = digits(100)
    labels = labels.astype(np.int64)
    labels[70] = label
    path = put(tmp_path / "x", frame(example.encode_examples(images, labels)).tobytes())
    table = TFRecordTable(path)
    table.read(0, BLOCK_RECORDS)
    message = error_of(table.read, BLOCK_RECORDS, 100)
    assert message == f"{path}: record 70: label {label} is out of range, expected 0 to 65535"


def test_a_negative_label_is_named(tf, tmp_path):
    message = tf.train.Example()
    message.features.feature["image_raw"].bytes_list.value.append(bytes(784))
    message.features.feature["label"].int64_list.value.append(-3)
    path = tmp_path / "x"
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(message.SerializeToString())
    assert "record 0: label -3 is out of range" in error_of(TFRecordTable(path).read, 0, 1)


def test_a_wrong_image_size_is_named_with_file_and_record(tmp_path):
    good, bad = digits(5)[0], np.zeros((1, 32, 32, 3), np.uint8)
    raw = b"".join(
        frame(example.encode_examples(images, np.zeros(len(images)))).tobytes()
        for images in (good, bad)
    )
    path = put(tmp_path / "x", raw)
    message = error_of(TFRecordTable(path).read, 0, 6)
    assert message == f"{path}: record 5: image size is 32×32×3, expected 28×28×1"


def test_records_that_are_no_examples_are_refused(tmp_path):
    path = put(tmp_path / "x", frame(np.full((3, 40), 0xFF, np.uint8)).tobytes())
    message = error_of(TFRecordTable, path)
    assert message == f"{path}: record 0: not a tf.train.Example"


def test_an_empty_file_has_no_records(tmp_path):
    table = TFRecordTable(put(tmp_path / "x", b""))
    assert len(table) == 0
    assert table.damage == []


def test_a_file_that_becomes_shorter_is_reported(tmp_path):
    raw, *_ = uniform(100)
    path = put(tmp_path / "x", raw)
    table = TFRecordTable(path)
    put(path, raw[: 90 * STRIDE])
    assert error_of(table.read, BLOCK_RECORDS, 100).startswith(f"{path}: became shorter")


def test_tensorflow_agrees_on_the_checksum(tf, tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "x")) as writer:
        writer.write(b"some data")
    raw = (tmp_path / "x").read_bytes()
    assert header_length(raw[:12]) == 9
    assert int.from_bytes(raw[-4:], "little") == masked_crc(b"some data")


def test_only_a_right_checksum_makes_a_header():
    raw = uniform(1)[0]
    assert is_tfrecord(raw[:128])
    assert not is_tfrecord(raw[:11])
    assert not is_tfrecord(flip(raw, 0))
    assert not is_tfrecord(bytes(128))


@quick
@given(before=st.binary(max_size=300), seed=seeds)
def test_a_header_is_found_wherever_it_stands(before, seed):
    raw = uniform(1, seed)[0]
    assert find_header(before + raw, longest=10_000) == len(before)
    assert find_header(before + raw, longest=STRIDE - 17) is None
    assert find_header(before + raw[:11], longest=10_000) is None


def test_of_many_files_few_stay_open_and_all_are_read(tmp_path):
    count = 2 * OPEN_FILES
    numbers = [number.to_bytes(4, "little") for number in range(count)]
    readers = [FileReader(put(tmp_path / str(i), raw)) for i, raw in enumerate(numbers)]
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    assert sum(link.readlink().is_relative_to(tmp_path) for link in links) <= OPEN_FILES
    for _ in range(2):
        assert [reader.read(0, 4) for reader in readers] == numbers


def test_files_are_closed_with_their_readers(tmp_path):
    reader = FileReader(put(tmp_path / "x", b"data"))
    handles = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    [handle] = [link for link in handles if link.readlink() == tmp_path / "x"]
    del reader
    assert not handle.is_symlink() or handle.readlink() != tmp_path / "x"


def test_threads_that_share_many_files_read_each_its_own(tmp_path):
    count = 3 * OPEN_FILES
    readers = [FileReader(put(tmp_path / str(i), i.to_bytes(2) * 500)) for i in range(count)]

    def read(seed):
        picks = np.random.default_rng(seed).integers(0, count, 2000).tolist()
        return all(readers[i].read(2 * (i % 400), 100) == i.to_bytes(2) * 50 for i in picks)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(8)))


@pytest.mark.parametrize("length", [2**31 - 1, 2**31, 2**32, 2**63, 2**64 - 1])
@pytest.mark.parametrize("number", [0, 2])
def test_a_length_beyond_the_file_is_one_line_whatever_its_checksum(tmp_path, length, number):
    size = length.to_bytes(8, "little")
    raw = uniform(2)[0][: number * STRIDE]
    path = put(tmp_path / "x", raw + size + masked_crc(size).to_bytes(4, "little") + bytes(900))
    message = error_of(TFRecordTable, path)
    assert message.startswith(f"{path}: record {number} at offset {number * STRIDE}: is cut short")
    assert len(TFRecordTable(path, skip_corrupt=True)) == number
