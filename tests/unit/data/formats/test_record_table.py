"""Records of TFDS, of models/slim, of Spark and of tutorials, read as they are or refused truly."""

import gzip
import json
import zlib

import numpy as np
import pytest
from record_files import encoded, framed, message, write

from trainer.config.errors import DataError
from trainer.data.formats.read_options import ReadOptions
from trainer.data.formats.tfrecord import FORMAT

COUNT = 150


def images_of(shape, count=COUNT, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)


GREY, COLOUR = images_of((28, 28, 1)), images_of((32, 24, 3))
LABELS = np.arange(COUNT) % 7


def tfds(image, label):
    return {"image": encoded(image), "label": label}


def slim(image, label):
    height, width, _ = image.shape
    return {
        "image/encoded": encoded(image),
        "image/format": b"png",
        "image/class/label": label,
        "image/height": height,
        "image/width": width,
    }


def opened(paths, **options):
    paths = paths if isinstance(paths, list) else [paths]
    return FORMAT.open_all([(path, None) for path in paths], ReadOptions(**options))


def table_of(path, messages, *, pack=bytes, **options):
    [table] = opened(write(path, messages, pack), **options)
    return table


def error_of(path, messages, **options):
    with pytest.raises(DataError) as caught:
        table = table_of(path, messages, **options)
        table.read(0, len(table))
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(str(path))
    return text.removeprefix(f"{path}: ")


def assert_holds(table, images, labels=LABELS):
    assert len(table) == len(images)
    assert table.spec.shape == images.shape[1:]
    found, classes = table.read(0, len(table))
    assert found.dtype == np.dtype(table.spec.dtype)
    np.testing.assert_array_equal(found, images)
    np.testing.assert_array_equal(classes, labels)
    np.testing.assert_array_equal(table.read(64, 128)[0], images[64:128])
    np.testing.assert_array_equal(table.label_counts(), np.bincount(labels))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("images", [GREY, COLOUR], ids=["grey", "colour"])
@pytest.mark.parametrize("make", [tfds, slim])
def test_pictures_in_records_are_read(tmp_path, make, images, pack):
    messages = [message(make(x, int(y))) for x, y in zip(images, LABELS, strict=True)]
    assert_holds(table_of(tmp_path / "a.tfrecord", messages, pack=pack), images)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP", "JPEG"])
