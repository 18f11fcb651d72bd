"""Train MNIST as a SageMaker training job, by version 2 or 3 of the SageMaker Python SDK.

    python examples/sm_train.py --role SageMakerRole --image IMAGE \
        --data s3://bucket/mnist --output s3://bucket/runs

The image is the one that `make push-aws` has pushed, and the data what
`trainer data sync data/mnist s3://bucket/mnist` has uploaded. Any flag of `trainer train` is a
hyperparameter: `--hp steps=500`. The last line that is printed is the address of `model.tar.gz`,
which examples/sm_deploy.py deploys.
"""

import argparse
from importlib.metadata import version

# What `trainer train` prints, so that SageMaker draws it and tuning jobs can maximize it.
METRICS = {
    "loss": r"(?:^|\s)loss=([-+0-9.eE]+)",
    "images_per_second": r"(?:^|\s)images_per_second=([-+0-9.eE]+)",
    "test_accuracy": r"step=[0-9]+(?: [^ ]+=[^ ]+)* test_accuracy=([-+0-9.eE]+)",
}
MAX_SECONDS = 3600


def train_with_v2(args: argparse.Namespace) -> str:
    """Train by an `Estimator`: `pip install 'sagemaker<3'`."""
    from sagemaker.estimator import Estimator

    estimator = Estimator(
        image_uri=args.image,
        role=args.role,
        instance_count=args.instance_count,
        instance_type=args.instance_type,
        output_path=args.output,
        hyperparameters=hyperparameters(args),
        metric_definitions=[{"Name": name, "Regex": regex} for name, regex in METRICS.items()],
        max_run=MAX_SECONDS,
        # Spot instances cost less and may be taken away; the job then goes on from a checkpoint.
        use_spot_instances=args.spot,
        max_wait=2 * MAX_SECONDS if args.spot else None,
        checkpoint_s3_uri=f"{args.output}/checkpoints" if args.spot else None,
    )
    estimator.fit({"train": args.data}, wait=args.wait)
    return estimator.model_data if args.wait else estimator.latest_training_job.name


def train_with_v3(args: argparse.Namespace) -> str:
    """Train by a `ModelTrainer`: `pip install 'sagemaker>=3'`."""
    from sagemaker.core.shapes import MetricDefinition
    from sagemaker.train import ModelTrainer
    from sagemaker.train.configs import (
        CheckpointConfig,
        Compute,
        InputData,
        OutputDataConfig,
        StoppingCondition,
    )

    trainer = ModelTrainer(
        training_image=args.image,
        role=args.role,
        compute=Compute(
            instance_type=args.instance_type,
            instance_count=args.instance_count,
            enable_managed_spot_training=args.spot,
        ),
        output_data_config=OutputDataConfig(s3_output_path=args.output),
        hyperparameters=hyperparameters(args),
        stopping_condition=StoppingCondition(
            max_runtime_in_seconds=MAX_SECONDS,
            max_wait_time_in_seconds=2 * MAX_SECONDS if args.spot else None,
        ),
        checkpoint_config=(
            CheckpointConfig(s3_uri=f"{args.output}/checkpoints") if args.spot else None
        ),
    ).with_metric_definitions(
        [MetricDefinition(name=name, regex=regex) for name, regex in METRICS.items()]
    )
    trainer.train(
        input_data_config=[InputData(channel_name="train", data_source=args.data)], wait=args.wait
    )
    job = trainer._latest_training_job
    return job.model_artifacts.s3_model_artifacts if args.wait else job.training_job_name


def hyperparameters(args: argparse.Namespace) -> dict[str, str]:
    """Return the flags of `trainer train`, each a hyperparameter without its two hyphens."""
    return {"model": "cnn", **dict(text.split("=", 1) for text in args.hp)}


def installed_sdk() -> str:
    """Return which version of the SDK is installed: version 3 is made of several packages."""
    try:
        version("sagemaker-train")
    except ModuleNotFoundError:
        return "v2"
    return "v3"


def main() -> None:
    """Read the command line, and train."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--role", required=True, help="execution role: its name or its ARN")
    parser.add_argument("--image", required=True, help="the trainer's image in Amazon ECR")
    parser.add_argument("--data", required=True, help="s3:// folder with the data")
    parser.add_argument("--output", required=True, help="s3:// folder for the model")
    parser.add_argument("--instance-type", default="ml.m5.xlarge")
    parser.add_argument("--instance-count", type=int, default=1)
    parser.add_argument("--hp", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--spot", action="store_true", help="use spot instances and checkpoints")
    parser.add_argument("--no-wait", dest="wait", action="store_false", help="do not wait")
    parser.add_argument("--sdk", choices=("v2", "v3"), default=installed_sdk())
    args = parser.parse_args()
    print({"v2": train_with_v2, "v3": train_with_v3}[args.sdk](args))


if __name__ == "__main__":
    main()
