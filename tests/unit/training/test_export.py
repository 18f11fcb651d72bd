import dataclasses
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.config import UserError
from trainer.config.hparams import Hparams
from trainer.models import ModelModule, mnist as models
from trainer.models.user_function import UserFunction
from trainer.packaging.row_independence import read_mark
from trainer.training import export as exporting
from trainer.training.export import ExportError, Tolerances, export
from trainer.training.export_errors import naming_module

pytestmark = pytest.mark.tensorflow

HPARAMS = Hparams(model="fast", dropout=0.0, precision="float32")
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


def build(precision: str = "float32") -> keras.Model:
    keras.config.set_dtype_policy(POLICIES[precision])
    keras.utils.set_random_seed(1)
    return models.keras_model(dataclasses.replace(HPARAMS, precision=precision))


def images(count: int = 8) -> tf.Tensor:
    return tf.constant(np.random.default_rng(0).random((count, 28, 28, 1)), tf.float32)


def run(
    folder, precision: str = "float32", model: keras.Model | None = None, module=models, **more
):
    return export(
        model or build(precision),
        module=module,
        hparams=dataclasses.replace(HPARAMS, precision=precision),
        model_dir=folder,
        sample=images(),
        **more,
    )


def test_the_saved_model_answers_as_the_model_and_has_all_signatures(tmp_path):
    model = build()
    path = run(tmp_path, model=model)
    assert path == tmp_path / "1"
    loaded = tf.saved_model.load(str(path))
    assert sorted(loaded.signatures) == ["serving_bytes", "serving_default", "serving_examples"]
    for count in (1, 5):
        answer = loaded.signatures["serving_default"](image_input=images(count))
        np.testing.assert_allclose(
            answer["probabilities"], tf.nn.softmax(model(images(count))), atol=1e-5
        )


def test_a_model_trained_in_half_precision_is_served_in_float32(tmp_path):
    path = run(tmp_path, precision="bfloat16")
    graph = tf.saved_model.load(str(path)).signatures["serving_default"].graph
    nodes = [*graph.as_graph_def().node]
    nodes += [n for f in graph.as_graph_def().library.function for n in f.node_def]
    assert not [n.name for n in nodes if n.attr["T"].type == tf.bfloat16.as_datatype_enum]


@pytest.mark.parametrize("name", ["run[1]", "a\\b"])
def test_a_folder_may_have_a_name_that_tensorflow_takes_for_a_pattern(tmp_path, name):
    assert run(tmp_path / name / "model") == tmp_path / name / "model/1"


def test_a_second_export_leaves_the_first_alone(tmp_path):
    first, second = run(tmp_path), run(tmp_path)
    assert (first.name, second.name) == ("1", "2")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["1", "2"]


def test_a_flat_model_lies_in_the_folder_itself_and_replaces_the_one_before(tmp_path):
    assert run(tmp_path, layout="flat") == tmp_path
    first = (tmp_path / "saved_model.pb").stat().st_mtime_ns
    run(tmp_path, layout="flat")
    names = ["assets.extra", "fingerprint.pb", "saved_model.pb", "variables"]
    assert sorted(p.name for p in tmp_path.iterdir()) == names
    assert (tmp_path / "saved_model.pb").stat().st_mtime_ns > first
    assert "serving_default" in tf.saved_model.load(str(tmp_path)).signatures


