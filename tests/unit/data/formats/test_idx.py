"""IDX files: round trips, plain and gzipped, and every way they can be damaged."""

import gzip
import struct
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from trainer.config.errors import DataError
from trainer.data.formats.idx import idx_header, open_pair, pack
from trainer.data.formats.table import BLOCK_RECORDS

KINDS = ["u1", "i1", "i2", "i4", "f4", "f8"]

quick = settings(deadline=None, max_examples=30)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("idx")


@pytest.fixture
def hasty_threads():
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def digits(count, seed=0):
    rng = np.random.default_rng(seed)
    return (
        rng.integers(0, 256, (count, 28, 28), np.uint8),
        rng.integers(0, 10, count).astype(np.uint8),
    )


def put(folder, images, labels):
    """Write two files: arrays as IDX, bytes as they are."""
    paths = folder / "images", folder / "labels"
    for path, data in zip(paths, (images, labels), strict=True):
        path.write_bytes(data if isinstance(data, bytes) else pack(data))
    return paths


def error_of(images, labels):
    with pytest.raises(DataError) as caught:
        open_pair(images, labels)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@quick
@given(
    count=st.integers(1, 5 * BLOCK_RECORDS),
    seed=st.integers(0, 2**32 - 1),
    squeeze=st.tuples(st.booleans(), st.booleans()),
    data=st.data(),
)
def test_what_is_packed_is_read_back_gzipped_or_not(folder, count, seed, squeeze, data):
    images, labels = digits(count, seed)
    bodies = [
        gzip.compress(pack(array), 1) if packed else pack(array)
        for array, packed in zip((images, labels), squeeze, strict=True)
    ]
    table = open_pair(*put(folder, *bodies))
    assert len(table) == count
    start = BLOCK_RECORDS * data.draw(st.integers(0, (count - 1) // BLOCK_RECORDS))
    stop = min(count, start + BLOCK_RECORDS * data.draw(st.integers(1, 5)))
    found, classes = table.read(start, stop)
    assert found.shape == (stop - start, 28, 28, 1)
    assert (found.dtype, classes.dtype) == (np.uint8, np.int32)
    np.testing.assert_array_equal(found[..., 0], images[start:stop])
    np.testing.assert_array_equal(classes, labels[start:stop])


@quick
@given(st.lists(st.integers(0, 5), min_size=1, max_size=4), st.sampled_from(KINDS))
def test_the_header_announces_type_and_dimensions(shape, kind):
    raw = pack(np.zeros(shape, kind))
    found = idx_header(raw)
    assert found.shape == tuple(shape)
    assert found.dtype == np.dtype(kind).newbyteorder(">")
    assert len(raw) == found.offset + found.size


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(784,), (28, 28), (28, 28, 1), (16, 16, 3), (3, 16, 16)])
def test_images_of_every_type_and_rank_are_read(tmp_path, kind, shape):
    pixels = np.random.default_rng(0).integers(0, 128, (70, *shape), np.uint8)
    labels = (np.arange(70) % 10).astype(kind)
    table = open_pair(*put(tmp_path, pixels.astype(kind), labels))
    images, classes = table.read(0, 70)
    np.testing.assert_array_equal(classes, labels)
    if shape[0] == 3:
        pixels = pixels.transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(images, pixels.reshape(images.shape))
    assert table.spec.dtype == ("float32" if kind[0] == "f" else "uint8")


def test_labels_may_be_a_column_or_one_hot(tmp_path):
    images, labels = digits(20)
    for form in labels[:, None], np.eye(10, dtype=np.uint8)[labels]:
        table = open_pair(*put(tmp_path, images, form))
        np.testing.assert_array_equal(table.read(0, 20)[1], labels)


def test_the_original_files_have_the_known_counts(mnist_dir):
    table = open_pair(
        mnist_dir / "t10k-images-idx3-ubyte.gz", mnist_dir / "t10k-labels-idx1-ubyte.gz"
    )
    assert len(table) == 10_000
    labels = table.read(0, 10_000)[1]
    assert labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert table.read(0, BLOCK_RECORDS)[0].max() == 255


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\0\0\x08",
        b"\0\0\x08\x03" + bytes(8),
        b"\0\0\x08\x05" + bytes(20),
        b"\0\0\x0a\x03" + bytes(12),
        b"\x08\0\0\x03" + bytes(12),
    ],
    ids=["empty", "cut in the magic", "cut in the sizes", "rank 5", "no such type", "swapped"],
)
def test_a_bad_magic_is_no_idx_file(tmp_path, head):
    assert idx_header(head) is None
    images, labels = put(tmp_path, head, digits(3)[1])
    assert error_of(images, labels) == f"{images}: not an IDX file of images or labels"


@pytest.mark.parametrize("squeeze", [bytes, gzip.compress], ids=["plain", "gz"])
@pytest.mark.parametrize(("change", "size"), [(-1, 7839), (-7840, 0), (1, 7841)])
def test_a_body_of_another_length_than_announced_is_reported(tmp_path, squeeze, change, size):
    images, labels = digits(10)
    raw = pack(images)[:change] if change < 0 else pack(images) + bytes(change)
    images, labels = put(tmp_path, squeeze(raw), labels)
    assert error_of(images, labels) == (
        f"{images}: the body has {size} bytes, but the header (10×28×28) calls for 7840; "
        "fetch the file again"
    )