@pytest.mark.parametrize("name", ["image", "img", "jpeg", "image_raw", "some_name"])
def test_pictures_are_recognised_by_their_content(tmp_path, name, kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    messages = [
        message({name: encoded(x, kind, **options), "label": int(y), "file": b"a.png"})
        for x, y in zip(COLOUR[:70], LABELS, strict=False)
    ]
    table = table_of(tmp_path / "a", messages)
    found, labels = table.read(0, 70)
    assert found.shape == (70, 32, 24, 3)
    np.testing.assert_array_equal(labels, LABELS[:70])
    if kind != "JPEG":
        np.testing.assert_array_equal(found, COLOUR[:70])


@pytest.mark.parametrize(
    ("stored", "options"),
    [
        (lambda x: {"image": x.tobytes(), "height": 28, "width": 28, "depth": 1}, {}),
        (lambda x: {"image": x.tobytes(), "rows": 28, "cols": 28}, {}),
        (lambda x: {"data": x.tobytes(), "id": b"x", "shape": [28, 28, 1]}, {"image": "data"}),
        (lambda x: {"x": x.tobytes()}, {}),
        (lambda x: {"anything": x.tobytes()}, {}),
        (lambda x: {"image": x.ravel().tolist()}, {}),
        (lambda x: {"features": (x.ravel() / 255).tolist()}, {}),
        (lambda x: {"image": (x / np.float32(255)).tobytes()}, {}),
        (lambda x: {"image": x.astype("<u2").tobytes()}, {}),
        (lambda x: {"image": x.astype("<i8").tobytes(), "height": 28, "width": 28}, {}),
    ],
    ids=["sizes", "rows", "named", "square", "only", "int64", "float", "float32", "uint16", "int"],
)
def test_bare_pixels_of_any_layout_are_read(tmp_path, stored, options):
    messages = [message({**stored(x), "label": int(y)}) for x, y in zip(GREY, LABELS, strict=True)]
    table = table_of(tmp_path / "a", messages, features=tuple(options.items()))
    assert table.spec.shape == (28, 28, 1)
    found, labels = table.read(0, COUNT)
    np.testing.assert_array_equal(labels, LABELS)
    np.testing.assert_allclose(
        (found - table.spec.low) / (table.spec.high - table.spec.low), GREY / 255, atol=1e-6
    )


def test_colours_are_told_by_size_features_by_the_flag_and_by_the_square(tmp_path):
    square = images_of((32, 32, 3), 5)
    for name, features, shape, options in (
        ("a", {"height": 32, "width": 24}, COLOUR[:5], {}),
        ("b", {"image/shape": [32, 24, 3]}, COLOUR[:5], {}),
        ("c", {}, COLOUR[:5], {"image_size": (32, 24)}),
        ("d", {}, square, {}),
    ):
        messages = [message({"image": x.tobytes(), "label": 1, **features}) for x in shape]
        table = table_of(tmp_path / name, messages, **options)
        np.testing.assert_array_equal(table.read(0, 5)[0], shape)


def test_channels_first_are_told_by_the_shape(tmp_path):
    messages = [
        message({"image": x.transpose(2, 0, 1).tobytes(), "label": 1, "shape": [3, 32, 24]})
        for x in COLOUR[:5]
    ]
    np.testing.assert_array_equal(table_of(tmp_path / "a", messages).read(0, 5)[0], COLOUR[:5])


@pytest.mark.parametrize("make", [tfds, lambda x, y: {"image": x.tobytes(), "label": y}])
@pytest.mark.parametrize(
    "label", [float, lambda y: b"%d" % y, lambda y: [float(y == i) for i in range(7)]]
)
def test_labels_of_any_form_are_integers(tmp_path, make, label):
    messages = [message(make(x, label(int(y)))) for x, y in zip(GREY, LABELS, strict=True)]
    assert_holds(table_of(tmp_path / "a", messages), GREY)


@pytest.mark.parametrize("make", [tfds, lambda x, y: {"image": x.tobytes(), "label": y}])
def test_labels_that_are_names_are_numbered_alike_in_all_files(tmp_path, make):
    names = ["bee", "ant", "cat"]
    first = [message(make(GREY[i], names[i % 2])) for i in range(10)]
    second = [message(make(GREY[i], names[2 - i % 2])) for i in range(10)]
    one, two = opened([write(tmp_path / "a", first), write(tmp_path / "b", second)])
    assert one.class_names == two.class_names == ("ant", "bee", "cat")
    assert one.read(0, 10)[1].tolist() == [1, 0] * 5
    assert two.read(0, 10)[1].tolist() == [2, 0] * 5
    assert two.label_counts().tolist() == [5, 0, 5]


def test_names_of_classes_that_are_given_come_first(tmp_path):
    messages = [message(tfds(x, "bee")) for x in GREY[:10]]
    table = table_of(tmp_path / "a", messages, class_names=("cat", "bee", "ant"))
    assert table.class_names == ("cat", "bee", "ant")
    assert table.read(0, 10)[1].tolist() == [1] * 10
    text = error_of(tmp_path / "a", messages, class_names=("cat", "ant"))
    assert (
        text
        == "record 0: label 'bee' is not among the classes of the training data or of --classes"
    )


def test_a_sequence_of_one_frame_is_an_image(tmp_path):
    messages = [
        message({"label": int(y)}, {"image": [encoded(x)]})
        for x, y in zip(GREY, LABELS, strict=True)
    ]
    assert_holds(table_of(tmp_path / "a", messages), GREY)
    messages = [
        message({"label": int(y)}, {"image": [x.tobytes()], "name": [b"a", b"b"]})
        for x, y in zip(GREY, LABELS, strict=True)
    ]
    assert_holds(table_of(tmp_path / "b", messages), GREY)


def test_a_sequence_of_several_frames_needs_a_module(tmp_path):
    text = error_of(tmp_path / "a", [message({"label": 1}, {"image": [encoded(GREY[0])] * 16})])
    assert text == (
        "record 0: feature 'image' holds 16 frames, expected one image: records of several frames "
        "need a module of your own (--module)"
    )


def put_features_json(folder, *, names=True):
    folder.mkdir(parents=True, exist_ok=True)
    module = "tensorflow_datasets.core.features"
    features = {
        "picture_of_it": {
            "pythonClassName": f"{module}.image_feature.Image",
            "image": {
                "shape": {"dimensions": ["-1", "-1", "3"]},
                "dtype": "uint8",
                "encodingFormat": "png",
            },
        },
        "kind": {
            "pythonClassName": f"{module}.class_label_feature.ClassLabel",
            "classLabel": {"numClasses": "7"},
        },
    }
    (folder / "features.json").write_text(json.dumps({"featuresDict": {"features": features}}))
    if names:
        (folder / "kind.labels.txt").write_text("".join(f"name {i}\n" for i in range(7)))


def test_what_tfds_writes_beside_the_files_is_read(tmp_path):
    put_features_json(tmp_path)
    messages = [
        message({"picture_of_it": encoded(x), "kind": int(y), "other": int(y), "more": int(y)})
        for x, y in zip(GREY, LABELS, strict=True)
    ]
    table = table_of(tmp_path / "x-train.tfrecord-00000-of-00001", messages)
    # Grey pictures of a set that has colours.
    assert table.spec.shape == (28, 28, 3)
    assert table.class_names == tuple(f"name {i}" for i in range(7))
    np.testing.assert_array_equal(table.read(0, COUNT)[1], LABELS)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"featuresDict": 7}', '{"content": {"a": 1}}'])
