"""Images of any shape and number of classes, read by a graph as by our own reader."""

import gzip
import itertools

import numpy as np
import pytest

from trainer.config.errors import DataError
from trainer.data.files import open_tables
from trainer.data.formats.example import encode_examples
from trainer.data.formats.framing import frame
from trainer.data.formats.idx import pack
from trainer.data.formats.read_options import ReadOptions
from trainer.data.stream import Stream
from trainer.data.subset import HoldOut

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


def of_our_own_reader(tables):
    from trainer.data.pipeline import make_dataset

    return gathered(make_dataset(Stream(tables, batch_size=64, training=False)))


@pytest.mark.parametrize("size", [(8, 8), (10, 6), (33, 12)])
def test_a_graph_resizes_as_our_own_reader_does(graph_dataset, folder, size):
    options = ReadOptions(image_size=size, split="train")
    tables = open_tables([str(folder)], split="train", options=options)
    images, labels = gathered(graph_dataset(tables, batch_size=64, training=False))
    ours, numbers = of_our_own_reader(tables)
    assert images.shape == (COUNT, *size, 3)
    np.testing.assert_array_equal(labels, numbers)
    # Sums in another order may round to the neighbour.
    np.testing.assert_allclose(images, ours, atol=1.01 / 255)
    assert np.mean(images == ours) > 0.999


FORMS = {
    "channels first": lambda x: x.transpose(0, 3, 1, 2).copy(),
    "alpha": lambda x: np.concatenate([x, x[..., :1]], axis=3),
    "int16": lambda x: x.astype(np.int16),
    "big-endian": lambda x: x.astype(">i4"),
    "uint16": lambda x: x.astype(np.uint16) * 257,
    "floats": lambda x: (x / 255).astype(np.float32),
    "doubles": lambda x: x / 127.5 - 1,
    "booleans": lambda x: x > 127,
    "rows": lambda x: x[..., 0].reshape(COUNT, -1)[:, :225],
}


@pytest.mark.parametrize("size", [None, (8, 8)])
@pytest.mark.parametrize("form", FORMS)
def test_arrays_of_any_form_are_read_by_a_graph(graph_dataset, tmp_path, data, form, size):
    np.save(tmp_path / "x.npy", FORMS[form](data[0]))
    np.save(tmp_path / "y.npy", data[1])
    options = ReadOptions(image_size=size, split="train")
    tables = open_tables([str(tmp_path)], split="train", options=options)
    images, labels = gathered(graph_dataset(tables, batch_size=64, training=False))
    ours, numbers = of_our_own_reader(tables)
    np.testing.assert_array_equal(labels, numbers)
    near = np.abs(images - ours) < (1e-6 if size is None else 1.01 / 255)
    # Halves of booleans are rounded after sums in another order.
    assert np.mean(near) > (0.99 if size and form == "booleans" else 0.999999)


def test_a_pixel_that_is_no_number_is_named_in_a_graph(graph_dataset, tmp_path, data):
    import tensorflow as tf

    images = (data[0] / 255).astype(np.float32)
    np.save(tmp_path / "y.npy", data[1])
    np.save(tmp_path / "x.npy", images)
    tables = open_tables([str(tmp_path)], split="train")
    images[150, 3, 3, 0] = np.nan
    np.save(tmp_path / "x.npy", images)
    with pytest.raises(tf.errors.InvalidArgumentError, match="record 150: pixels are"):
        list(graph_dataset(tables, batch_size=64, training=False))


@pytest.mark.parametrize("change", [np.asfortranarray, lambda x: x.astype(np.uint32)])
def test_arrays_that_no_operation_reads_are_refused(graph_dataset, tmp_path, data, change):
    np.save(tmp_path / "x.npy", change(data[0]))
    np.save(tmp_path / "y.npy", data[1])
    tables = open_tables([str(tmp_path)], split="train")
    with pytest.raises(DataError, match="parameter server"):
        graph_dataset(tables, batch_size=64, training=False)


def test_synthetic_digits_are_resized_in_a_graph(graph_dataset):
    options = ReadOptions(image_size=(14, 14), split="test")
    tables = open_tables([], split="test", options=options)
    images, labels = gathered(graph_dataset(tables, batch_size=300, training=False))
    ours, numbers = of_our_own_reader(tables)
    assert images.shape[1:] == (14, 14, 1)
    np.testing.assert_array_equal(labels, numbers)
    np.testing.assert_allclose(images, ours, atol=1.01 / 255)


