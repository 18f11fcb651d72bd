"""SavedModels as others write them, loaded in this process."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from trainer.packaging.inspection import inspect
from trainer.serving.models.served_model import ServedModel

pytestmark = pytest.mark.tensorflow

v1 = tf.compat.v1


def half_plus_three(folder: Path, *, tags: tuple[tuple[str, ...], ...] = (("serve",),)) -> Path:
    """What TensorFlow Serving's pages ask, as TensorFlow 1 wrote it; the last graph is another."""
    signatures = v1.saved_model.signature_constants
    builder = v1.saved_model.Builder(str(folder))
    asset = folder.with_name("foo.txt")
    asset.write_text("contents")
    for number, own in enumerate(tags):
        with v1.Graph().as_default(), v1.Session() as session:
            a = v1.Variable(0.5, name="a", use_resource=False)
            b = v1.Variable(3.0 - number, name="b", use_resource=False)
            example = v1.placeholder(tf.string, (None,), name="tf_example")
            config = {"x": v1.FixedLenFeature([1], tf.float32)}
            x = tf.identity(v1.parse_example(example, config)["x"], name="x")
            y = tf.identity(v1.add(v1.multiply(a, x), b), name="y")
            v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, v1.constant(str(asset)))
            name = v1.Variable("foo.txt", trainable=False, collections=[])
            session.run(v1.global_variables_initializer())
            definitions = {
                key: v1.saved_model.build_signature_def(
                    {given: v1.saved_model.build_tensor_info(tensor)},
                    {made: v1.saved_model.build_tensor_info(y)},
                    method,
                )
                for key, given, tensor, made, method in (
                    ("serving_default", "x", x, "y", signatures.PREDICT_METHOD_NAME),
                    ("regress", "inputs", example, "outputs", signatures.REGRESS_METHOD_NAME),
                    ("classify", "inputs", example, "scores", signatures.CLASSIFY_METHOD_NAME),
                )
            }
            more = {
                "assets_collection": v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
                "main_op": v1.group(name.assign("foo.txt")),
            }
            if number:
                builder.add_meta_graph(own, definitions, **more)
            else:
                builder.add_meta_graph_and_variables(session, own, definitions, **more)
    builder.save()
    return folder


ROWS = np.array([[1], [2], [5]], np.float32)


@pytest.mark.parametrize(
    "tags",
    [
        (("serve",),),
        # As estimators and the converters for accelerators write them.
        (("train",), ("serve",)),
        (("serve", "gpu"), ("serve",)),
    ],
)
def test_a_model_of_tensorflow_1_is_loaded_with_all_its_signatures(tmp_path, tags):
    model = ServedModel(half_plus_three(tmp_path / "00000123", tags=tags))
    assert sorted(model.signatures) == ["classify", "regress", "serving_default"]
    model.warm_up((1, 2))
    # All graphs share the variables; `serve` alone is what is served.
    answer = model.call(model.signatures["serving_default"], {"x": ROWS})
    np.testing.assert_allclose(answer["y"], 0.5 * ROWS + 3)
    feature = tf.train.Feature(float_list=tf.train.FloatList(value=[5]))
    example = tf.train.Example(features=tf.train.Features(feature={"x": feature}))
    asked = {"inputs": np.array([example.SerializeToString()], object)}
    np.testing.assert_allclose(model.call(model.signatures["regress"], asked)["outputs"], [[5.5]])


def test_a_model_whose_asset_is_missing_is_not_loaded(tmp_path):
    folder = half_plus_three(tmp_path / "1")
    assert inspect(tmp_path).models[0].problem is None
    (folder / "assets/foo.txt").unlink()
    with pytest.raises(ValueError, match=r"its asset assets/foo\.txt is missing"):
        ServedModel(folder)
    assert inspect(tmp_path).models[0].problem == "1: its asset assets/foo.txt is missing"


def test_a_file_without_a_graph_is_not_loaded(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(ValueError, match="holds no graph"):
        ServedModel(tmp_path)
