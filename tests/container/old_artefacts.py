"""Write what the Estimator of examples/migration/before leaves: its model.tar.gz and checkpoint.

python old_artefacts.py MODEL OUT

TensorFlow 2.21 has no Estimators, so the files are made by what Estimators called: a graph, a
Saver, and the builder of SavedModels. The weights are those of a SavedModel of after/.
"""

from __future__ import annotations

import sys
import tarfile
from pathlib import Path

import tensorflow as tf

tf1 = tf.compat.v1


def main(model: str, out: Path) -> None:
    """Write OUT/model.tar.gz, and OUT/checkpoints."""
    loaded = tf.saved_model.load(model)
    weights = {
        each.name.partition(":")[0]: each.numpy()
        for each in loaded.signatures["serving_default"].variables
    }
    (out / "checkpoints").mkdir(parents=True)
    with tf.Graph().as_default(), tf1.Session() as session:
        made = {
            name: tf1.get_variable(name, initializer=value, use_resource=False)
            for name, value in weights.items()
        }
        window = tf1.placeholder(tf.float32, [None, 64], name="window")
        x = window[:, :, None]
        x = tf.nn.conv1d(x, made["conv1d/kernel"], 1, "SAME") + made["conv1d/bias"]
        x = tf.reduce_mean(tf.nn.relu(x), 1)
        x = tf.nn.relu(x @ made["dense/kernel"] + made["dense/bias"])
        state = tf.nn.softmax(x @ made["state/kernel"] + made["state/bias"])
        session.run(tf1.global_variables_initializer())
        saver = tf1.train.Saver()
        saver.save(session, f"{out}/checkpoints/model.ckpt", global_step=600)
        signature = tf1.saved_model.signature_def_utils.predict_signature_def(
            {"window": window}, {"state": state}
        )
        builder = tf1.saved_model.Builder(f"{out}/export/Servo/1580000000")
        builder.add_meta_graph_and_variables(
            session, ["serve"], {"serving_default": signature}, saver=saver
        )
        builder.save()
    with tarfile.open(out / "model.tar.gz", "w:gz") as tar:
        tar.add(out / "export", "export")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