def held_out(folder, split, **options):
    options = ReadOptions(split="train", **options)
    tables = open_tables([str(folder)], split="train", options=options)
    return HoldOut(share=0.25, seed=3).of(tables, split=split)


@pytest.fixture
def few_classes(tmp_path, data):
    """Two files of TFRecords and one packed one, of four classes."""
    labels = data[1] % 4
    for number, rows in enumerate(np.split(np.arange(COUNT), [100, 180])):
        raw = frame(encode_examples(data[0][rows], labels[rows])).tobytes()
        (tmp_path / f"{number}.tfrecord").write_bytes(gzip.compress(raw) if number == 1 else raw)
    return tmp_path


@pytest.mark.parametrize("options", [{}, {"image_size": (8, 8)}])
@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_graph_reads_what_is_held_out_and_what_is_left(
    graph_dataset, few_classes, split, options
):
    tables = held_out(few_classes, split, **options)
    images, labels = gathered(graph_dataset(tables, batch_size=64, training=False))
    ours, numbers = of_our_own_reader(tables)
    assert len(labels) == (76 if split == "validation" else COUNT - 76)
    np.testing.assert_array_equal(labels, numbers)
    np.testing.assert_allclose(images, ours, atol=1.01 / 255)


@pytest.mark.parametrize("by", ["record", "file"])
@pytest.mark.parametrize("options", [{"cache_mb": 10}, {"cache_mb": 0, "piece_examples": 50}])
def test_parts_of_what_is_left_have_each_example_once(graph_dataset, few_classes, by, options):
    tables = held_out(few_classes, "train")
    found, parts = [], 2
    sizes = [len(range(i, 224, parts)) for i in range(parts)]
    if by == "file":
        sizes = [len(tables[0]) + len(tables[2]), len(tables[1])]
    for index, size in enumerate(sizes):
        part = graph_dataset(
            tables, batch_size=size, training=True, shard_index=index, shard_count=parts,
            shard_by=by, **options,
        )  # fmt: skip
        found.append(next(iter(part)))
    images, _ = gathered(found)
    ours, _ = of_our_own_reader(tables)
    assert sorted(each.tobytes() for each in images) == sorted(each.tobytes() for each in ours)


def test_arrays_and_synthetic_digits_are_held_out_in_a_graph(graph_dataset, tmp_path, data):
    np.save(tmp_path / "x.npy", data[0])
    np.save(tmp_path / "y.npy", data[1] % 4)
    for tables in (
        held_out(tmp_path, "train"),
        HoldOut(share=0.25, seed=3).of(open_tables([], split="test"), split="train"),
    ):
        images, labels = gathered(graph_dataset(tables, batch_size=300, training=False))
        ours, numbers = of_our_own_reader(tables)
        np.testing.assert_array_equal(labels, numbers)
        np.testing.assert_allclose(images, ours, atol=1e-6)


def named(path, images, labels, names):
    """A file of TFRecords whose labels count through some names, as a description says."""
    path.mkdir()
    (path / "a.tfrecord").write_bytes(frame(encode_examples(images, labels)).tobytes())
    (path / "classes.txt").write_text("\n".join(names))
    return path


def test_classes_are_sorted_anew_in_a_graph(graph_dataset, tmp_path, data):
    rows = [named(tmp_path / "a", data[0], data[1] % 3, ["cat", "ant", "bee"])]
    rows.append(named(tmp_path / "b", data[0], data[1] % 2, ["ant", "bee"]))
    options = ReadOptions(split="train", class_names=("ant", "bee", "cat", "dog"))
    tables = open_tables([str(path) for path in rows], split="train", options=options)
    _, labels = gathered(graph_dataset(tables, batch_size=64, training=False))
    _, numbers = of_our_own_reader(tables)
    np.testing.assert_array_equal(labels, numbers)
    assert labels[:3].tolist() == [2, 0, 1]


def test_the_largest_label_is_found_by_the_coordinator(graph_dataset, folder, data):
    made = graph_dataset(open_tables([str(folder)], split="train"), batch_size=64, training=True)
    assert made.stream.largest_label() == data[1].max()
    assert made.stream.spec.shape == (20, 12, 3)
