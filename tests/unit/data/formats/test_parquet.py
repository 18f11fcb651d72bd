"""Parquet files: layouts in use, row groups in any order, and each mistake as one line."""

import io
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from column_files import digits, hugging_face, png, vectors
from pyarrow import parquet

from trainer.config.errors import DataError
from trainer.data.files import find, open_tables
from trainer.data.formats import parquet as reader, parquet_file
from trainer.data.formats.parquet import ParquetTable
from trainer.data.formats.protobuf import WireError
from trainer.data.formats.read_options import DEFAULTS, ReadOptions
from trainer.data.formats.table import BLOCK_RECORDS
from trainer.data.formats.thrift import read_struct


def put(path, *, row_group_size=None, **columns):
    parquet.write_table(pa.table(columns), path, row_group_size=row_group_size)
    return path


def lists(images, kind=None):
    return pa.array([row.ravel().tolist() for row in images], kind and pa.list_(kind))


def error_of(path, options=DEFAULTS):
    with pytest.raises(DataError) as caught:
        table = ParquetTable(path, options)
        table.read(0, len(table))
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message.removeprefix(f"{path}: ")


LAYOUTS = {
    "columns": lambda images: {f"pixel{i}": c for i, c in enumerate(images.reshape(-1, 784).T)},
    "wide columns": lambda images: {
        f"{i}": c.astype(np.int64) for i, c in enumerate(images.reshape(-1, 784).T)
    },
    "lists": lambda images: {"features": lists(images)},
    "lists of floats": lambda images: {"x": lists(images.astype(np.float32), pa.float32())},
    "lists of one size": lambda images: {
        "image": pa.FixedSizeListArray.from_arrays(images.ravel(), 784)
    },
    "lists of lists": lambda images: {"image": pa.array(images.tolist())},
    "tensors": lambda images: {"image": pa.FixedShapeTensorArray.from_numpy_ndarray(images)},
    "sparse vectors of Spark": lambda images: {"features": vectors(images, sparse=True)},
    "dense vectors of Spark": lambda images: {"features": vectors(images, sparse=False)},
    "texts of pixels": lambda images: {
        "pixels": [" ".join(map(str, row)) for row in images.reshape(-1, 784).tolist()]
    },
    "pictures": lambda images: {"img": pa.array([png(image) for image in images])},
    "an index": lambda images: {"id": np.arange(len(images)), "image": lists(images)},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_images_are_found_however_columns_hold_them(tmp_path, layout):
    images, labels = digits(150)
    path = put(tmp_path / "a.parquet", label=labels, **LAYOUTS[layout](images), row_group_size=100)
    table = ParquetTable(path, DEFAULTS)
    found, classes = table.read(64, 150)
    np.testing.assert_array_equal(found[..., 0], images[64:])
    np.testing.assert_array_equal(classes, labels[64:])
    assert table.spec.shape == (28, 28, 1)
    assert table.label_counts().tolist() == [15] * 10


def test_hugging_faces_files_bring_pictures_and_the_names_of_classes(tmp_path):
    images, labels = digits(30, classes=3)
    colours = np.stack([images, images, images[:, ::-1]], axis=3)
    names = ("zebra", "ant", "bee")
    path = hugging_face(tmp_path / "train.parquet", colours, labels, names=names)
    [table] = open_tables([str(path)], split="train")
    found, classes = table.read(0, 30)
    np.testing.assert_array_equal(found, colours)
    np.testing.assert_array_equal(classes, labels)
    assert (table.class_names, table.spec.shape) == (names, (28, 28, 3))


def test_pictures_may_be_files_beside_the_table(tmp_path):
    images, _ = digits(2)
    (tmp_path / "0.png").write_bytes(png(images[0]))
    pictures = [{"bytes": None, "path": "0.png"}, {"bytes": png(images[1]), "path": "gone.png"}]
    table = ParquetTable(put(tmp_path / "a.parquet", image=pictures, label=[0, 1]), DEFAULTS)
    np.testing.assert_array_equal(table.read(0, 2)[0][..., 0], images)


@pytest.mark.parametrize(
    ("labels", "expected", "names"),
    [
        (pa.array(["b", "a", "b"]), [1, 0, 1], ("a", "b")),
        (pa.array(["b", "a", "b"]).dictionary_encode(), [1, 0, 1], ("a", "b")),
        (pa.array(["10", "9", "0"]), [10, 9, 0], ()),
        (pa.array([2.0, 0.0, 1.0]), [2, 0, 1], ()),
        (pa.array([True, False, True]), [1, 0, 1], ()),
        (pa.array([300, 1, 2], pa.uint16()), [300, 1, 2], ()),
    ],
)
def test_labels_may_be_of_any_form(tmp_path, labels, expected, names):
    path = put(tmp_path / "a.parquet", label=labels, image=lists(digits(3)[0]))
    table = ParquetTable(path, DEFAULTS)
    assert (table.labels.tolist(), table.class_names) == (expected, names)


@pytest.mark.parametrize("group_bytes", [0, reader.GROUP_BYTES])
def test_records_are_the_same_in_whatever_order_they_are_read(tmp_path, monkeypatch, group_bytes):
    monkeypatch.setattr(reader, "GROUP_BYTES", group_bytes)
    images, labels = digits(1_000)
    path = put(tmp_path / "a.parquet", label=labels, image=lists(images), row_group_size=150)
    pictures = hugging_face(tmp_path / "b.parquet", images, labels, names=map(str, range(10)))
    for file in (path, pictures):
        table = ParquetTable(file, DEFAULTS)
        starts = np.random.default_rng(0).permutation(np.arange(0, 1_000, BLOCK_RECORDS)).tolist()
        for start in [*starts, *starts]:
            stop = min(1_000, start + BLOCK_RECORDS)
            found, classes = table.read(start, stop)
            np.testing.assert_array_equal(found[..., 0], images[start:stop])
            np.testing.assert_array_equal(classes, labels[start:stop])


def test_only_the_columns_that_are_needed_are_read(tmp_path):
    images, labels = digits(50)
    path = put(tmp_path / "a.parquet", image=lists(images), label=labels, more=[b"x" * 99] * 50)
    chunk = parquet.ParquetFile(path).metadata.row_group(0).column(2)
    raw = bytearray(path.read_bytes())
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    raw[start : start + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    path.write_bytes(raw)
    found, _ = ParquetTable(path, ReadOptions(features=(("image", "image"),))).read(0, 50)
    np.testing.assert_array_equal(found[..., 0], images)


def test_names_are_the_same_in_all_files_of_a_split(tmp_path):
    images = lists(digits(2)[0])
    for name, labels in (("a", ["x", "z"]), ("b", ["z", "y"])):
        put(tmp_path / f"{name}.parquet", label=labels, image=images)
    tables = open_tables([str(tmp_path)], split="train")
    assert [table.class_names for table in tables] == [("x", "y", "z")] * 2
    assert [table.read(0, 2)[1].tolist() for table in tables] == [[0, 2], [2, 1]]


def test_the_range_of_pixels_is_that_of_all_files_of_a_split(tmp_path):
    for name, most in (("dark", 1.0), ("light", 255.0)):
        image = [[0.5] * 63 + [most]]
        put(tmp_path / f"{name}.parquet", label=[1], image=image)
    tables = open_tables([str(tmp_path)], split="train")
    assert [(table.spec.low, table.spec.high) for table in tables] == [(0, 255)] * 2
    assert [table.read(0, 1)[0].max() for table in tables] == [1, 255]


def test_an_estimate_is_exact_without_reading_a_row(tmp_path):
    images, labels = digits(40)
    put(tmp_path / "a.parquet", label=labels, image=lists(images))
    found = find([str(tmp_path)], split="train").estimate(sample_bytes=1)
    assert (found.examples, found.exact) == (40, True)


COLUMNS = {
    "no label": (
        {"klass": [1], "image": [[0] * 64]},
        "has no column label, labels, class, target or y, only klass, image; name that of the "
        "labels: --feature label=NAME",
    ),
    "no image": ({"label": [1], "n": [2]}, "no images among the columns besides label: n; name"),
    "a label is missing": (
        {"label": [1, None], "image": [[0] * 64] * 2},
        "record 1: the label (column label) is missing",
    ),
    "a label is negative": (
        {"label": [1, -7], "image": [[0] * 64] * 2},
        "record 1: the label (column label) is -7, expected 0 to 65535",
    ),
    "an image is missing": (
        {"label": [1, 1], "image": [[0] * 64, None]},
        "record 1: column image is empty",
    ),
    "an image is shorter": (
        {"label": [1, 1], "image": [[0] * 64, [0] * 63]},
        "record 1: column image has 63 values, expected 64 as in record 0",
    ),
    "a text of pixels is shorter": (
        {"label": [1, 1], "pixels": ["0 " * 64, "0 " * 63]},
        "record 1: column pixels has 63 values, expected 64 as in record 0",
    ),
    "a text has no number": (
        {"label": [1, 1], "pixels": ["0 " * 64, "0 " * 63 + "x"]},
        "record 1: column pixels has 'x', expected whole numbers",
    ),
    "a vector is longer": (
        {
            "label": [1, 1],
            "x": pa.concat_arrays(
                [vectors(np.zeros((1, 1, n), int), sparse=False) for n in (64, 65)]
            ),
        },
        "record 1: column x has 65 values, expected 64 as in record 0",
    ),
    "no image size": (
        {"label": [1], "image": [[0] * 65]},
        "an image has 65 values: no square image of 1 or 3 channels; give --image-size H,W",
    ),
    "no picture": (
        {"label": [1], "image": [b"GIF89a"]},
        "record 0: is no PNG, JPEG, WebP or BMP: it begins with the bytes 47 49 46",
    ),
    "pictures of two sizes": (
        {
            "label": [1, 1],
            "image": [png(np.zeros((8, 8), np.uint8)), png(np.zeros((9, 8), np.uint8))],
        },
        "record 1: is 9×8, the first is 8×8; resize them all: --image-size H,W",
    ),
    "lists as labels": (
        {"label": [[1]], "image": [[0] * 64]},
        "column label is of list<element: int64>, expected labels as numbers or texts; name",
    ),
}


@pytest.mark.parametrize("case", COLUMNS)
def test_columns_that_hold_no_labelled_images_are_one_line(tmp_path, case):
    columns, message = COLUMNS[case]
    assert error_of(put(tmp_path / "a.parquet", **columns)).startswith(message)


def test_a_file_without_a_record_is_reported(tmp_path):
    path = put(tmp_path / "a.parquet", label=pa.array([], pa.int64()), image=lists([], pa.uint8()))
    with pytest.raises(DataError, match="holds no records"):
        open_tables([str(path)], split="train")
    images, labels = digits(3)
    put(tmp_path / "b.parquet", label=labels, image=lists(images))
    assert [len(table) for table in open_tables([str(tmp_path)], split="train")] == [3]


def whole(images):
    file = io.BytesIO()
    parquet.write_table(pa.table({"label": [0] * len(images), "image": lists(images)}), file)
    return file.getvalue()


@pytest.mark.parametrize("length", [4, 8, 50, -9, -1])
def test_a_file_that_is_cut_short_is_reported(tmp_path, length):
    path = tmp_path / "a.parquet"
    path.write_bytes(whole(digits(9)[0])[:length])
    assert error_of(path) == (
        "cut short or damaged: it does not end in the footer of a Parquet file; "
        "fetch or write it again"
    )


def test_a_footer_longer_than_its_file_is_reported(tmp_path):
    path = tmp_path / "a.parquet"
    path.write_bytes(whole(digits(9)[0])[:-8] + b"\xff\xff\xff\x7fPAR1")
    assert error_of(path).startswith("cut short or damaged")


def test_damaged_pages_are_reported(tmp_path):
    raw = bytearray(whole(digits(90)[0]))
    raw[40:400] = b"\xff" * 360
    path = tmp_path / "a.parquet"
    path.write_bytes(raw)
    assert error_of(path).startswith("damaged Parquet file (")


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    path = put(tmp_path / "a.parquet", label=[1], image=[[0] * 64])
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    message = error_of(path)
    assert message.startswith("CSV and Parquet files are read by pyarrow, which is not there (")
    assert message.endswith("; pip install 'trainer-anywhere[tables]'")


def test_more_files_are_read_than_may_be_open(tmp_path):
    import resource

    images, labels = digits(4, size=8)
    for number in range(300):
        put(tmp_path / f"{number:03}.parquet", label=labels, image=lists(images))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        tables = open_tables([str(tmp_path)], split="train")
        found = [table.read(0, 4)[0][..., 0] for table in tables]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    np.testing.assert_array_equal(found, [images] * 300)


DAMAGED_FOOTERS = """
import resource, sys
from pathlib import Path

from trainer.config.errors import DataError
from trainer.data.formats.parquet import ParquetTable
from trainer.data.formats.protobuf import WireError
from trainer.data.formats.read_options import DEFAULTS

path, raw = Path(sys.argv[1]), Path(sys.argv[1]).read_bytes()
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
footer = int.from_bytes(raw[-8:-4], "little")
counts = {"read": 0, "refused": 0}
for at in range(len(raw) - 8 - footer, len(raw) - 8):
    for value in (0x00, 0x7F, 0xFF, raw[at] ^ 1, raw[at] ^ 2):
        damaged = bytearray(raw)
        damaged[at] = value
        path.write_bytes(damaged)
        print(at, value, flush=True)
        try:
            table = ParquetTable(path, DEFAULTS)
            table.read(0, len(table))
            counts["read"] += 1
        except DataError:
            counts["refused"] += 1
status = Path("/proc/self/status").read_text()
most = next(int(line.split()[1]) for line in status.splitlines() if "VmHWM" in line)
print(counts["read"], counts["refused"], most)
"""


def test_no_damaged_byte_of_a_footer_ends_the_process_or_takes_much_memory(tmp_path):
    """Pyarrow itself aborts where it is asked about a column of some of these footers."""
    images, labels = digits(20, size=8)
    path = put(tmp_path / "a.parquet", label=labels, image=lists(images), row_group_size=10)
    argv = [sys.executable, "-c", DAMAGED_FOOTERS, str(path)]
    ran = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, f"{ran.stdout.splitlines()[-1:]} {ran.stderr[-2000:]}"
    read, refused, kilobytes = map(int, ran.stdout.splitlines()[-1].split())
    assert min(read, refused) > 100
    assert kilobytes < 1 << 20


@pytest.fixture
def checked(monkeypatch):
    """The pages of small files are checked as those of large ones are."""
    monkeypatch.setattr(parquet_file, "WHOLE_BYTES", 0)


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "zstd"])
@pytest.mark.parametrize("layout", ["columns", "lists", "texts of pixels", "pictures"])
def test_whole_files_pass_the_check_of_pages(tmp_path, checked, layout, compression, version):
    images, labels = digits(150)
    table = pa.table({"label": labels, **LAYOUTS[layout](images)})
    parquet.write_table(
        table, tmp_path / "a.parquet", row_group_size=100, compression=compression,
        data_page_version=version, data_page_size=2000, write_page_index=True,
    )  # fmt: skip
    found, _ = ParquetTable(tmp_path / "a.parquet", DEFAULTS).read(0, 150)
    np.testing.assert_array_equal(found[..., 0], images)


