"""Three states of a bearing from 64 readings: the network, the input and the signature."""

import os

import tensorflow as tf

WINDOW = 64
CLASSES = 3


def keras_estimator(model_dir, config, learning_rate, filters):
    """Build an Estimator of a Keras model."""
    window = tf.keras.layers.Input(shape=(WINDOW,), name="window")
    x = tf.keras.layers.Reshape((WINDOW, 1))(window)
    x = tf.keras.layers.Conv1D(filters, 9, padding="same", activation="relu")(x)
    x = tf.keras.layers.GlobalAveragePooling1D()(x)
    x = tf.keras.layers.Dense(32, activation="relu")(x)
    state = tf.keras.layers.Dense(CLASSES, activation="softmax", name="state")(x)
    model = tf.keras.Model(window, state)
    model.compile(
        optimizer=tf.keras.optimizers.Adam(lr=learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return tf.keras.estimator.model_to_estimator(
        keras_model=model, model_dir=model_dir, config=config
    )


def parse(record):
    """Read one tf.train.Example."""
    fields = {
        "window": tf.FixedLenFeature([WINDOW], tf.float32),
        "label": tf.FixedLenFeature([], tf.int64),
    }
    example = tf.parse_single_example(record, fields)
    return {"window": example["window"]}, example["label"]


def input_fn(folder, mode, batch_size):
    """Read the TFRecords of a channel."""
    files = sorted(tf.gfile.Glob(os.path.join(folder, "*.tfrecords")))
    dataset = tf.data.TFRecordDataset(files).map(parse)
    if mode == tf.estimator.ModeKeys.TRAIN:
        dataset = dataset.shuffle(2000).repeat()
    return dataset.batch(batch_size)


def serving_input_fn():
    """Take windows as they are."""
    window = tf.placeholder(tf.float32, [None, WINDOW], name="window")
    return tf.estimator.export.ServingInputReceiver({"window": window}, {"window": window})
