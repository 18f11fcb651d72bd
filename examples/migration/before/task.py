"""The entry point of the training job: SageMaker's script mode calls it with the hyperparameters.

TensorFlow 1.12 to 1.15. It is kept to be read: TensorFlow 2.16 and later have no `tf.estimator`.
"""

import argparse
import json
import os

import model
import tensorflow as tf


def train(args):
    """Train, evaluate every ten minutes at most, export the newest model at the end."""
    config = tf.estimator.RunConfig(save_checkpoints_steps=200, tf_random_seed=7)
    estimator = model.keras_estimator(args.model_dir, config, args.learning_rate, args.filters)
    exporter = tf.estimator.LatestExporter("Servo", model.serving_input_fn)
    train_spec = tf.estimator.TrainSpec(
        lambda: model.input_fn(args.train, tf.estimator.ModeKeys.TRAIN, args.batch_size),
        max_steps=args.steps,
    )
    eval_spec = tf.estimator.EvalSpec(
        lambda: model.input_fn(args.eval, tf.estimator.ModeKeys.EVAL, args.batch_size),
        steps=None,
        exporters=[exporter],
        throttle_secs=600,
    )
    tf.estimator.train_and_evaluate(estimator, train_spec, eval_spec)
    if args.current_host == args.hosts[0]:
        estimator.export_saved_model(args.sm_model_dir, model.serving_input_fn)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--learning-rate", type=float, default=0.01)
    parser.add_argument("--filters", type=int, default=16)
    # Checkpoints go to S3, to a folder that the SDK names.
    parser.add_argument("--model_dir", type=str)
    parser.add_argument("--sm-model-dir", type=str, default=os.environ.get("SM_MODEL_DIR"))
    parser.add_argument("--train", type=str, default=os.environ.get("SM_CHANNEL_TRAIN"))
    parser.add_argument("--eval", type=str, default=os.environ.get("SM_CHANNEL_EVAL"))
    parser.add_argument("--hosts", type=json.loads, default=os.environ.get("SM_HOSTS"))
    parser.add_argument("--current-host", type=str, default=os.environ.get("SM_CURRENT_HOST"))
    tf.logging.set_verbosity(tf.logging.INFO)
    train(parser.parse_known_args()[0])
