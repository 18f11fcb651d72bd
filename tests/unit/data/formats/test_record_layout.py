"""Records of one length, against TensorFlow's own writer and parser."""

import random

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from trainer.data.formats import example, protobuf, record_layout
from trainer.data.formats.example_features import BadExampleError
from trainer.data.formats.infer_records import infer_form
from trainer.data.formats.read_options import ReadOptions
from trainer.data.formats.record_sample import Sample

quick = settings(deadline=None, max_examples=40)
seeds = st.integers(0, 2**32 - 1)
int64s = st.integers(-(2**63), 2**63 - 1)


@pytest.fixture(scope="session")
def tf():
    import tensorflow

    return tensorflow


def digits(count, seed, shape=(28, 28, 1)):
    rng = np.random.default_rng(seed)
    return (
        rng.integers(0, 256, (count, *shape), np.uint8),
        rng.integers(0, 10, count).astype(np.uint8),
    )


def feature(tf, value):
    """A feature of the kind that the value's type says; lists as they are."""
    values = value if isinstance(value, list) else [value]
    if isinstance(values[0], bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    if isinstance(values[0], float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def message(tf, features, order=None):
    """A serialised Example, its features in the order wanted, where one is."""
    features = {name: feature(tf, value) for name, value in features.items()}
    if order is None:
        return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
    parts = [tf.train.Features(feature={n: features[n]}).SerializeToString() for n in order]
    return protobuf.field(1, b"".join(parts))


def labelled(image, label, **more):
    sizes = {"height": 28, "width": 28, "depth": 1}
    return {**sizes, "image_raw": image.tobytes(), "label": int(label), **more}


def form_of(shape=(28, 28, 1)):
    """The form of records as the trainer writes them."""
    raw = example.encode_examples(np.ones((1, *shape), np.uint8), np.zeros(1)).tobytes()
    return infer_form([Sample("x", 0, raw)], ReadOptions())


def decode_rows(rows, layouts):
    return record_layout.decode(rows, form_of(), layouts=layouts)


def decode(*messages, layouts=None):
    rows = np.stack([np.frombuffer(one, np.uint8) for one in messages])
    return decode_rows(rows, [] if layouts is None else layouts)


def complaint(*messages):
    with pytest.raises(BadExampleError) as caught:
        decode(*messages)
    assert "\n" not in str(caught.value.args[0])
    return caught.value.args


@quick
@given(count=st.integers(1, 200), seed=seeds)
def test_decode_reads_what_encode_writes(count, seed):
    images, labels = digits(count, seed)
    found, classes = decode_rows(example.encode_examples(images, labels), [])
    np.testing.assert_array_equal(found, images.reshape(count, -1))
    np.testing.assert_array_equal(classes, labels)


values = st.one_of(
    st.lists(st.binary(max_size=40), min_size=1, max_size=4),
    st.lists(st.floats(width=32), min_size=1, max_size=4),
    st.lists(int64s, min_size=1, max_size=4),
)


@quick
@given(
    seed=seeds,
    sizes=st.sets(st.sampled_from(["height", "width", "depth"])),
    extra=st.dictionaries(st.text(max_size=8).map(lambda s: "x" + s), values, max_size=4),
    label=int64s,
    order=st.randoms(use_true_random=False),
)
def test_decode_reads_what_tensorflow_writes(tf, seed, sizes, extra, label, order):
    image = digits(1, seed)[0][0]
    features = labelled(image, label, **extra)
    for absent in {"height", "width", "depth"} - sizes:
        del features[absent]
    names = order.sample(sorted(features), len(features))
    for raw in (message(tf, features), message(tf, features, names)):
        images, labels = decode(raw)
        assert images[0].tobytes() == image.tobytes()
        assert labels[0] == label


@quick
@given(seed=seeds, count=st.integers(2, 60))
def test_messages_of_several_layouts_in_one_block_are_distinguished(tf, seed, count):
    images, labels = digits(count, seed)
    shuffle = random.Random(seed)
    raw = []
    for image, label in zip(images, labels, strict=True):
        features = labelled(image, label, name=b"%04d.png" % shuffle.randrange(10_000))
        raw.append(message(tf, features, shuffle.sample(sorted(features), len(features))))
    found, classes = decode(*raw)
    np.testing.assert_array_equal(found, images.reshape(count, -1))
    np.testing.assert_array_equal(classes, labels)


def test_what_other_features_hold_makes_no_new_layout(tf):
    images, labels = digits(50, 0)
    layouts = []
    for _ in range(2):
        raw = [
            message(
                tf,
                labelled(image, label, name=[b"", b"%04d.png" % i], weight=i / 7),
                ["name", "weight", "image_raw", "label", "height", "width", "depth"],
            )
            for i, (image, label) in enumerate(zip(images, labels, strict=True))
        ]
        np.testing.assert_array_equal(decode(*raw, layouts=layouts)[1], labels)
    assert len(layouts) == 1


def test_a_layout_is_taken_again_for_the_next_block_of_its_length_only():
    layouts = []
    rows = example.encode_examples(*digits(3, 0))
    decode_rows(rows, layouts)
    decode_rows(rows, layouts)
    assert len(layouts) == 1
    with pytest.raises(BadExampleError):
        decode_rows(rows[:, :-1], layouts)


@pytest.mark.parametrize("label", [0, 9, 127, 128, 300, 2**40, 2**63 - 1, -1, -5, -(2**63)])
def test_a_label_out_of_range_is_read_so_that_it_can_be_named(tf, label):
    image = digits(1, 0)[0][0]
    assert decode(message(tf, labelled(image, label)))[1][0] == label


def by_hand(label_feature, image):
    """A message with the bytes of its label's feature given."""
    entries = {
        "label": label_feature,
        "image_raw": protobuf.field(1, protobuf.field(1, image.tobytes())),
    }
    parts = [
        protobuf.field(1, protobuf.field(1, n.encode()) + protobuf.field(2, f))
        for n, f in entries.items()
    ]
    return protobuf.field(1, b"".join(parts))


@pytest.mark.parametrize("label", [0, 7, 300])
@pytest.mark.parametrize("packed", [True, False])
def test_packed_and_unpacked_lists_are_both_read(tf, label, packed):
    image = digits(1, 0)[0][0]
    number = protobuf.to_varint(label)
    raw = by_hand(
        protobuf.field(3, protobuf.field(1, number) if packed else b"\x08" + number),
        image,
    )
    theirs = tf.train.Example.FromString(raw).features.feature["label"].int64_list.value
    assert list(theirs) == [label]
    assert decode(raw)[1][0] == label


def test_a_label_varint_that_runs_out_of_its_list_is_refused():
    raw = by_hand(protobuf.field(3, protobuf.field(1, b"\x87")), digits(1, 0)[0][0])
    assert complaint(raw) == ("not a tf.train.Example", 0)


def test_two_labels_are_not_taken_for_one_of_two_bytes():
    image = digits(1, 0)[0][0]
    one, two = (
        by_hand(protobuf.field(3, protobuf.field(1, n)), image) for n in (b"\x85\x01", b"\x05\x01")
    )
    assert len(one) == len(two)
    assert decode(one)[1][0] == 133
    assert complaint(one, two) == ("feature 'label' (int64) holds 2 values, expected 1", 1)


def test_of_two_lists_in_one_feature_the_last_counts(tf):
    floats, label = (
        protobuf.field(2, protobuf.field(1, bytes(4))),
        protobuf.field(3, protobuf.field(1, b"\x07")),
    )
    image = digits(1, 0)[0][0]
    for raw, kind in ((floats + label, "int64_list"), (label + floats, "float_list")):
        theirs = tf.train.Example.FromString(by_hand(raw, image)).features.feature["label"]
        assert theirs.WhichOneof("kind") == kind
    assert decode(by_hand(floats + label, image))[1][0] == 7
    assert complaint(by_hand(label + floats, image))[0].endswith("is of type float")


@pytest.mark.parametrize("cut", [1, 5, 400, 783])
def test_a_message_that_ends_within_its_image_is_refused(cut):
    raw = by_hand(protobuf.field(3, protobuf.field(1, b"\x07")), digits(1, 0)[0][0])
    assert complaint(raw[:-cut]) == ("not a tf.train.Example", 0)


@pytest.mark.parametrize("missing", ["label", "image_raw"])
def test_a_missing_feature_is_named_with_those_that_are_there(tf, missing):
    features = labelled(*(part[0] for part in digits(1, 0)))
    del features[missing]
    problem, row = complaint(message(tf, features))
    assert problem.startswith(f"feature {missing!r} (")
    assert f"is not among {sorted(features)}" in problem
    assert row == 0


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("depth", 0, "image size is 28×28×0, expected 28×28×1"),
        ("label", 3.0, "feature 'label' (int64) is of type float"),
        ("label", b"3", "feature 'label' (int64) is of type bytes"),
        ("label", [3, 4], "feature 'label' (int64) holds 2 values, expected 1"),
        ("image_raw", [1] * 784, "feature 'image_raw' (bytes) is of type int64"),
        ("image_raw", bytes(783), "'image_raw' has 783 bytes, expected 784 for 28×28×1"),
        ("image_raw", b"", "'image_raw' has 0 bytes, expected 784 for 28×28×1"),
        ("image_raw", [bytes(784)] * 2, "feature 'image_raw' (bytes) holds 2 values, expected 1"),
        ("height", b"28", "feature 'height' (int64) is of type bytes"),
        ("height", 32, "image size is 32×28×1, expected 28×28×1"),
        ("width", 300, "image size is 28×300×1, expected 28×28×1"),
        ("depth", 3, "image size is 28×28×3, expected 28×28×1"),
    ],
)
def test_a_feature_that_is_not_as_expected_is_named(tf, name, value, problem):
    features = labelled(*(part[0] for part in digits(1, 0))) | {name: value}
    assert complaint(message(tf, features)) == (problem, 0)


