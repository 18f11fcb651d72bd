"""Features of messages, against TensorFlow's own parser."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from record_files import message

from trainer.data.formats.example_features import (
    BadExampleError,
    features_of,
    is_sequence,
    numbers_of,
    shown_features,
    value_spans,
    varints,
)
from trainer.data.formats.protobuf import WireError, field, to_varint


@pytest.fixture(scope="session")
def tf():
    import tensorflow

    return tensorflow


VALUES = st.one_of(
    st.lists(st.binary(max_size=20), min_size=1, max_size=4),
    st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=4),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=4),
)


def values_of(raw, feature):
    if feature.kind == "bytes":
        return [raw[a:b] for a, b in value_spans(raw, feature)]
    return numbers_of(raw, feature).tolist()


@settings(deadline=None, max_examples=100)
@given(
    context=st.dictionaries(st.text(max_size=8), VALUES, max_size=4),
    lists=st.dictionaries(
        st.text(max_size=8).map(lambda name: "list " + name),
        st.lists(st.binary(max_size=9), min_size=1, max_size=3),
        max_size=3,
    ),
)
def test_we_find_what_tensorflow_finds(tf, context, lists):
    raw = message(context, lists)
    theirs = tf.train.SequenceExample.FromString(raw)
    found = features_of(raw)
    assert found.keys() == context.keys() | lists.keys()
    assert is_sequence(raw)
    for name, feature in theirs.context.feature.items():
        kind = feature.WhichOneof("kind")
        assert found[name].kind == kind.removesuffix("_list")
        assert values_of(raw, found[name]) == list(getattr(feature, kind).value)
        assert len(value_spans(raw, found[name])) == len(context[name])
    for name, frames in theirs.feature_lists.feature_list.items():
        assert found[name].frames == len(frames.feature)
        assert values_of(raw, found[name]) == list(frames.feature[0].bytes_list.value)


def test_an_example_is_no_sequence():
    raw = message({"a": 1})
    assert not is_sequence(raw)
    assert [(name, found.frames) for name, found in features_of(raw).items()] == [("a", 1)]


@settings(max_examples=200)
@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_varints_are_read_back(numbers):
    raw = b"".join(to_varint(number & (2**64 - 1)) for number in numbers)
    assert varints(raw).tolist() == numbers


@pytest.mark.parametrize("raw", [b"\x80", b"\x01\xff", b"\x80" * 10 + b"\x01"])
def test_a_varint_that_is_cut_short_or_too_long_is_refused(raw):
    with pytest.raises(WireError):
        varints(raw)


@settings(max_examples=500)
@given(st.binary(max_size=100))
def test_any_bytes_are_features_or_none(raw):
    try:
        found = features_of(raw)
    except BadExampleError:
        return
    shown_features(raw, found)


def test_floats_need_not_be_packed():
    values = np.array([0.5, 2.0], "<f4")
    lists = b"".join(b"\x0d" + value.tobytes() for value in values)
    raw = field(1, field(1, field(1, b"x") + field(2, field(2, lists))))
    assert numbers_of(raw, features_of(raw)["x"]).tolist() == [0.5, 2.0]


def test_features_are_shown_with_kinds_and_lengths():
    raw = message({"a": b"abc", "b": [1, 2], "c": 0.5, "d": [b"x", b"y"]}, {"e": [b"1", b"2"]})
    assert shown_features(raw, features_of(raw)) == (
        "'a' (bytes, 3 long), 'b' (int64, 2 values), 'c' (float, 1 value), 'd' (bytes, 2 values), "
        "'e' (bytes, 1 long in each of 2 frames)"
    )
    many = message({f"{i:02}": i for i in range(30)})
    assert shown_features(many, features_of(many)).endswith("'11' (int64, 1 value) …")
