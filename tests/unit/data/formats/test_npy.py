"""Pairs of npy files: what numpy saves is read in place, and what does not fit is refused."""

import io
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from trainer.config.errors import DataError
from trainer.data.formats.npy import header, open_pair
from trainer.data.formats.table import BLOCK_RECORDS

quick = settings(deadline=None, max_examples=30)

LABEL_TYPES = ["u1", "i1", "<i2", ">i2", "<i4", ">i4", "<i8", ">i8", "<u2", "<u4", "<u8", ">u8"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("npy")


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


def saved(array, version=(1, 0)):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version)
    return file.getvalue()


def put(folder, images, labels):
    """Write two files: arrays as npy, bytes as they are."""
    paths = folder / "x.npy", folder / "y.npy"
    for path, data in zip(paths, (images, labels), strict=True):
        path.write_bytes(data if isinstance(data, bytes) else saved(data))
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
    deep=st.booleans(),
    versions=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    kind=st.sampled_from(LABEL_TYPES),
    data=st.data(),
)
def test_what_numpy_saves_is_read_back(folder, count, seed, deep, versions, kind, data):
    images, labels = digits(count, seed)
    table = open_pair(
        *put(
            folder,
            saved(images[..., None] if deep else images, (versions[0], 0)),
            saved(labels.astype(kind), (versions[1], 0)),
        )
    )
    assert len(table) == count
    start = BLOCK_RECORDS * data.draw(st.integers(0, (count - 1) // BLOCK_RECORDS))
    stop = min(count, start + BLOCK_RECORDS * data.draw(st.integers(1, 5)))
    found, classes = table.read(start, stop)
    assert found.shape == (stop - start, 28, 28, 1)
    assert (found.dtype, classes.dtype) == (np.uint8, np.int32)
    np.testing.assert_array_equal(found[..., 0], images[start:stop])
    np.testing.assert_array_equal(classes, labels[start:stop])


@pytest.mark.parametrize("kind", ["u1", "u2", ">i4", "f4", ">f8"])
@pytest.mark.parametrize("shape", [(9, 11), (9, 11, 3), (3, 9, 11), (784,)])
def test_fortran_order_makes_no_difference(folder, kind, shape):
    rows = np.random.default_rng(0).integers(0, 256, (200, *shape)).astype(kind)
    labels = np.eye(10)[np.arange(200) % 10]
    plain = open_pair(*put(folder, rows, labels))
    wanted = plain.read(64, 192)
    turned = open_pair(*put(folder, np.asfortranarray(rows), np.asfortranarray(labels)))
    assert plain.spec == turned.spec
    for start, stop in (0, 200), (64, 192), (192, 200):
        found = turned.read(start, stop)
        np.testing.assert_array_equal(found[1], np.arange(start, stop) % 10)
    np.testing.assert_array_equal(turned.read(64, 192)[0], wanted[0])


@pytest.mark.parametrize("shape", [(32, 32, 3), (3, 32, 32), (3072,)], ids=["hwc", "chw", "rows"])
def test_colour_images_are_read_in_every_layout(tmp_path, shape):
    pixels = np.random.default_rng(0).integers(0, 256, (70, 32, 32, 3), np.uint8)
    rows = pixels if shape[-1] == 3 else pixels.transpose(0, 3, 1, 2)
    table = open_pair(*put(tmp_path, rows.reshape(70, *shape), digits(70)[1]))
    assert table.spec.shape == (32, 32, 3)
    np.testing.assert_array_equal(table.read(0, 70)[0], pixels)


def test_only_the_rows_that_are_asked_for_are_read(tmp_path, monkeypatch):
    asked = []
    table = open_pair(*put(tmp_path, np.zeros((6400, 784), np.float32), np.arange(6400) % 10))
    read = table.stored.file.read
    monkeypatch.setattr(
        table.stored.file, "read", lambda at, size: asked.append(size) or read(at, size)
    )
    table.read(640, 704)
    assert asked == [64 * 784 * 4]


def test_names_are_the_classes_of_a_table(tmp_path):
    names = np.array(["cat", "dog", "ant", "dog"])
    table = open_pair(*put(tmp_path, digits(4)[0], names))
    assert table.class_names == ("ant", "cat", "dog")
    assert table.read(0, 4)[1].tolist() == [1, 2, 0, 2]
    assert table.label_counts().tolist() == [1, 1, 2]


def test_objects_are_never_unpickled(tmp_path):
    images, labels = digits(5)
    file = io.BytesIO()
    np.save(file, labels.astype(object), allow_pickle=True)
    images, labels = put(tmp_path, images, file.getvalue())
    assert error_of(images, labels).startswith(f"{labels}: npy of object [5], expected ")


@pytest.mark.parametrize(
    "labels",
    [np.zeros((), np.int64), np.zeros((5, 2, 2)), np.zeros(5, "c8"), np.full((5, 2), "3")],
    ids=["a scalar", "rank 3", "complex", "rows of text"],
)
def test_labels_of_no_known_form_are_reported(tmp_path, labels):
    images, path = put(tmp_path, digits(5)[0], labels)
    assert error_of(images, path) == (
        f"{path}: labels are {labels.dtype} {list(labels.shape)}, expected integers [n] or [n, 1], "
        "one-hot rows [n, classes], or names [n]"
    )


@pytest.mark.parametrize(
    ("kind", "label"),
    [("i1", -1), ("<i8", 65_536), (">i4", 70_000), ("<u8", 2**63 + 1), (">i8", -300)],
)
def test_a_label_out_of_range_is_named_with_its_record(tmp_path, kind, label):
    images, labels = digits(10)
    labels = labels.astype(kind)
    labels[4] = label
    images, labels = put(tmp_path, images, labels)
    assert error_of(images, labels) == (
        f"{labels}: record 4: label {label} is out of range, expected 0 to 65535"
    )


@pytest.mark.parametrize(
    ("shape", "found"),
    [((5, 600), "600 values"), ((5, 28, 28, 2), "28×28×2"), ((5, 10, 28, 28), "10×28×28"),
     ((5,), "single values"), ((), "single values"), ((5, 0, 28), "0×28")],
)  # fmt: skip
def test_arrays_that_are_no_images_are_reported_with_their_shape(tmp_path, shape, found):
    images, labels = put(tmp_path, np.zeros(shape, np.uint8), digits(5)[1])
    assert error_of(images, labels).startswith(f"{images}: an image has {found}: ")


def test_different_counts_of_images_and_labels_are_reported(tmp_path):
    images, labels = put(tmp_path, digits(10)[0], digits(9)[1])
    assert error_of(images, labels) == f"{images} has 10 images, but {labels} has 9 labels"


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("change", [-1, 1])
def test_a_body_of_another_length_than_announced_is_reported(tmp_path, which, change):
    arrays = [saved(array) for array in digits(10)]
    arrays[which] = arrays[which][:-1] if change < 0 else arrays[which] + b"?"
    paths = put(tmp_path, *arrays)
    wanted = (7840, 10)[which]
    assert error_of(*paths) == (
        f"{paths[which]}: the body has {wanted + change} bytes, but the header calls for "
        f"{wanted}; write the file again"
    )


HEADERS = {
    "cut in the magic": b"\x93NUMPY\x01",
    "cut in the length": b"\x93NUMPY\x01\x00\x76",
    "cut in the header": saved(np.zeros(3))[:40],
    "version 3": b"\x93NUMPY\x03\x00" + saved(np.zeros(3), (2, 0))[8:],
    "version 9": b"\x93NUMPY\x09\x00" + saved(np.zeros(3))[8:],
    "no dict": b"\x93NUMPY\x01\x00\x04\x00[1]\n",
    "open bracket": b"\x93NUMPY\x01\x00\x05\x00{(((\n",
    "open text": b"\x93NUMPY\x01\x00\x09\x00{'''abc\n\n",
    "indented": b"\x93NUMPY\x01\x00\x08\x00  a\n b\n\n",
    "a null": b"\x93NUMPY\x01\x00\x04\x00\x00{}\n",
    "too long": b"\x93NUMPY\x02\x00" + (50_000).to_bytes(4, "little") + b" " * 50_000,
    "deep": b"\x93NUMPY\x01\x00" + (9_000).to_bytes(2, "little") + b"(" * 9_000,
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_that_cannot_be_read_is_reported_in_one_line(tmp_path, name):
    images, labels = put(tmp_path, HEADERS[name], digits(3)[1])
    assert error_of(images, labels).startswith(f"{images}: npy header cannot be read (")


@settings(deadline=None, max_examples=200)
@given(at=st.integers(6, 127), junk=st.binary(min_size=1, max_size=4))
def test_a_damaged_header_is_read_or_reported_but_never_crashes(folder, at, junk):
    images, labels = digits(3)
    raw = saved(images)
    junk = junk[: len(raw) - images.nbytes - at]
    paths = put(folder, raw[:at] + junk + raw[at + len(junk) :], labels)
    try:
        table = open_pair(*paths)
    except DataError as error:
        assert "\n" not in str(error)
        assert str(error).startswith(str(paths[0]))
    else:
        np.testing.assert_array_equal(table.read(0, 3)[0][..., 0], images)


def test_the_offset_of_the_values_is_that_of_the_header(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.arange(12, dtype=np.int16).reshape(3, 4))
    found = header(path)
    assert (found.shape, found.dtype) == ((3, 4), np.int16)
    assert np.frombuffer(path.read_bytes()[found.offset :], found.dtype).tolist() == list(range(12))


def test_a_file_that_becomes_shorter_is_reported(tmp_path):
    images, labels = put(tmp_path, *digits(3 * BLOCK_RECORDS))
    table = open_pair(images, labels)
    images.write_bytes(images.read_bytes()[:-1])
    with pytest.raises(DataError, match="became shorter"):
        table.read(2 * BLOCK_RECORDS, 3 * BLOCK_RECORDS)


@pytest.mark.usefixtures("hasty_threads")
def test_threads_may_share_a_table(tmp_path):
    images, labels = digits(20 * BLOCK_RECORDS)
    table = open_pair(*put(tmp_path, images, labels))

    def read(block):
        at = slice(block * BLOCK_RECORDS, (block + 1) * BLOCK_RECORDS)
        return np.array_equal(table.read(at.start, at.stop)[0][..., 0], images[at])

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, list(range(20)) * 20))
