"""The tf.data.Dataset over a stream: what it gives, and what becomes of an error."""

import itertools
import subprocess
import sys
import threading

import numpy as np
import pytest

from trainer.config.errors import DataError, RetryableError
from trainer.data.files import open_tables
from trainer.data.formats.example import encode_examples
from trainer.data.formats.framing import frame
from trainer.data.formats.record_table import TFRecordTable
from trainer.data.stream import Stream

COUNT = 500

CACHED, STREAMED = {"cache_mb": 10}, {"cache_mb": 0, "piece_examples": 128}
either = pytest.mark.parametrize("options", [CACHED, STREAMED], ids=["cached", "streamed"])


@pytest.fixture(scope="module")
def tf():
    import tensorflow

    return tensorflow


@pytest.fixture(scope="module")
def dataset(tf):
    from trainer.data.pipeline import make_dataset

    return make_dataset


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (COUNT, 28, 28, 1), np.uint8)
    images[0, :2, 0, 0] = 0, 255
    return images, rng.integers(0, 10, COUNT).astype(np.uint8)


@pytest.fixture
def path(tmp_path, data):
    path = tmp_path / "x.tfrecords"
    path.write_bytes(frame(encode_examples(*data)).tobytes())
    return path


def stream(path, **options):
    options = {"batch_size": 32, "training": True, "cache_mb": 0} | options
    return Stream([TFRecordTable(path)], **options)


def keys(images, labels):
    """What tells examples apart, whatever their order."""
    return sorted(
        (image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True)
    )


@either
def test_images_are_floats_from_0_to_1_and_labels_integers(dataset, data, path, options):
    found = list(dataset(stream(path, training=False, **options)).as_numpy_iterator())
    images, labels = (np.concatenate(part) for part in zip(*found, strict=True))
    assert images.dtype == np.float32
    assert labels.dtype == np.int32
    assert images.min() == 0
    assert images.max() == 1
    np.testing.assert_allclose(images, data[0] / 255, rtol=1e-6)
    np.testing.assert_array_equal(labels, data[1])


@either
def test_training_batches_have_a_size_known_beforehand(tf, dataset, path, options):
    images, labels = dataset(stream(path, **options)).element_spec
    assert images == tf.TensorSpec((32, 28, 28, 1), tf.float32)
    assert labels == tf.TensorSpec((32,), tf.int32)


@either
def test_evaluation_ends_with_the_smaller_batch_and_starts_again(tf, dataset, path, options):
    made = dataset(stream(path, training=False, **options))
    assert made.element_spec[1] == tf.TensorSpec((None,), tf.int32)
    for _ in range(2):
        assert [len(labels) for _, labels in made] == [32] * 15 + [20]


def test_each_epoch_holds_the_same_examples_cached_or_streamed(dataset, data, path):
    expected = keys((data[0] / np.float32(255)).astype(np.float16), data[1])
    for options in (CACHED, STREAMED):
        made = dataset(stream(path, batch_size=50, **options)).as_numpy_iterator()
        for _ in range(3):
            batches = [next(made) for _ in range(10)]
            images, labels = (np.concatenate(part) for part in zip(*batches, strict=True))
            assert keys(images.astype(np.float16), labels) == expected


@either
def test_the_batches_are_those_of_the_stream(dataset, path, options):
    one = stream(path, **options)
    made = dataset(one, step=7).as_numpy_iterator()
    chunks = itertools.chain.from_iterable(
        zip(images, labels, strict=True) for images, labels in one.chunks(7)
    )
    for images, labels in itertools.islice(chunks, 40):
        found, classes = next(made)
        np.testing.assert_allclose(found, images / 255, rtol=1e-6)
        np.testing.assert_array_equal(classes, labels)


@either
def test_beginning_at_a_step_goes_on_where_a_run_from_the_start_would_be(dataset, path, options):
    one = stream(path, **options)
    whole = list(itertools.islice(dataset(one).as_numpy_iterator(), 45))
    for step in (1, 20, 40):
        part = itertools.islice(dataset(one, step=step).as_numpy_iterator(), 5)
        for (images, labels), (later, classes) in zip(whole[step:], part, strict=False):
            np.testing.assert_array_equal(images, later)
            np.testing.assert_array_equal(labels, classes)


@either
def test_two_iterators_over_one_stream_do_not_disturb_each_other(dataset, path, options):
    made = dataset(stream(path, **options))
    alone = [labels.tolist() for _, labels in itertools.islice(made.as_numpy_iterator(), 60)]
    one, other = made.as_numpy_iterator(), made.as_numpy_iterator()
    pairs = [(next(one)[1].tolist(), next(other)[1].tolist()) for _ in range(60)]
    assert [pair[0] for pair in pairs] == alone
    assert [pair[1] for pair in pairs] == alone