def test_a_short_body_of_labels_is_reported(tmp_path):
    images, labels = digits(10)
    images, labels = put(tmp_path, images, pack(labels)[:-2])
    assert error_of(images, labels).startswith(f"{labels}: the body has 8 bytes, but the header")


@pytest.mark.parametrize("left", [10, 18, 400, 4000, -8, -1])
def test_a_gzip_stream_that_is_cut_short_is_reported(tmp_path, left):
    images, labels = digits(10)
    images, labels = put(tmp_path, gzip.compress(pack(images))[:left], labels)
    assert error_of(images, labels).startswith(f"{images}: damaged gzip file (")


@pytest.mark.parametrize("at", [2, 500, -6, -2], ids=["method", "data", "crc", "size"])
def test_a_damaged_gzip_stream_is_reported(tmp_path, at):
    images, labels = digits(10)
    raw = bytearray(gzip.compress(pack(images)))
    raw[at] ^= 0x55
    images, labels = put(tmp_path, bytes(raw), labels)
    message = error_of(images, labels)
    assert message.startswith(f"{images}: damaged gzip file (")
    assert message.endswith("fetch the file again")


@settings(deadline=None, max_examples=100)
@given(at=st.integers(0, 2000), bit=st.integers(0, 7))
def test_a_flipped_bit_of_a_gzip_stream_is_reported_or_does_no_harm(folder, at, bit):
    images, labels = digits(2)
    raw = bytearray(gzip.compress(pack(images), mtime=0))
    raw[at % len(raw)] ^= 1 << bit
    paths = put(folder, bytes(raw), labels)
    try:
        found, _ = open_pair(*paths).read(0, 2)
    except DataError as error:
        assert str(error).startswith(str(paths[0]))
    else:
        np.testing.assert_array_equal(found[..., 0], images)


def test_different_counts_of_images_and_labels_are_reported(tmp_path):
    images, labels = put(tmp_path, digits(10)[0], digits(9)[1])
    assert error_of(images, labels) == f"{images} has 10 images, but {labels} has 9 labels"


@pytest.mark.parametrize(
    ("shape", "found"), [((600,), "600 values"), ((28, 28, 2), "28×28×2"), ((), "single values")]
)
def test_arrays_that_are_no_images_are_reported_with_their_shape(tmp_path, shape, found):
    images, labels = put(tmp_path, np.zeros((4, *shape), np.uint8), digits(4)[1])
    assert error_of(images, labels).startswith(f"{images}: an image has {found}: ")


def test_images_in_place_of_labels_are_reported(tmp_path):
    images, labels = put(tmp_path, digits(10)[0], digits(10)[0])
    assert error_of(images, labels).startswith(f"{labels}: labels are uint8 [10, 28, 28], expected")


@pytest.mark.parametrize("count", [2**31, 2**32 - 1])
def test_a_header_that_claims_more_than_there_is_costs_no_memory(tmp_path, count):
    images, labels = put(tmp_path, *digits(10))
    raw = images.read_bytes()
    images.write_bytes(raw[:4] + struct.pack(">3I", count, 28, 28) + raw[16:])
    assert error_of(images, labels).startswith(
        f"{images}: the body has 7840 bytes, but the header ({count}×28×28) calls for "
    )
    images.write_bytes(raw[:4] + struct.pack(">3I", 0, count, count))
    assert "0 images, but" in error_of(images, labels) or "more than" in error_of(images, labels)


def test_a_label_out_of_range_is_named_with_its_record(tmp_path):
    images, labels = digits(10)
    labels = labels.astype(np.int32)
    labels[6] = 65_536
    images, labels = put(tmp_path, images, labels)
    assert error_of(images, labels) == (
        f"{labels}: record 6: label 65536 is out of range, expected 0 to 65535"
    )


def test_a_file_that_becomes_shorter_is_reported(tmp_path):
    images, labels = put(tmp_path, *digits(3 * BLOCK_RECORDS))
    table = open_pair(images, labels)
    images.write_bytes(images.read_bytes()[: 16 + 784 * 2 * BLOCK_RECORDS])
    table.read(BLOCK_RECORDS, 2 * BLOCK_RECORDS)
    with pytest.raises(DataError, match="became shorter"):
        table.read(2 * BLOCK_RECORDS, 3 * BLOCK_RECORDS)


@pytest.mark.usefixtures("hasty_threads")
@pytest.mark.parametrize("squeeze", [bytes, gzip.compress], ids=["plain", "gz"])
@pytest.mark.parametrize("spool", [1, 1 << 30], ids=["disk", "memory"])
def test_threads_may_share_a_table(tmp_path, squeeze, spool):
    images, labels = digits(20 * BLOCK_RECORDS)
    table = open_pair(*put(tmp_path, squeeze(pack(images)), labels), in_memory=spool)

    def read(block):
        at = slice(block * BLOCK_RECORDS, (block + 1) * BLOCK_RECORDS)
        return np.array_equal(table.read(at.start, at.stop)[0][..., 0], images[at])

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, list(range(20)) * 20))


def test_the_header_is_big_endian():
    assert pack(np.zeros((258, 1, 2), np.uint8))[:16] == struct.pack(
        ">BBBBIII", 0, 0, 8, 3, 258, 1, 2
    )
