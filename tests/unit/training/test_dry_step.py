"""Each mistake in a module is one line that names its function, before the first step."""

from __future__ import annotations

import itertools
from pathlib import Path

import keras
import numpy as np
import pytest

from trainer.config import Hparams, Job, UserError
from trainer.distribution import SINGLE_PROCESS
from trainer.runtime import never_stopped
from trainer.training.trainer import Trainer

pytestmark = pytest.mark.tensorflow

GOOD = """
import keras, numpy as np, tensorflow as tf
X = np.random.default_rng(0).normal(size=(40, 4)).astype("float32")
Y = (X.sum(1) > 0).astype("int32")

def keras_model(hparams):
    i = keras.Input((4,), name="x")
    return keras.Model(i, keras.layers.Dense(2)(keras.layers.Dropout(0.5)(i)))

def input_fn(paths, mode, batch_size, shard):
    data = tf.data.Dataset.from_tensor_slices((X, Y)).shard(shard.count, shard.index)
    return (data.repeat() if mode == "train" else data).batch(batch_size)
"""
NUMBERS = itertools.count()
HPARAMS = Hparams(
    batch_size=8, optimizer="adam", learning_rate=0.1, schedule="constant", warmup=0.0,
    beta_1=0.9, beta_2=0.99, dropout=0.0, label_smoothing=0.0, precision="float32",
)  # fmt: skip
MODEL = "    return keras.Model(i, keras.layers.Dense(2)(keras.layers.Dropout(0.5)(i)))"
# Whatever a data set had, its rows are these.
ROWS = ".map(lambda _: (tf.zeros([4]), tf.zeros([], 'int32')))"
SLICES, BATCH = "from_tensor_slices((X, Y))", ".batch(batch_size)"


@pytest.fixture
def checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Make a trainer of a module that is the good one with one thing replaced."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*__import__("sys").path])

    def make(old: str = "", new: str = "", *, more: str = "", **fields) -> Trainer:
        name = f"checked_{next(NUMBERS)}"
        assert not old or GOOD.count(old) == 1
        text = GOOD.replace(old, new) if old else GOOD
        (tmp_path / f"{name}.py").write_text(f"{text}\n{more}\n")
        job = Job(module=f"{name}.py", steps=5, hparams=HPARAMS, **fields)
        return Trainer(job, strategy=SINGLE_PROCESS, stop_requested=never_stopped)

    return make


def mistake(checked, *args, **more) -> str:
    with pytest.raises(UserError) as error:
        checked(*args, **more)
    text = str(error.value)
    assert "\n" not in text
    return text


