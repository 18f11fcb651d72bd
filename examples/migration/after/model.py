"""Three states of a bearing from 64 readings: the network, the input and the signature."""

import os

import keras
import tensorflow as tf

WINDOW = 64
CLASSES = 3
RECIPE = {"steps": 600, "batch_size": 50, "learning_rate": 0.01}
HPARAMS = {"filters": {"default": 16, "low": 1, "help": "filters of the convolution"}}


def keras_model(hparams):
    """Build the Keras model."""
    window = keras.layers.Input(shape=(WINDOW,), name="window")
    x = keras.layers.Reshape((WINDOW, 1))(window)
    x = keras.layers.Conv1D(hparams.filters, 9, padding="same", activation="relu")(x)
    x = keras.layers.GlobalAveragePooling1D()(x)
    x = keras.layers.Dense(32, activation="relu")(x)
    state = keras.layers.Dense(CLASSES, activation="softmax", name="state")(x)
    return keras.Model({"window": window}, state)


def parse(record):
    """Read one tf.train.Example."""
    fields = {
        "window": tf.io.FixedLenFeature([WINDOW], tf.float32),
        "label": tf.io.FixedLenFeature([], tf.int64),
    }
    example = tf.io.parse_single_example(record, fields)
    return {"window": example["window"]}, example["label"]


def input_fn(paths, mode, batch_size, shard, *, seed=0):
    """Read the TFRecords of some folders; each process takes every count-th record."""
    files = [f for path in paths for f in tf.io.gfile.glob(os.path.join(path, "*.tfrecords"))]
    dataset = tf.data.TFRecordDataset(sorted(files)).shard(shard.count, shard.index).map(parse)
    if mode == "train":
        dataset = dataset.shuffle(2000, seed=seed).repeat()
    return dataset.batch(batch_size)


def serving_input_fn(model):
    """Take windows as they are; answer as the old endpoint did."""

    @tf.function(input_signature=[tf.TensorSpec([None, WINDOW], tf.float32, name="window")])
    def serving_default(window):
        return {"state": model({"window": window}, training=False)}

    return {"serving_default": serving_default}