@either
@pytest.mark.parametrize("step", [0, 3])
def test_a_feed_gives_the_same_batches_however_they_are_taken(dataset, path, options, step):
    made = dataset(stream(path, **options), step=step)
    fed = []
    for count in (1, 4, 2, 9):
        rows = made.feed.take(count)
        assert [len(array) for array in rows] == [count] * len(rows)
        fed += [made.feed.batch(*(array[i] for array in rows)) for i in range(count)]
    for (images, labels), (same, classes) in zip(fed, made, strict=False):
        np.testing.assert_array_equal(images, same)
        np.testing.assert_array_equal(labels, classes)


def test_a_feed_raises_what_went_wrong_while_reading(dataset, path):
    made = dataset(stream(path, **STREAMED))
    path.write_bytes(b"")
    with pytest.raises(DataError, match="became shorter"):
        for _ in range(COUNT):
            made.feed.take(1)


@pytest.mark.tensorflow
def test_a_feed_does_not_wait_for_ever(path, monkeypatch):
    from trainer.data.pipeline import Feed, scaler

    slow, gone = stream(path, **STREAMED), threading.Event()
    chunks = slow.chunks
    # As a network disk that has gone away: it answers when the test is over.
    monkeypatch.setattr(slow, "chunks", lambda step: (gone.wait(60) and c for c in chunks(step)))
    feed = Feed(slow, step=0, batch=scaler(slow.spec), read_seconds=0.1)
    with pytest.raises(RetryableError, match=r"--train: reading .* took more than"):
        feed.take(1)
    gone.set()


HANGING = """
import sys, types
from trainer.data import pipeline
from trainer.data.formats import table
from trainer.config.errors import RetryableError

def chunks(step):
    # Nothing ever comes, as from a disk behind a network that is gone.
    sys.stdin.read()
    yield None

feed = pipeline.Feed(
    types.SimpleNamespace(
        batch_size=2,
        memory=None,
        weighted=False,
        chunks=chunks,
        chunk_examples=64,
        spec=table.ImageSpec(),
    ),
    step=0,
    batch=None,
    read_seconds=0.1,
)
try:
    feed.take(1)
except RetryableError:
    sys.exit(200)
"""


@pytest.mark.tensorflow
def test_a_process_ends_though_what_it_reads_never_comes():
    argv = [sys.executable, "-c", HANGING]
    with subprocess.Popen(argv, stdin=subprocess.PIPE) as process:
        try:
            assert process.wait(60) == 200
        finally:
            process.kill()


def test_evaluation_has_no_feed(dataset, path):
    assert dataset(stream(path, training=False)).feed is None


def test_the_stream_stays_at_hand(dataset, path):
    one = stream(path)
    assert dataset(one).stream is one
    assert one.error is None


def test_data_in_memory_is_held_once(dataset, path, data):
    one = stream(path, **CACHED)
    made = dataset(one)
    # The arrays are TensorFlow's: read-only, and the same data.
    assert not one.memory[0].flags.writeable
    np.testing.assert_array_equal(one.memory[0], data[0])
    np.testing.assert_array_equal(one.memory[1], data[1])
    del made
    np.testing.assert_array_equal(one.memory[0], data[0])


def test_an_error_met_while_reading_reaches_the_stream(tf, dataset, path):
    raw = bytearray(path.read_bytes())
    raw[400 * len(raw) // COUNT + 100] ^= 1
    path.write_bytes(raw)
    one = stream(path, training=False, piece_examples=128)
    seen = 0
    with pytest.raises(tf.errors.OpError):
        for _, labels in dataset(one):
            seen += len(labels)
    assert seen > 0
    assert isinstance(one.error, DataError)
    assert str(one.error).startswith(f"{path}: record 400 at offset ")


def test_the_real_test_images_come_through_unchanged(dataset, mnist_dir):
    tables = open_tables([str(mnist_dir)], split="test")
    images, labels = tables[0].read(0, 10_000)
    made = dataset(Stream(tables, batch_size=1000, training=False))
    for at, (found, classes) in enumerate(made.as_numpy_iterator()):
        part = slice(1000 * at, 1000 * (at + 1))
        np.testing.assert_array_equal(np.round(found * 255).astype(np.uint8), images[part])
        np.testing.assert_array_equal(classes, labels[part])
    assert at == 9