def test_a_whole_module_passes_and_nothing_has_changed(checked):
    first = checked()
    state = [v.numpy() for v in first.model.variables]
    keras.utils.set_random_seed(0)
    fresh = first.module.keras_model(first.job.hparams)
    # No weight has been trained and no dropout has drawn.
    for now, then in zip(state, fresh.variables, strict=True):
        np.testing.assert_array_equal(now, then.numpy())
    assert int(first.optimizer.iterations) == 0


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("return 3", "keras_model of {}: returned int 3, expected a keras.Model"),
        ("pass", "keras_model of {}: returned nothing, expected a keras.Model"),
        (
            "return keras.Sequential([keras.layers.Dense(2)])",
            "has no weights yet, as it does not know its inputs; make it of keras.Input layers",
        ),
        ("return keras.Model(i, i)", "has no weights to train"),
        ("return nothing_there", "NameError: name 'nothing_there' is not defined ("),
        (
            "j = keras.Input((5,), name='j'); return keras.Model(j, keras.layers.Dense(2)(j))",
            "keras_model of {}: the features of input_fn are float32 [?, 4], its model takes "
            "float32 [?, 5]: ",
        ),
        (
            "j = keras.Input((4,), name='j'); "
            "return keras.Model({'x': i, 'j': j}, keras.layers.Dense(2)(i + j))",
            "are float32 [?, 4], its model takes {{x: float32 [?, 4], j: float32 [?, 4]}}",
        ),
        (
            "return keras.Model(i, keras.layers.Dense(2)(keras.layers.Lambda(lambda v: "
            "tf.ensure_shape(tf.numpy_function(lambda a: a.nothing, [v], tf.float32), [None, 4]))"
            "(i)))",
            "keras_model of {}: AttributeError: 'numpy.ndarray' object has no attribute 'nothing' "
            "(",
        ),
        (
            "return keras.Model(i, [keras.layers.Dense(2)(i)] * 2)",
            "its model has 2 outputs, (float32 [?, 2], float32 [?, 2]), expected one",
        ),
        (
            "return keras.Model(i, keras.layers.Rescaling(float('nan'))(keras.layers.Dense(2)(i)))",
            "keras_model of {}: the loss of the first batch is nan, before any step",
        ),
    ],
)
def test_mistakes_of_keras_model(checked, model, expected):
    text = mistake(checked, MODEL, f"    {model}")
    name = text.partition(": ")[0].rpartition(" ")[2]
    assert expected.format(name) in text


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("shard):", "shard, extra):", "takes (paths, mode, batch_size, shard, extra), expected ("),
        (BATCH, BATCH + "\n\ndef input_fn(p, m, b, s): return 3", "returned a int, expected a tf"),
        (BATCH, BATCH + "\n\ndef input_fn(p, m, b, s): pass", "returned nothing, expected a tf"),
        (SLICES, "from_tensor_slices(X)", "its data set gives float32 [?, 4], expected (features,"),
        (SLICES, "from_tensor_slices((X, Y * 0 + 5))", "a label is 5, expected 0 to 1, as"),
        (SLICES, "from_tensor_slices((X, Y - 1))", "a label is -1, expected 0 to 1"),
        (SLICES, "from_tensor_slices((X, X[:, 0]))", "its labels are float32 [?] for outputs"),
        (SLICES, "from_tensor_slices((X * np.nan, Y))", "32 of 32 values of its features are NaN"),
        (BATCH, "", "the features of input_fn are float32 [4], its model takes float32 [?, 4]"),
        (
            BATCH, BATCH + ".map(lambda x, y: (tf.ensure_shape(tf.py_function(lambda: X, [], "
            "tf.float32), None), y))",
            "its features are float32 of unknown rank; give their shape",
        ),
        (BATCH, BATCH + ".map(lambda x, y: x.nothing)", "AttributeError: "),
        ('if mode == "train" else data', "", "its data for mode test has no end"),
        (SLICES, SLICES + ".take(0)", "has no batch"),
        (
            SLICES, "from_tensors('none').flat_map(tf.data.TextLineDataset)" + ROWS,
            "its data set fails: NotFoundError: none; No such file or directory",
        ),
        (
            SLICES, "from_tensors('one').map(lambda s: tf.strings.to_number(s))" + ROWS,
            "its data set fails: InvalidArgumentError: StringToNumberOp could not correctly "
            "convert string: one",
        ),
        (
            SLICES, "from_tensors('one').map(lambda s: tf.py_function(lambda _: {}['age'], [s], "
            "tf.string))" + ROWS,
            "its data set fails: KeyError: 'age'",
        ),
        (
            BATCH, BATCH + "\n\ndef input_fn(p, m, b, s): return X, Y[:7]",
            "its arrays are (float32 [40, 4], int32 [7]), expected as many rows in each",
        ),
        (
            SLICES,
            "from_tensor_slices((X if mode == 'train' else X[:, :3], Y))",
            "the features of input_fn for mode test are float32 [?, 3], its model takes float32",
        ),
        (
            SLICES,
            "from_tensor_slices((tf.sparse.from_dense(X), Y))",
            "gives sparse tensors, expected dense or ragged ones; map tf.sparse.to_dense over it",
        ),
        (
            BATCH,
            BATCH + "\n\ndef input_fn(p, m, b, s): return np.array([{}] * 40), Y",
            "an array of it holds Python objects, expected numbers or texts; give all its rows",
        ),
    ],
)  # fmt: skip
def test_mistakes_of_input_fn(checked, old, new, expected):
    text = mistake(checked, old, new.replace("data.repeat() ", "data.repeat()"))
    assert "input_fn of " in text or "of input_fn" in text
    assert expected in text


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return model", "returned a Functional, expected a dictionary; return {'serving_default'"),
        ("return {}", "returned a dict, expected a dictionary"),
        ("return {'a': model}", "a is a Functional, expected a tf.function"),
        ("return {'a': tf.function(model)}", "a has no input_signature, so its inputs are not"),
        (
            "return {'a': tf.function(lambda y: {'p': model(y)}, "
            "input_signature=[tf.TensorSpec((None, 9))])}",
            "a fails: ",
        ),
        (
            "return {'a': tf.function(lambda y: {'p': tf.numpy_function(lambda v: v, [model(y)], "
            "tf.float32)}, input_signature=[tf.TensorSpec((None, 4))])}",
            "a runs Python code (py_function or numpy_function), which no SavedModel holds; write",
        ),
        (
            "return {'a': tf.function(lambda y: {'p': {'q': model(y)}}, "
            "input_signature=[tf.TensorSpec((None, 4))])}",
            "a returns {p: {q: float32 [?, 2]}}, expected tensors by their names",
        ),
    ],
)
def test_mistakes_of_serving_input_fn(checked, body, expected):
    text = mistake(checked, more=f"def serving_input_fn(model):\n    {body}")
    assert text.startswith("serving_input_fn of ")
    assert expected in text


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return labels + 'a'", "loss_fn of {}: "),
        ("return tf.zeros([3])", "returned float32 [3] for 8 examples, expected a loss of each"),
        ("return tf.zeros([8])", "the loss does not depend on the weights of the model"),
        ("return 'a'", "returned str, expected numbers"),
        ("return tf.math.log(tf.reduce_sum(outputs * 0))", "the loss of the first batch is -inf"),
    ],
)
def test_mistakes_of_loss_fn(checked, body, expected):
    text = mistake(checked, more=f"def loss_fn(labels, outputs, sample_weight):\n    {body}")
    assert text.startswith("loss_fn of ")
    assert expected.format(text[11:].partition(":")[0]) in text


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return 3", "metrics is 3; return Keras metrics by name"),
        ("return [keras.metrics.CosineSimilarity()]", "InvalidArgumentError: Incompatible shapes"),
        ("return [keras.metrics.F1Score()]", "they do not take the labels and outputs: "),
    ],
)
def test_mistakes_of_metrics(checked, body, expected):
    text = mistake(checked, more=f"def metrics():\n    {body}")
    assert text.startswith("metrics of ")
    assert expected in text


