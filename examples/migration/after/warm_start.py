"""The same model, which begins with the weights of the newest checkpoint of the old project.

trainer train --module after/warm_start.py --old old/checkpoints --train data/bearings/train
"""

import model
import tensorflow as tf
from model import input_fn, serving_input_fn

__all__ = ["input_fn", "keras_model", "serving_input_fn"]
RECIPE = {"steps": 200, "batch_size": 50, "learning_rate": 0.001}
HPARAMS = {"filters": {"default": 16}, "old": {"default": "old/checkpoints"}}


def keras_model(hparams):
    """Build the model, and give each layer the weights of the old layer with its name."""
    net = model.keras_model(hparams)
    old = tf.train.load_checkpoint(hparams.old)
    for layer in net.layers:
        for weight in layer.weights:
            weight.assign(old.get_tensor(f"{layer.name}/{weight.name}"))
    return net
