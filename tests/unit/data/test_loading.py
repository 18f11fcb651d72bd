"""`trainer.load_data`: data of people as a data set that Keras trains on."""

from itertools import chain

import numpy as np
import pytest

from trainer.config.errors import DataError
from trainer.data.loading import load_data

pytestmark = pytest.mark.tensorflow
COUNT = 50


@pytest.fixture
def folder(tmp_path):
    """A folder whose images are as bright as their label says: 6 classes of 8×6×3."""
    for split, count in (("train", COUNT), ("test", 20)):
        labels = np.arange(count) % 6
        images = np.broadcast_to(10 * labels[:, None, None, None], (count, 8, 6, 3))
        np.save(tmp_path / f"{split}_images.npy", images.astype(np.uint8))
        np.save(tmp_path / f"{split}_labels.npy", labels)
    return tmp_path


def labels_of(data):
    return [labels.numpy().tolist() for _, labels in data]


def test_it_knows_shape_classes_and_size(folder):
    data = load_data(folder)
    assert (data.shape, data.classes, data.class_names) == ((8, 6, 3), 6, ())
    assert data.examples == COUNT
    images, labels = data.element_spec
    assert (images.shape[1:], images.dtype.name) == ((8, 6, 3), "float32")
    assert labels.dtype.name == "int32"


def test_images_go_with_their_labels_and_are_scaled(folder):
    for split in ("train", "test"):
        for images, labels in load_data(folder, split, batch_size=8):
            expected = np.broadcast_to(labels.numpy()[:, None, None, None] / 25.5, images.shape)
            np.testing.assert_allclose(images, expected, rtol=1e-5)


def test_test_data_comes_once_in_its_order(folder):
    data = load_data(folder, "test", batch_size=8)
    assert int(data.cardinality()) == 3
    for _ in range(2):
        assert [*chain(*labels_of(data))] == [n % 6 for n in range(20)]


@pytest.mark.parametrize("cache_mb", [1024, 0])
def test_training_data_has_another_order_in_each_pass_and_all_of_it_in_turn(folder, cache_mb):
    data = load_data(folder, batch_size=5, cache_mb=cache_mb)
    assert int(data.cardinality()) == COUNT // 5
    first, second = (labels_of(data) for _ in range(2))
    assert first != second
    for found in (first, second):
        assert sorted(chain(*found)) == sorted(n % 6 for n in range(COUNT))
    assert labels_of(load_data(folder, batch_size=5, cache_mb=cache_mb)) == first
    assert labels_of(load_data(folder, batch_size=5, seed=1)) != first


def test_keras_fits_and_evaluates_it(folder):
    import keras

    train, test = load_data(folder, batch_size=10), load_data(folder, "test")
    model = keras.Sequential(
        [keras.Input(train.shape), keras.layers.Flatten(), keras.layers.Dense(train.classes)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    history = model.fit(train, validation_data=test, epochs=3, verbose=0)
    assert len(history.history["val_accuracy"]) == 3


def test_what_is_not_there_is_one_line(tmp_path):
    with pytest.raises(DataError, match=r"load_data .*none: does not exist"):
        load_data(tmp_path / "none")