def test_a_description_that_makes_no_sense_is_passed_over(tmp_path, text):
    (tmp_path / "features.json").write_text(text)
    (tmp_path / "label.labels.txt").write_text("a\na\n")
    table = table_of(tmp_path / "a", [message(tfds(GREY[0], 1))])
    assert table.class_names == ()


def test_the_names_that_slim_writes_are_read(tmp_path):
    (tmp_path / "labels.txt").write_text("0:zero\n1:one\n2:two\n")
    table = table_of(tmp_path / "a", [message(slim(GREY[0], 1))])
    assert table.class_names == ("zero", "one", "two")


def test_labels_that_begin_at_1_are_noted(tmp_path):
    messages = [message(slim(x, int(y) + 1)) for x, y in zip(GREY, LABELS, strict=True)]
    table = table_of(tmp_path / "a", messages)
    assert "labels begin at 1" in table.note
    np.testing.assert_array_equal(table.read(0, COUNT)[1], LABELS + 1)


def test_pictures_are_resized_where_a_size_is_given(tmp_path):
    messages = [message(tfds(x, 1)) for x in (GREY[0], images_of((40, 50, 1), 1)[0])]
    text = error_of(tmp_path / "a", messages)
    assert text.startswith("record 1: is 40×50, the others are 28×28; resize them all: --image-s")
    table = table_of(tmp_path / "a", messages, image_size=(20, 30))
    assert table.read(0, 2)[0].shape == (2, 20, 30, 1)