def test_what_a_killed_export_left_behind_is_removed(tmp_path):
    (tmp_path / ".1.4242.part").mkdir()
    (tmp_path / ".1.4242.part" / "saved_model.pb").write_text("half")
    run(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["1"]


def test_a_model_that_answers_otherwise_is_not_exported(tmp_path):
    with pytest.raises(ExportError, match="serving_default: probabilities differ"):
        run(tmp_path, tolerances=Tolerances(outputs=-1.0))
    assert list(tmp_path.iterdir()) == []


STRINGS = tf.TensorSpec((None,), tf.string, name="x")
IMAGES = tf.TensorSpec((None, 28, 28, 1), name="x")


def wrong(outputs) -> tf.types.experimental.PolymorphicFunction:
    """Takes strings, and gives these of all that there should be."""
    return tf.function(lambda x: outputs(tf.shape(x)[0]), input_signature=[STRINGS])


BROKEN = {
    "other numbers": (
        wrong(lambda n: {"probabilities": tf.zeros((n, 10))}),
        r"probabilities differ from the model's by 0\.",
    ),
    "no numbers": (
        wrong(lambda n: {"probabilities": tf.fill((n, 10), np.nan)}),
        "probabilities differ from the model's by nan",
    ),
    "one row for all": (
        wrong(lambda n: {"probabilities": tf.zeros((1, 10))}),
        r"probabilities have shape \(1, 10\), the model's \(8, 10\)",
    ),
    "other names": (wrong(lambda n: {"scores": tf.zeros(n)}), "probabilities are not there"),
    "an error": (
        wrong(lambda n: {"probabilities": tf.gather(tf.zeros((1, 10)), tf.range(n))}),
        "does not answer: ",
    ),
}


@pytest.mark.parametrize("name", ["serving_bytes", "serving_examples"])
@pytest.mark.parametrize(("broken", "message"), BROKEN.values(), ids=BROKEN)
def test_a_signature_that_answers_otherwise_than_the_model_is_not_exported(
    tmp_path, name, broken, message
):
    module = SimpleNamespace(**vars(models))
    module.serving_input_fn = lambda model: {**models.serving_input_fn(model), name: broken}
    with pytest.raises(ExportError, match=f"^the SavedModel's {name}.*{message}") as caught:
        run(tmp_path, module=module)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_wrong_classes_are_found_but_for_a_tie(tmp_path):
    def shifted(images):
        answer = models.serving_input_fn(model)["serving_default"](images)
        return {**answer, "classes": answer["classes"] + 1}

    model, module = build(), SimpleNamespace(**vars(models))
    module.serving_input_fn = lambda model: {
        **models.serving_input_fn(model),
        "serving_other": tf.function(shifted, input_signature=[IMAGES]),
    }
    module.serving_samples = lambda images: dict.fromkeys(
        ["serving_default", "serving_other"], images
    )
    with pytest.raises(ExportError, match=r"serving_other: classes are others .* for 100%"):
        run(tmp_path, model=model, module=module)
    tie, other = tf.constant([1] * 64), tf.constant([1] * 63 + [2])
    assert exporting._difference(tie, other) is None


def test_signatures_that_compute_each_row_by_itself_are_marked_and_others_are_not(tmp_path):
    def share(images):
        answer = models.serving_input_fn(model)["serving_default"](images)
        return {"share": answer["probabilities"] / tf.reduce_sum(answer["probabilities"], 0)}

    def pairs(images):
        return {"y": tf.reshape(images, (-1, 2, 28 * 28))[:, 0]}

    model, module = build(), SimpleNamespace(keras_model=models.keras_model)
    module.serving_input_fn = lambda model: {
        "serving_default": models.serving_input_fn(model)["serving_default"],
        "share": tf.function(share, input_signature=[IMAGES]),
        "pairs": tf.function(pairs, input_signature=[IMAGES]),
    }
    path = run(tmp_path, model=model, module=module)
    assert read_mark(path) == {"serving_default"}
    all_of_them = run(tmp_path, model=model)
    assert read_mark(all_of_them) == {"serving_default", "serving_bytes", "serving_examples"}


def test_a_missing_signature_is_named(tmp_path):
    module = SimpleNamespace(**vars(models))
    module.serving_samples = lambda images: {"serving_default": images, "other": images}
    with pytest.raises(ExportError, match=r"^the SavedModel's other does not answer"):
        run(tmp_path, module=module)


def test_a_module_need_have_neither_samples_nor_a_default_signature(tmp_path):
    module = SimpleNamespace(keras_model=models.keras_model)
    module.serving_input_fn = lambda model: {
        "scores": tf.function(lambda x: model(x, training=False), input_signature=[IMAGES]),
        "names": tf.function(lambda x: tf.strings.length(x), input_signature=[STRINGS]),
    }
    assert run(tmp_path, module=module) == tmp_path / "1"
    with pytest.raises(ExportError, match="scores: output_0 differ"):
        run(tmp_path, module=module, tolerances=Tolerances(outputs=-1.0))


def test_all_signatures_agree_on_their_samples(tmp_path):
    model = build()
    signatures = models.serving_input_fn(model)
    asked = models.serving_samples(images())
    assert asked.keys() == signatures.keys()
    for name, argument in asked.items():
        np.testing.assert_allclose(
            signatures[name](argument)["probabilities"],
            tf.nn.softmax(model(asked["serving_default"])),
            atol=1e-5,
        )


def test_a_model_that_loses_too_much_in_float32_is_not_exported(tmp_path):
    with pytest.raises(ExportError, match="in float32"):
        run(tmp_path, precision="bfloat16", tolerances=Tolerances(precision=-1.0))
    assert list(tmp_path.iterdir()) == []


def two_inputs(structure: str) -> SimpleNamespace:
    """A module whose features are a dictionary or a tuple of two tensors."""

    def keras_model(hparams):
        a, b = keras.Input((2,), name="a"), keras.Input((3,), name="b")
        hidden = keras.layers.Dense(4)(keras.layers.Concatenate()([a, b]))
        outputs = {"sum": keras.layers.Dense(1)(hidden), "shares": keras.layers.Softmax()(hidden)}
        return keras.Model({"a": a, "b": b} if structure == "dict" else (a, b), outputs)

    def serving_input_fn(model):
        @tf.function(
            autograph=False,
            input_signature=[
                tf.TensorSpec((None, 2), name="a"),
                tf.TensorSpec((None, 3), name="b"),
            ],
        )
        def serving_default(first, b):
            return model({"a": first, "b": b} if structure == "dict" else (first, b))

        return {"serving_default": serving_default}

    return SimpleNamespace(keras_model=keras_model, serving_input_fn=serving_input_fn)


@pytest.mark.parametrize("structure", ["dict", "tuple"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_model_of_several_inputs_is_compared_by_all_of_them(tmp_path, structure, precision):
    module = two_inputs(structure)
    keras.config.set_dtype_policy(POLICIES[precision])
    random = np.random.default_rng(0)
    a = tf.constant(random.random((8, 2)), tf.float32)
    b = tf.constant(random.random((8, 3)), tf.float32)
    path = export(
        module.keras_model(None),
        module=module,
        hparams=dataclasses.replace(HPARAMS, precision=precision),
        model_dir=tmp_path,
        sample={"a": a, "b": b} if structure == "dict" else (a, b),
    )
    answer = tf.saved_model.load(str(path)).signatures["serving_default"](a=a[:3], b=b[:3])
    assert {name: value.shape[0] for name, value in answer.items()} == {"sum": 3, "shares": 3}
    # It has been tried, not passed over.
    assert read_mark(path) == {"serving_default"}


def test_a_signature_of_several_inputs_that_answers_otherwise_is_not_exported(
    tmp_path, monkeypatch
):
    module = two_inputs("dict")
    keras.config.set_dtype_policy("float32")
    real = exporting.save_model

    def save_another(model, folder, **more):
        model.set_weights([weight + 1 for weight in model.get_weights()])
        real(model, folder, **more)
        model.set_weights([weight - 1 for weight in model.get_weights()])

    monkeypatch.setattr(exporting, "save_model", save_another)
    rows = {"a": tf.ones((4, 2)), "b": tf.ones((4, 3))}
    with pytest.raises(ExportError, match="the SavedModel's serving_default: s"):
        export(
            module.keras_model(None),
            module=module,
            hparams=HPARAMS,
            model_dir=tmp_path,
            sample=rows,
        )
    assert not list(tmp_path.iterdir())


def signatures(function):
    """A module whose own `serving_input_fn` makes one signature of features."""

    def serving_input_fn(model):
        return {"serving_default": tf.function(function(model), input_signature=[IMAGES])}

    own = UserFunction(
        serving_input_fn, name="serving_input_fn", module="net.py", parameters=["model"]
    )
    return ModelModule(
        name="net.py", is_builtin=False, keras_model=models.keras_model, input_fn=models.input_fn,
        serving_input_fn=own, serving_samples=lambda features: {"serving_default": {"x": features}},
    )  # fmt: skip


def refusing(model):
    def answer(x):
        with tf.control_dependencies([tf.debugging.assert_less(x, -1.0, message="too large")]):
            return {"scores": model(x)}

    return answer


def with_table(model):
    names = tf.lookup.KeyValueTensorInitializer(["a"], [1.0])
    table = tf.lookup.StaticHashTable(names, 0.0)
    return lambda x: {"scores": model(x) + table.lookup(tf.constant("a"))}


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (refusing, "the model cannot be exported: InvalidArgumentError: assertion failed: [too"),
        (with_table, "the model cannot be exported: AssertionError: Tried to export a function"),
    ],
)
def test_a_signature_of_the_users_that_cannot_be_exported_is_their_mistake(
    tmp_path, function, expected
):
    module = signatures(function)
    with pytest.raises(UserError) as error, naming_module(module, checkpoints="runs/c"):
        run(tmp_path, module=module)
    text = str(error.value)
    assert text.startswith(f"serving_input_fn of net.py: {expected}") and "\n" not in text
    assert text.endswith("; mend it, and run trainer export --checkpoint runs/c")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_examples_without_a_finite_answer_do_not_keep_a_model_from_its_export(tmp_path, precision):
    rows = images().numpy()
    rows[3] = np.nan
    path = export(
        build(precision), module=models, model_dir=tmp_path, sample=tf.constant(rows),
        hparams=dataclasses.replace(HPARAMS, precision=precision),
    )  # fmt: skip
    assert path == tmp_path / "1"


def test_answers_that_differ_are_the_mistake_of_who_wrote_the_signature():
    own = signatures(refusing)
    with pytest.raises(UserError) as mistake, naming_module(own):
        raise ExportError("scores differ")
    assert str(mistake.value) == "serving_input_fn of net.py: scores differ"
    ours = dataclasses.replace(own, serving_input_fn=models.serving_input_fn)
    with pytest.raises(ExportError), naming_module(ours):
        raise ExportError("scores differ")
