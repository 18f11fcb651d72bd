"""CSV files: layouts in use, labels of any form, and each mistake as one line with its row."""

import gzip

import numpy as np
import pyarrow as pa
import pytest
from column_files import csv_text, digits, png

from trainer.config.errors import DataError
from trainer.data.files import find, open_tables
from trainer.data.formats.csv_file import BLOCK_BYTES, CsvTable
from trainer.data.formats.read_options import DEFAULTS, ReadOptions

HEAD = ",".join(["label", *(f"p{i}" for i in range(64))])


def put(folder, text, name="train.csv"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def row(label, *last):
    """Return a row of a label and 64 pixels, the last of which are given."""
    return ",".join(map(str, (label, *[0] * (64 - len(last)), *last)))


def error_of(path, options=DEFAULTS):
    with pytest.raises(DataError) as caught:
        table = CsvTable(path, options).load()
        table.read(0, len(table))
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize(
    ("name", "separator"), [("a.csv", ","), ("a.tsv", "\t"), ("b.csv", ";"), ("c.csv.gz", ",")]
)
def test_a_row_of_a_label_and_pixels_is_an_image(tmp_path, header, name, separator):
    images, labels = digits(200)
    text = csv_text(images, labels, header=header, separator=separator).encode()
    path = put(tmp_path, gzip.compress(text) if name.endswith(".gz") else text, name)
    table = CsvTable(path, DEFAULTS).load()
    found, classes = table.read(64, 200)
    np.testing.assert_array_equal(found[..., 0], images[64:])
    np.testing.assert_array_equal(classes, labels[64:])
    assert (found.dtype, table.spec.shape, table.spec.high) == (np.uint8, (28, 28, 1), 255)
    np.testing.assert_array_equal(table.label_counts(), np.bincount(labels))
    assert ("no header, labels are in column 0 of 785" in table.note) is not header


def test_a_file_packed_by_zstd_is_read(tmp_path):
    images, labels = digits(20)
    packed = pa.compress(csv_text(images, labels).encode(), "zstd", asbytes=True)
    [table] = open_tables([str(put(tmp_path, packed, "a.csv.zst"))], split="train")
    np.testing.assert_array_equal(table.read(0, 20)[0][..., 0], images)


def test_labels_in_the_last_column_are_found_by_the_pixels_of_the_corners(tmp_path):
    rows = ["0," + ",".join(["3"] * 63) + f",{label}" for label in (7, 1, 4)]
    table = CsvTable(put(tmp_path, "\n".join(rows)), DEFAULTS).load()
    assert table.labels.tolist() == [7, 1, 4]
    assert table.note.startswith("no header, labels are in column 64 of 65")


def test_blocks_of_a_long_file_are_one_after_another(tmp_path):
    images, labels = digits(5_000)
    text = csv_text(images, labels)
    assert len(text) > 2 * BLOCK_BYTES
    table = CsvTable(put(tmp_path, text), DEFAULTS).load()
    for start, stop in ((4992, 5000), (0, 64), (2048, 4096)):
        found, classes = table.read(start, stop)
        np.testing.assert_array_equal(found[..., 0], images[start:stop])
        np.testing.assert_array_equal(classes, labels[start:stop])


def test_names_of_classes_are_sorted_over_all_files_of_a_split(tmp_path):
    put(tmp_path, f"{HEAD}\n{row('cat')}\n{row('dog')}\n", "train/a.csv")
    put(tmp_path, f"{HEAD}\n{row('dog')}\n{row('bee')}\n", "train/b.csv")
    tables = open_tables([str(tmp_path / "train")], split="train")
    assert [table.class_names for table in tables] == [("bee", "cat", "dog")] * 2
    assert [table.read(0, 2)[1].tolist() for table in tables] == [[1, 2], [2, 0]]


def test_the_range_of_pixels_is_that_of_all_files_of_a_split(tmp_path):
    put(tmp_path, f"{HEAD}\n{row(0, 0.5, 1)}\n", "train/dark.csv")
    put(tmp_path, f"{HEAD}\n{row(1, 0.5, 255)}\n", "train/light.csv")
    tables = open_tables([str(tmp_path / "train")], split="train")
    assert [(table.spec.low, table.spec.high) for table in tables] == [(0, 255)] * 2


@pytest.mark.parametrize(("written", "read"), [(("2.0", "0.0"), [2, 0]), (('"7"', '"1"'), [7, 1])])
def test_whole_numbers_are_labels_however_they_are_written(tmp_path, written, read):
    table = CsvTable(put(tmp_path, "\n".join([HEAD, *map(row, written)])), DEFAULTS).load()
    assert (table.labels.tolist(), table.class_names) == (read, ())


def test_pixels_may_be_floats_from_0_to_1(tmp_path):
    table = CsvTable(
        put(tmp_path, f"{HEAD}\n{row(0, 0.25, 1)}\n{row(1, 0.5, 0)}\n"), DEFAULTS
    ).load()
    images, _ = table.read(0, 2)
    assert (table.spec.dtype, table.spec.low, table.spec.high) == ("float32", 0, 1)
    assert images[:, 7, 6:, 0].tolist() == [[0.25, 1], [0.5, 0]]


def test_files_of_pictures_are_named_from_the_folder_of_the_table(tmp_path):
    images, _ = digits(3)
    for i, image in enumerate(images):
        put(tmp_path, png(image), f"pictures/{i}.png")
    text = "image,label\n" + "".join(f"pictures/{i}.png,{'ab'[i % 2]}\n" for i in (2, 0, 1))
    table = CsvTable(put(tmp_path, text), DEFAULTS).load()
    found, labels = table.read(0, 3)
    np.testing.assert_array_equal(found[..., 0], images[[2, 0, 1]])
    assert (labels.tolist(), table.class_names) == ([0, 0, 1], ("a", "b"))
    (tmp_path / "pictures/0.png").unlink()
    assert error_of(tmp_path / "train.csv") == (
        f"row 3: picture {tmp_path}/pictures/0.png cannot be read: No such file or directory; "
        "names of pictures are relative to the folder of their table"
    )


def test_a_text_in_place_of_a_name_leaves_the_error_one_short_line(tmp_path):
    text = 'image,label\n"' + "no\nname " * 999 + '",1\n'
    message = error_of(put(tmp_path, text))
    assert "no name no name" in message
    assert len(message) < 500


def test_a_column_is_named_by_the_user_where_it_cannot_be_told(tmp_path):
    path = put(tmp_path, f"{HEAD.replace('label', 'digit')}\n{row(3)}\n{row(4)}\n")
    assert error_of(path) == (
        "has no column label, labels, class, target or y, only digit, p0, p1, p2, p3, p4, p5, p6 "
        "and 57 more; name that of the labels: --feature label=NAME"
    )
    named = CsvTable(path, ReadOptions(features=(("label", "digit"),))).load()
    assert named.labels.tolist() == [3, 4]
    assert error_of(path, ReadOptions(features=(("label", "klass"),))).startswith(
        "no column klass (--feature label=klass) among digit, p0"
    )


LINES = '"x\ny"'
MISTAKES = {
    "": "is empty, expected rows of labels and images",
    "\n\n": "is empty, expected rows of labels and images",
    "label,pixel0\n": "has a header (label, pixel0) and no rows below it",
    "label,b\n1,2\n": "no images among the columns besides label: b; name theirs",
    "label\n1\n": "no images among the columns besides label: there are none",
    "a\0b\n1\n": "is no CSV file: it has zero bytes",
    f"{HEAD}\n{row(1)}\n{row(1)},5\n": "row 3: 66 values, expected 65 as in the first row",
    f"{HEAD}\n{row(1)}\n7\n": "row 3: 1 value, expected 65 as in the first row",
    f"{HEAD}\n{row(1)}\n{row('')}\n": "row 3: the label (column label) is missing",
    f"{HEAD}\n{row(-1)}\n": "row 2: the label (column label) is -1, expected 0 to 65535",
    f"{HEAD}\n{row(1.5)}\n": "row 2: the label (column label) is 1.5, expected a whole number",
    f"{HEAD}\n{row(10**9)}\n": "row 2: the label (column label) is 1000000000, expected 0 to 65535",
    f"{HEAD}\n{row(1)}\n{row(1, '', 2)}\n": "row 3: column p62 is empty",
    f"{HEAD}\n{row(1)}\n{row(1, 'x', 2)}\n": "row 3, column p62: 'x', expected a number",
    f"{HEAD}\n{row(1)}\n{row(1, LINES, 2)}\n": "row 3, column p62: 'x y', expected a number",
    f"{HEAD}\n{row(1, 0.5, 2)}\n{row(1, 9e9)}\n": "pixels are float32 from 0 to 9e+09, expected",
}


@pytest.mark.parametrize("text", MISTAKES, ids=range(len(MISTAKES)))
def test_a_mistake_is_one_line_with_its_row(tmp_path, text):
    assert error_of(put(tmp_path, text)).startswith(MISTAKES[text])


LATE = {
    row(1, 2, 300): "row 60002, column p63: '300', expected a whole number from 0 to 255, as in "
    "the first rows",
    row(1, 2, "x"): "row 60002, column p63: 'x', expected a whole number from 0 to 255",
    row("x"): "row 60002, column label: 'x', expected a whole number",
    row(1) + ",1": "row 60002: 66 values, expected 65 as in the first row",
    row(1, ""): "row 60002: column p63 is empty",
}


@pytest.mark.parametrize("last", LATE, ids=range(len(LATE)))
def test_a_mistake_far_from_the_beginning_is_named_as_well(tmp_path, last):
    text = f"{HEAD}\n" + f"{row(1)}\n" * 60_000 + last + "\n"
    assert len(text) > BLOCK_BYTES
    assert error_of(put(tmp_path, text)).startswith(LATE[last])


def test_a_packed_file_that_is_cut_short_is_reported(tmp_path):
    packed = gzip.compress(csv_text(*digits(50)).encode())
    message = error_of(put(tmp_path, packed[: len(packed) // 2], "a.csv.gz"))
    assert message.startswith("damaged CSV file (")


def test_an_estimate_goes_by_the_length_of_the_first_rows(tmp_path):
    text = csv_text(*digits(3_000)).encode()
    put(tmp_path, text, "plain/a.csv")
    put(tmp_path, gzip.compress(text), "packed/a.csv.gz")
    for folder in ("plain", "packed"):
        found = find([str(tmp_path / folder)], split="train").estimate(sample_bytes=1)
        assert not found.exact
        assert 2_700 < found.examples < 3_300
