"""Folders of pictures: labels by folder or list, sizes, colours, splits, and what is damaged."""

import io
import os

import numpy as np
import pytest
from PIL import Image

from trainer.config.errors import DataError
from trainer.data.files import chosen, find, holds_split, notes, open_tables
from trainer.data.folders import KEPT_FILES, data_among, scan_path
from trainer.data.formats.example import encode_examples
from trainer.data.formats.framing import frame
from trainer.data.formats.image_folder import ImageFolderTable, read_file
from trainer.data.formats.picture_labels import label_pictures
from trainer.data.formats.read_options import ReadOptions
from trainer.data.stream import Stream


def put(path, grey=100, size=(8, 8), mode="L", **options):
    """Write a picture of one shade."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shade = grey if mode in ("L", "1") else (grey, 10, 10)
    Image.new(mode, size[::-1], shade).save(path, **options)
    return path


def put_classes(folder, counts, first=0, **options):
    """Write pictures into a folder for each class; each has a shade of its own."""
    number = first
    for name, count in counts.items():
        for i in range(count):
            put(folder / name / f"{i:03d}.png", number, **options)
            number += 1
    return folder


def opened(*paths, split="train", **options):
    files = [(path, None) for path in chosen(list(map(str, paths)), split=split, flag="--train")]
    pictures = label_pictures([str(path) for path, _ in files], ReadOptions(split=split, **options))
    return ImageFolderTable(pictures, ReadOptions(split=split, **options))


def shades(table):
    """Return the shade and the class of each picture, sorted."""
    images, labels = table.read(0, len(table))
    names = table.class_names or range(10_000)
    return sorted((int(i[0, 0, 0]), names[label]) for i, label in zip(images, labels, strict=True))


def error_of(*paths, split="train", **options):
    with pytest.raises(DataError) as caught:
        opened(*paths, split=split, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_folder_of_a_picture_is_its_class(tmp_path):
    put_classes(tmp_path, {"dog": 3, "cat": 2, "10": 1, "9": 1})
    [table] = open_tables([str(tmp_path)], split="train")
    assert (table.kind, len(table), table.spec.shape) == ("images", 7, (8, 8, 1))
    # As Keras' image_dataset_from_directory sorts them.
    assert table.class_names == ("10", "9", "cat", "dog")
    assert shades(table) == [
        (0, "dog"),
        (1, "dog"),
        (2, "dog"),
        (3, "cat"),
        (4, "cat"),
        (5, "10"),
        (6, "9"),
    ]
    np.testing.assert_array_equal(table.label_counts(), [1, 1, 2, 3])
    assert table.note == "7 pictures of 8×8, grey, labels by folder"


def test_neighbours_are_of_many_classes(tmp_path):
    put_classes(tmp_path, {str(i): 40 for i in range(4)})
    table = opened(tmp_path)
    _, labels = table.read(0, 64)
    assert len(set(labels.tolist())) == 4
    assert np.bincount(labels).min() >= 8
    again = opened(tmp_path).read(0, 64)[1]
    np.testing.assert_array_equal(labels, again)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train", "test"),
        ("Training", "Val"),
        ("train_images", "test_images"),
        ("set_of_tests/train", "set_of_tests/val"),
    ],
)
def test_folders_of_splits_are_no_classes(tmp_path, train, test):
    put_classes(tmp_path / train, {"cat": 2, "dog": 3})
    put_classes(tmp_path / test, {"cat": 1, "dog": 1}, first=50)
    assert shades(opened(tmp_path)) == [(0, "cat"), (1, "cat"), (2, "dog"), (3, "dog"), (4, "dog")]
    assert shades(opened(tmp_path, split="test")) == [(50, "cat"), (51, "dog")]
    assert holds_split([str(tmp_path)], "test")


def test_a_class_may_be_called_like_a_split(tmp_path):
    for part, first in ("train", 0), ("test", 50):
        put_classes(tmp_path / part, {"test": 1, "valid": 1, "other": 1}, first=first)
    assert shades(opened(tmp_path)) == [(0, "test"), (1, "valid"), (2, "other")]
    assert shades(opened(tmp_path, split="test")) == [(50, "test"), (51, "valid"), (52, "other")]
    alone = put_classes(tmp_path / "alone", {"valid": 1, "invalid": 1})
    assert shades(opened(alone)) == [(0, "valid"), (1, "invalid")]
    assert not holds_split([str(alone)], "test")


def test_a_picture_called_like_a_split_belongs_to_that_of_its_folder(tmp_path):
    put(tmp_path / "train" / "a" / "test-1.png", 1)
    put(tmp_path / "train" / "b" / "valid.png", 2)
    put(tmp_path / "test" / "a" / "train-1.png", 3)
    assert shades(opened(tmp_path)) == [(1, "a"), (2, "b")]
    assert shades(opened(tmp_path, split="test")) == [(3, "a")]


@pytest.mark.parametrize("whole", [True, False])
def test_a_class_that_a_split_lacks_does_not_shift_the_others(tmp_path, whole):
    put_classes(tmp_path / "train", {"ant": 1, "bee": 1, "cow": 1})
    put_classes(tmp_path / "test", {"bee": 1}, first=50)
    put_classes(tmp_path / "validation", {"ant": 1, "cow": 1}, first=70)
    for split, names in ("train", {"ant", "bee", "cow"}), ("test", {"bee"}):
        table = opened(tmp_path if whole else tmp_path / split, split=split)
        assert table.class_names == ("ant", "bee", "cow")
        assert {name for _, name in shades(table)} == names


def test_a_class_that_is_only_tested_is_refused(tmp_path):
    put_classes(tmp_path / "train", {"ant": 1, "bee": 1})
    put_classes(tmp_path / "test", {"ant": 1, "owl": 1})
    message = error_of(tmp_path, split="test")
    assert "owl is no folder of the training data, which has ant, bee" in message


def test_a_file_of_classes_sets_their_order(tmp_path):
    put_classes(tmp_path, {"ant": 1, "bee": 1})
    (tmp_path / "classes.txt").write_text("cow\nbee\nant\n")
    assert opened(tmp_path).class_names == ("cow", "bee", "ant")
    assert opened(tmp_path, class_names=("ant", "x", "bee")).class_names == ("ant", "x", "bee")
    (tmp_path / "classes.txt").write_text("cow\nbee\n")
    assert (
        "class ant is not among those of the training data, classes.txt or --classes: bee, cow"
        in error_of(tmp_path)
    )


def test_a_folder_with_pictures_and_folders_of_pictures_is_refused(tmp_path):
    put_classes(tmp_path, {"ant": 1, "bee": 1, "ant/small": 1})
    assert "ant: holds both pictures and a folder of pictures, small" in error_of(tmp_path)


@pytest.mark.parametrize("folder", ["pictures", "train"])
def test_pictures_without_labels_are_refused(tmp_path, folder):
    put_classes(tmp_path, {folder: 3})
    message = error_of(tmp_path)
    assert "all pictures lie in one folder, which gives them no labels" in message
    assert "labels.csv" in message


def listed(path, rows, head="file,label"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([head, *rows]) + "\n")
    return path


@pytest.mark.parametrize(
    ("head", "rows"),
    [
        ("file,label", ["000.png,cat", "001.png,dog", "002.png,cat"]),
        ("label;filename;size", ["cat;000.png;1", "dog;001.png;2", "cat;002.png;3"]),
        ("id\tspecies\tClass", ["000\tx\tcat", "001\tx\tdog", "002\tx\tcat"]),
        ("image_path,class", ["./images/000.png,cat", "images\\001.png,dog", "images/002.png,cat"]),
        ("\ufefffile,label", ['"000.png","cat"', "001.png, dog", "", "002.png,cat"]),
    ],
)
def test_a_list_beside_the_pictures_gives_their_labels(tmp_path, head, rows):
    folder = tmp_path / "images"
    put_classes(tmp_path, {"images": 3})
    listed((tmp_path if "images" in rows[2] else folder) / "labels.csv", rows, head)
    table = opened(folder)
    assert table.class_names == ("cat", "dog")
    assert shades(table) == [(0, "cat"), (1, "dog"), (2, "cat")]
    assert "labels by labels.csv" in table.note


def test_lists_of_splits_share_one_folder_of_pictures(tmp_path):
    put_classes(tmp_path, {"images": 4})
    listed(tmp_path / "train.csv", ["000.png,bee", "001.png,ant"])
    listed(tmp_path / "test.csv", ["003.png,bee"])
    [train], [test] = (open_tables([str(tmp_path)], split=s) for s in ("train", "test"))
    assert train.class_names == test.class_names == ("ant", "bee")
    assert shades(train) == [(0, "bee"), (1, "ant")]
    assert shades(test) == [(3, "bee")]
    assert train.note.endswith("labels by train.csv, which lacks 2 pictures")


def test_one_list_serves_the_folders_of_two_splits(tmp_path):
    put_classes(tmp_path, {"train": 2, "test": 1})
    rows = ["train/000.png,7", "train/001.png,1", "test/000.png,3"]
    listed(tmp_path / "labels.csv", rows)
    assert shades(opened(tmp_path)) == [(0, 7), (1, 1)]
    assert shades(opened(tmp_path, split="test")) == [(2, 3)]
    assert opened(tmp_path).class_names == ()


def test_columns_of_a_list_may_be_named(tmp_path):
    put_classes(tmp_path, {"all": 2})
    listed(tmp_path / "all" / "labels.csv", ["1,000.png,a,x", "2,001.png,b,x"], "n,datei,art,label")
    features = (("image", "datei"), ("label", "art"))
    assert shades(opened(tmp_path, features=features)) == [(0, "a"), (1, "b")]


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (["000.png,a", "nine.png,b"], "labels.csv, line 3: nine.png is not there"),
        (["000.png,a", "000.png,b"], "labels.csv, line 3: 000.png is b here and a in line 2"),
        (["000.png,a", "001.png,"], "labels.csv, line 3: names no label"),
        (["000.png,70000", "001.png,1"], "label 70000 is out of range"),
        (["000.png,\xff".encode("latin1"), b"001.png,b"], "is no CSV in UTF-8"),
    ],
)
def test_lists_that_do_not_fit_are_refused(tmp_path, rows, problem):
    put_classes(tmp_path, {"all": 2})
    lines = [row if isinstance(row, bytes) else row.encode() for row in ["file,label", *rows]]
    (tmp_path / "all" / "labels.csv").write_bytes(b"\n".join(lines))
    assert problem in error_of(tmp_path)


def test_pictures_of_several_sizes_need_one_that_all_are_resized_to(tmp_path):
    put_classes(tmp_path, {"a": 3, "b": 3})
    put(tmp_path / "b" / "odd.png", size=(9, 12))
    message = error_of(tmp_path)
    assert "odd.png is 9×12" in message
    assert ".png is 8×8" in message
    assert message.endswith("resize them all: --image-size H,W")
    table = opened(tmp_path, image_size=(5, 6))
    assert table.read(0, 7)[0].shape == (7, 5, 6, 1)
    assert "7 pictures resized to 5×6" in table.note


def test_an_example_is_traced_to_its_picture(tmp_path):
    put_classes(tmp_path, {"a": 20, "b": 20})
    tables = open_tables(
        [str(tmp_path)],
        split="train",
        options=ReadOptions(image_size=(8, 9), class_names=("b", "a")),
    )
    stream = Stream(tables, batch_size=4, training=False)
    images, _ = stream.memory
    for position, (path, _) in enumerate(stream.places(range(40))):
        assert np.asarray(Image.open(path))[0, 0] == images[position, 0, 0, 0]
    named = Stream(tables, batch_size=40, training=True).origin(0)
    assert named.startswith(f"{tmp_path}/")
    assert named.endswith("; 24 more files")


def test_one_picture_in_colour_makes_all_rgb(tmp_path):
    put_classes(tmp_path, {"a": 3, "b": 3})
    put(tmp_path / "b" / "red.jpg", 250, mode="RGB", quality=95)
    table = opened(tmp_path)
    assert table.spec.shape == (8, 8, 3)
    assert "in colour (6 of 7 are grey)" in table.note
    images, _ = table.read(0, 7)
    coloured = [image for image in images if image[0, 0, 0] - int(image[0, 0, 1]) > 100]
    assert len(coloured) == 1


def test_a_damaged_picture_is_named(tmp_path):
    put_classes(tmp_path, {"a": 3, "b": 3})
    path = tmp_path / "a" / "bad.png"
    path.write_bytes((tmp_path / "a" / "000.png").read_bytes()[:50])
    table = opened(tmp_path)
    with pytest.raises(DataError, match=r"a/bad\.png: damaged PNG \(it is cut short: 50 bytes"):
        table.read(0, len(table))
    path.write_bytes(b"no picture")
    assert f"{path}: is no PNG, JPEG, WebP or BMP: it begins with the bytes 6e 6f" in error_of(
        tmp_path
    )


def test_damaged_pictures_can_be_left_out(tmp_path):
    put_classes(tmp_path, {"a": 3, "b": 3})
    (tmp_path / "a" / "bad.png").write_bytes((tmp_path / "a" / "000.png").read_bytes()[:50])
    (tmp_path / "b" / "odd.png").write_bytes(b"no picture")
    [table] = open_tables([str(tmp_path)], split="train", skip_corrupt=2)
    assert len(table) == 6
    assert sorted(line.rpartition("/")[2].partition(":")[0] for line in table.damage) == [
        "bad.png",
        "odd.png",
    ]
    assert [name for _, name in shades(table)] == ["a"] * 3 + ["b"] * 3
    with pytest.raises(DataError, match="2 damaged records, more than --skip-corrupt 1"):
        open_tables([str(tmp_path)], split="train", skip_corrupt=1)


def test_a_picture_that_is_gone_is_named(tmp_path):
    put_classes(tmp_path, {"a": 3, "b": 3})
    table = opened(tmp_path)
    # Small files are kept from when their headers were read until they are read once.
    table.read(0, len(table))
    (tmp_path / "b" / "001.png").unlink()
    with pytest.raises(DataError, match=r"b/001\.png: cannot be read: No such file"):
        table.read(0, len(table))


def test_a_file_is_read_to_its_end_whatever_its_size(tmp_path):
    for size in 0, 1, 5000, 3 << 20:
        (tmp_path / "file").write_bytes(os.urandom(size))
        assert read_file(str(tmp_path / "file")) == (tmp_path / "file").read_bytes()
    with pytest.raises(DataError, match="Is a directory"):
        read_file(str(tmp_path))


def tfrecord(path, count=2000):
    images = np.zeros((count, 28, 28, 1), np.uint8)
    path.write_bytes(frame(encode_examples(images, np.zeros(count, np.uint8))).tobytes())
    return path


def test_plots_beside_other_data_are_passed_over(tmp_path):
    tfrecord(tmp_path / "train.tfrecord")
    put(tmp_path / "plots" / "balance.png", size=(40, 40))
    put(tmp_path / "loss.jpg")
    held = scan_path(tmp_path)
    assert [file.name for file in held.files] == ["train.tfrecord"]
    assert held.beside == ["balance.png", "loss.jpg"]


def test_pictures_mixed_with_a_smaller_file_of_records_are_refused(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (90, 90), np.uint8)
    for name in "a", "b":
        (tmp_path / name).mkdir()
        Image.fromarray(noise).save(tmp_path / name / "1.png")
    tfrecord(tmp_path / "odd.tfrecord", 3)
    with pytest.raises(DataError, match="images and tfrecord files are mixed"):
        find([str(tmp_path)], split="train")


def test_what_lies_among_pictures_and_is_none_is_passed_over(tmp_path):
    put_classes(tmp_path, {"a": 2, "b": 2, ".cache": 1})
    for name in (
        ".DS_Store",
        "Thumbs.db",
        "a/notes.txt",
        "a/.hidden.png",
        "a/boxes.xml",
        "labels.json",
    ):
        (tmp_path / name).write_bytes(b"x")
    assert len(opened(tmp_path)) == 4
    assert notes([str(tmp_path)], [str(tmp_path)]) == []


def test_a_picture_without_a_byte_is_said(tmp_path):
    put_classes(tmp_path, {"a": 2, "b": 2})
    (tmp_path / "a" / "empty.png").touch()
    assert len(opened(tmp_path)) == 4
    assert notes([str(tmp_path)], [str(tmp_path)]) == [f"without a record: {tmp_path}/a/empty.png"]


def test_lists_of_pictures_are_fetched_from_stores_with_these():
    names = ["train/a/1.png", "train/b/2.JPG", "labels.csv", "classes.txt", "notes.txt", "x.json"]
    assert data_among(names) == {*names[:4]}
    assert "classes.txt" not in data_among(["a.tfrecord", "classes.txt"])


def test_a_folder_says_how_many_pictures_it_holds_without_opening_them(tmp_path):
    put_classes(tmp_path, {"a": 2, "b": 2})
    found = find([str(tmp_path)], split="train").estimate(sample_bytes=1)
    assert (found.examples, found.exact) == (4, True)


def test_pictures_without_a_suffix_are_known_by_their_first_bytes(tmp_path):
    for name in "a", "b":
        (tmp_path / name).mkdir()
        file = io.BytesIO()
        Image.new("L", (8, 8)).save(file, "PNG")
        (tmp_path / name / "picture").write_bytes(file.getvalue())
    assert len(opened(tmp_path)) == 2


def test_what_a_large_folder_holds_is_looked_up_again_once_a_name_changes(tmp_path):
    for name in "a", "b":
        (tmp_path / name).mkdir()
        for i in range(KEPT_FILES // 2):
            (tmp_path / name / f"{i}.png").write_bytes(b"x")
    first = scan_path(tmp_path)
    assert scan_path(tmp_path) is first
    (tmp_path / "b" / "0.png").unlink()
    os.utime(tmp_path / "b", ns=(1, 1))
    assert len(scan_path(tmp_path).files) == KEPT_FILES - 1
    (tmp_path / "b").rename(tmp_path / "c")
    assert {file.parent.name for file in scan_path(tmp_path).files} == {"a", "c"}