REFUSED = {
    "nothing alike": (
        {"a": b"abc", "b": b"def", "c": 1},
        "record 0: has no feature that",
    ),
    "no label": ({"image": bytes(784), "a": 1, "b": 2}, "record 0: has no feature that"),
    "boxes": (
        {"image/encoded": encoded(GREY[0]), "image/object/class/label": [1, 2]},
        "record 0: has labels of boxes ('image/object/class/label'), none of the image",
    ),
    "no square": ({"image": bytes(700), "label": 1}, "record 0: 'image' has 700 bytes, which are"),
    "size": (
        {"image": bytes(700), "label": 1, "height": 28, "width": 28, "depth": 1},
        "record 0: 'image' has 700 bytes, expected 784 for 28×28×1",
    ),
    "no size": (
        {"image": bytes(784), "label": 1, "height": 28, "width": 0, "depth": 1},
        "record 0: image size is 28×0×1, expected 1 or more each",
    ),
    "two labels": (
        {"image": bytes(784), "label": [2, 3]},
        "record 0: feature 'label' (int64) holds",
    ),
    "half": ({"image": bytes(784), "label": 1.5}, "record 0: label 1.5 is not a whole number"),
    "negative": ({"image": bytes(784), "label": -1}, "record 0: label -1 is out of range"),
    "size of a picture": (
        {**slim(GREY[0], 1), "image/width": 29},
        "record 0: the picture is 28×28, but the features",
    ),
    "gif": (
        {"image": b"GIF89a" + bytes(300), "label": 1},
        "record 0: 'image' has 306 bytes",
    ),
    "empty text": (
        {"image": bytes(784), "label": b""},
        "record 0: feature 'label' is an",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused_in_one_line(tmp_path, name):
    features, problem = REFUSED[name]
    assert error_of(tmp_path / "a", [message(features)]).startswith(problem)


def test_a_refusal_lists_the_features_and_the_flag(tmp_path):
    text = error_of(tmp_path / "a", [message({"a": b"abc", "b": [1, 2], "c": [0.5] * 3, "d": b""})])
    assert text == (
        "record 0: has no feature that is surely its label; it has 'a' (bytes, 3 long), "
        "'b' (int64, 2 values), 'c' (float, 3 values), 'd' (bytes, 0 long); "
        "name them: --feature image=NAME,label=NAME"
    )


def test_a_name_that_no_feature_has_is_refused(tmp_path):
    messages = [message(tfds(GREY[0], 1))]
    text = error_of(tmp_path / "a", messages, features=(("image", "picture"),))
    assert text.startswith("record 0: has no feature 'picture', which --feature names; it has 'ima")


@pytest.mark.parametrize("make", [tfds, lambda x, y: {"image": x.tobytes(), "label": y}])
def test_of_several_wrong_records_the_first_is_named_whatever_its_length(tmp_path, make):
    messages = [message(make(x, int(y))) for x, y in zip(GREY[:100], LABELS, strict=False)]
    messages[70] = message({"image": GREY[0].tobytes(), "another": b"longer" * 9})
    messages[80] = message({"a": 1})
    text = error_of(tmp_path / "a", messages)
    assert text.startswith("record 70: feature 'label' ")


def damaged_picture(raw):
    at = raw.index(b"IDAT") + 30
    return raw[:at] + bytes([raw[at] ^ 0x55]) + raw[at + 1 :]


def test_a_damaged_picture_is_named_or_left_out(tmp_path):
    messages = [message(tfds(x, int(y))) for x, y in zip(GREY, LABELS, strict=True)]
    for number in (0, 90):
        features = tfds(GREY[number], 1)
        messages[number] = message(features | {"image": damaged_picture(features["image"])})
    path = tmp_path / "a"
    assert error_of(path, messages[1:]).startswith("record 89: damaged PNG (the checksum of its")
    table = table_of(path, messages, skip_corrupt=True)
    kept = np.setdiff1d(np.arange(COUNT), [0, 90])
    np.testing.assert_array_equal(table.read(0, len(table))[0], GREY[kept])
    assert [line.split(": ")[1] for line in table.damage] == [
        "record 0 at offset 0",
        f"record 90 at offset {len(framed(messages[:90]))}",
    ]


def test_a_picture_that_claims_a_giant_size_is_refused(tmp_path):
    raw = encoded(GREY[0])
    header = b"IHDR" + (60_000).to_bytes(4) * 2 + raw[24:29]
    giant = raw[:12] + header + zlib.crc32(header).to_bytes(4) + raw[33:]
    text = error_of(tmp_path / "a", [message({"image": giant, "label": 1})])
    assert text.startswith("record 0: 'image' its header says 60000×60000 pixels, more than")


def test_numbers_of_values_count_records_that_are_left_out(tmp_path):
    images = GREY.astype(np.float32) / 255
    images[120] = np.nan
    raw = bytearray(framed([message({"image": x.ravel().tolist(), "label": 1}) for x in images]))
    raw[40 * len(raw) // COUNT + 100] ^= 1
    path = tmp_path / "a"
    path.write_bytes(raw)
    [table] = opened(path, skip_corrupt=True)
    assert len(table) == COUNT - 1
    with pytest.raises(DataError, match="record 120: a pixel is nan"):
        table.read(64, len(table))