def test_a_metric_that_is_not_there_and_an_accuracy_of_numbers_are_one_line(checked):
    assert (
        "--metric area:max: an evaluation has no area; expected one of loss, accuracy"
        in mistake(checked, metric="area:max")
    )
    text = mistake(
        checked, SLICES, "from_tensor_slices((X, X[:, :2]))", more='TASK = "regression"',
        target_accuracy=0.9,
    )  # fmt: skip
    assert "has no accuracy; leave it out" in text


def test_arrays_are_divided_shuffled_and_batched(checked):
    made = checked(BATCH, BATCH + "\n\ndef input_fn(p, mode, b, s): return X, Y")
    assert made.data.train.examples == 40
    assert made.data.epoch_steps == 5
    rows = [features.shape[0] for features, _labels in made.data.test.dataset]
    assert sum(rows) == 40
    features, labels = next(iter(made.data.train.dataset))
    assert features.shape == (8, 4)
    assert labels.numpy().tolist() == (features.numpy().sum(1) > 0).astype(int).tolist()


def test_too_few_outputs_for_the_classes_of_built_in_readers_are_one_line(tmp_path, monkeypatch):
    (tmp_path / "few.py").write_text(
        "import keras\ndef keras_model(hparams):\n    i = keras.Input(hparams.input_shape)\n"
        "    return keras.Model(i, keras.layers.Dense(7)(keras.layers.Flatten()(i)))\n"
    )
    job = Job(module=str(tmp_path / "few.py"), steps=5, hparams=HPARAMS)
    monkeypatch.setattr("sys.path", [*__import__("sys").path])
    with pytest.raises(UserError, match=r"its model has 7 classes, outputs .*, and the data 10"):
        Trainer(job, strategy=SINGLE_PROCESS, stop_requested=never_stopped)
