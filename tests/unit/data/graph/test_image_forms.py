"""Images of any shape and number of classes, read by a graph as by our own reader."""

import itertools

import numpy as np
import pytest

from trainer.config.errors import DataError
from trainer.data.files import open_tables
from trainer.data.formats.example import encode_examples
from trainer.data.formats.framing import frame
from trainer.data.formats.idx import pack
from trainer.data.formats.read_options import ReadOptions

pytestmark = pytest.mark.tensorflow

COUNT = 300


@pytest.fixture(scope="module")
def graph_dataset():
    from trainer.data.graph.dataset import graph_dataset

    return graph_dataset


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (COUNT, 20, 12, 3), np.uint8), np.arange(COUNT)


@pytest.fixture(params=["tfrecord", "npy", "idx"])
def folder(request, tmp_path, data):
    images, labels = data
    if request.param == "tfrecord":
        path = tmp_path / "a.tfrecord"
        path.write_bytes(frame(encode_examples(images, labels)).tobytes())
    elif request.param == "npy":
        np.save(tmp_path / "x.npy", images)
        np.save(tmp_path / "y.npy", labels)
    else:
        labels %= 200
        (tmp_path / "images-idx4-ubyte").write_bytes(pack(images))
        (tmp_path / "labels-idx1-ubyte").write_bytes(pack(labels.astype(np.uint8)))
    return tmp_path


def gathered(batches):
    images, labels = zip(*((x.numpy(), y.numpy()) for x, y in batches), strict=True)
    return np.concatenate(images), np.concatenate(labels)


def test_one_pass_gives_each_image_and_label(graph_dataset, folder, data):
    tables = open_tables([str(folder)], split="train")
    images, labels = gathered(graph_dataset(tables, batch_size=64, training=False))
    np.testing.assert_allclose(images, data[0] / 255, atol=1e-6)
    np.testing.assert_array_equal(labels, data[1])


@pytest.mark.parametrize("options", [{"cache_mb": 10}, {"cache_mb": 0, "piece_examples": 100}])
def test_an_epoch_of_all_parts_has_each_example_once(graph_dataset, folder, data, options):
    tables = open_tables([str(folder)], split="train")
    found = []
    for index in range(2):
        part = graph_dataset(
            tables, batch_size=50, training=True, shard_index=index, shard_count=2, **options
        )
        found += list(itertools.islice(iter(part), 3))
    images, labels = gathered(found)
    assert images.shape == (COUNT, 20, 12, 3)
    assert sorted(labels.tolist()) == sorted(data[1].tolist())


def test_a_label_beyond_the_known_classes_is_named(graph_dataset, folder):
    import tensorflow as tf

    tables = open_tables([str(folder)], split="train")
    # Python knows the labels of arrays when it makes the graph.
    with pytest.raises((tf.errors.InvalidArgumentError, DataError), match=r"record 150: label 150"):
        list(graph_dataset(tables, batch_size=64, training=False, classes=150))


def test_a_graph_does_not_resize(graph_dataset, folder):
    tables = open_tables(
        [str(folder)], split="train", options=ReadOptions(image_size=(8, 8), split="train")
    )
    with pytest.raises(DataError, match="parameter server"):
        list(graph_dataset(tables, batch_size=64, training=False))


def test_the_largest_label_is_found_by_the_coordinator(graph_dataset, folder, data):
    made = graph_dataset(open_tables([str(folder)], split="train"), batch_size=64, training=True)
    assert made.stream.largest_label() == data[1].max()
    assert made.stream.spec.shape == (20, 12, 3)
