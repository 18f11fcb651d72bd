"""Serialised `tf.train.Example` messages, against TensorFlow's own parser."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from trainer.data.formats import example


@pytest.fixture(scope="session")
def tf():
    import tensorflow

    return tensorflow


@settings(deadline=None, max_examples=40)
@given(
    count=st.integers(1, 9),
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 4)),
)
def test_tensorflow_parses_what_encode_writes(tf, count, seed, shape):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, *shape), np.uint8)
    labels = rng.integers(0, 1000, count)
    rows = example.encode_examples(images, labels)
    integer, text = tf.io.FixedLenFeature((), tf.int64), tf.io.FixedLenFeature((), tf.string)
    spec = dict.fromkeys(("height", "width", "depth", "label"), integer) | {"image_raw": text}
    for row, image, label in zip(rows, images, labels, strict=True):
        assert set(tf.train.Example.FromString(row.tobytes()).features.feature) == set(spec)
        found = tf.io.parse_single_example(row.tobytes(), spec)
        assert [int(found[name]) for name in ("height", "width", "depth")] == list(shape)
        assert int(found["label"]) == label
        assert found["image_raw"].numpy() == image.tobytes()