# A data page of 2 GiB less a byte, which is a byte long in the file.
HUGE_PAGE = bytes([0x15, 0x00, 0x15, 0xFE, 0xFF, 0xFF, 0xFF, 0x0F, 0x15, 0x02, 0x00])


@pytest.mark.parametrize(
    ("page", "problem"),
    [
        (HUGE_PAGE, "the page at byte {} of column image is impossible"),
        (b"\x15\x00\x15\x02\x15\xfe\xff\x7f", "the page at byte {} of column image is impossible"),
        (b"\x00", "the page at byte {} of column image is impossible"),
        (b"\x1f" * 9, "there is no page at byte {} of column image"),
    ],
)
def test_a_page_that_cannot_be_is_not_read(tmp_path, checked, page, problem):
    images, labels = digits(90)
    path = put(tmp_path / "a.parquet", label=labels, image=lists(images))
    chunk = parquet.ParquetFile(path).metadata.row_group(0).column(1)
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    raw = bytearray(path.read_bytes())
    raw[start : start + len(page)] = page
    path.write_bytes(raw)
    assert error_of(path).startswith(f"damaged Parquet file ({problem.format(start)})")


def test_the_footer_of_a_large_file_is_compared_with_its_length(tmp_path, checked):
    images, labels = digits(20)
    raw = put(tmp_path / "a.parquet", label=labels, image=lists(images)).read_bytes()
    size = int.from_bytes(raw[-8:-4], "little")
    body, footer = raw[: -8 - size], raw[-8 - size : -8]
    for shorter in (body[:200] + body[400:], b"PAR1"):
        path = tmp_path / "b.parquet"
        path.write_bytes(shorter + footer + raw[-8:])
        assert "outside of the file" in error_of(path) or "damaged Parquet" in error_of(path)


def test_a_struct_that_is_none_is_refused():
    for raw in (b"", b"\x19\xff\xff\xff\xff\x7f", b"\x1c" * 40, b"\x18\x7f", b"\x1d"):
        with pytest.raises(WireError):
            read_struct(raw)