@pytest.mark.parametrize("empty", [b"", protobuf.field(3, b""), protobuf.field(1, b"")])
def test_a_label_without_a_value_is_refused(tf, empty):
    raw = by_hand(empty, digits(1, 0)[0][0])
    tf.train.Example.FromString(raw)
    assert complaint(raw)[0].startswith("feature 'label' (int64) ")


def test_the_row_of_the_message_at_fault_is_reported(tf):
    images, labels = digits(5, 0)
    good = [message(tf, labelled(*pair)) for pair in zip(images, labels, strict=True)]
    good[3] = good[3].replace(b"label", b"lapel")
    problem, row = complaint(*good)
    assert row == 3
    assert "'lapel'" in problem


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_but_never_crash(raw):
    complaint(raw)


@settings(deadline=None, max_examples=300)
@given(data=st.data(), at=st.integers(0, 900), kind=st.sampled_from(["set", "cut", "insert"]))
def test_a_damaged_message_is_read_or_refused_but_never_crashes(data, at, kind):
    raw = bytearray(example.encode_examples(*digits(1, 0))[0].tobytes())
    # Most of the message is pixels, whose damage shows in no way: aim at the rest.
    at = at if at < 60 else len(raw) - 1 - at % 60
    if kind == "set":
        raw[at] = data.draw(st.integers(0, 255))
    elif kind == "cut":
        del raw[at : at + data.draw(st.integers(1, 20))]
    else:
        raw[at:at] = data.draw(st.binary(min_size=1, max_size=20))
    try:
        images, labels = decode(bytes(raw))
    except BadExampleError as error:
        assert error.args[1] == 0
    else:
        assert images.shape == (1, 784)
        assert labels.shape == (1,)
