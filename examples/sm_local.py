"""Train in SageMaker's local mode: the SDK starts the image on this machine, with Docker.

    python examples/sm_local.py --image trainer:cpu --data data/mnist --out runs/local

It needs Docker with Compose, and version 2 or 3 of the SageMaker Python SDK; no account, no role
and no bucket. The job leaves two archives in OUT/artifacts: model.tar.gz has the servable model,
and output.tar.gz the report. With version 2, `--serve` starts an endpoint, too, and asks it.
"""

import argparse
import json
import os
from importlib.metadata import version
from pathlib import Path

# Local mode insists on a role, and uses none; nothing of this leaves the machine.
ROLE = "arn:aws:iam::000000000000:role/none"
REGION = "us-east-1"
# One image of 28 by 28 pixels, black but for a vertical stroke: a 1.
DIGIT = [[[1.0 if 4 < y < 24 and x in (13, 14) else 0.0] for x in range(28)] for y in range(28)]


def train_with_v2(args: argparse.Namespace) -> None:
    """Train by an `Estimator` of the type `local`: `pip install 'sagemaker[local]<3'`."""
    import boto3
    from sagemaker.deserializers import JSONDeserializer
    from sagemaker.estimator import Estimator
    from sagemaker.local import LocalSession
    from sagemaker.serializers import JSONSerializer

    session = LocalSession(boto3.Session("none", "none", region_name=REGION))
    session.config = {"local": {"local_code": True, "container_root": str(args.work)}}
    estimator = Estimator(
        image_uri=args.image,
        role=ROLE,
        instance_count=args.instance_count,
        instance_type="local",  # "local_gpu" on a machine with NVIDIA's
        output_path=f"file://{args.artifacts}",
        hyperparameters=hyperparameters(args),
        sagemaker_session=session,
    )
    estimator.fit({"train": f"file://{args.data}"})
    if args.serve:
        # The same image with the command `serve`, at http://localhost:8080 until the script ends.
        predictor = estimator.deploy(
            1, "local", serializer=JSONSerializer(), deserializer=JSONDeserializer(),
        )  # fmt: skip
        print(json.dumps(predictor.predict({"instances": [DIGIT]})))
        predictor.delete_endpoint()


def train_with_v3(args: argparse.Namespace) -> None:
    """Train by a `ModelTrainer` in local mode: `pip install 'sagemaker>=3'`."""
    from sagemaker.train import ModelTrainer
    from sagemaker.train.configs import Compute, InputData
    from sagemaker.train.model_trainer import Mode

    trainer = ModelTrainer(
        training_mode=Mode.LOCAL_CONTAINER,
        training_image=args.image,
        role=ROLE,
        compute=Compute(instance_type="local_cpu", instance_count=args.instance_count),
        hyperparameters=hyperparameters(args),
        local_container_root=str(args.work),
    )
    trainer.train([InputData(channel_name="train", data_source=str(args.data))])
    # This version leaves both archives in a folder of its own.
    for archive in (args.work / "compressed_artifacts").iterdir():
        archive.rename(args.artifacts / archive.name)


def hyperparameters(args: argparse.Namespace) -> dict[str, str]:
    """Return the flags of `trainer train`, each a hyperparameter without its two hyphens."""
    return {"model": "fast", **dict(text.split("=", 1) for text in args.hp)}


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
    parser.add_argument("--image", default="trainer:cpu", help="the image that `make image` builds")
    parser.add_argument("--data", type=Path, required=True, help="folder with the data")
    parser.add_argument("--out", type=Path, default=Path("runs/local"))
    parser.add_argument("--instance-count", type=int, default=1, help="containers, one a host")
    parser.add_argument("--hp", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--serve", action="store_true", help="ask the model, too (version 2)")
    parser.add_argument("--sdk", choices=("v2", "v3"), default=installed_sdk())
    args = parser.parse_args()
    if args.serve and args.sdk == "v3":
        parser.error("--serve needs version 2; with version 3: trainer deploy --to docker")
    args.data = args.data.resolve()
    # An endpoint gets the folder of model.tar.gz, in which nothing else may look like a model.
    args.work, args.artifacts = (args.out.resolve() / name for name in ("work", "artifacts"))
    for folder in (args.work, args.artifacts):
        folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("AWS_DEFAULT_REGION", REGION)
    {"v2": train_with_v2, "v3": train_with_v3}[args.sdk](args)
    print(f"the model is in {args.artifacts}/model.tar.gz")


if __name__ == "__main__":
    main()
