"""Bring a TensorFlow or MXNet model that was trained elsewhere to a SageMaker endpoint.

    python examples/bring_your_own.py exported --bucket bucket --role SageMakerRole
    python examples/bring_your_own.py mlp --framework mxnet --input-shape data=1,3 --bucket bucket --role SageMakerRole

The model is a SavedModel, or an MXNet checkpoint by what its files' names begin with: mlp-symbol.json and
mlp-0007.params. `trainer package` checks it and packs the `model.tar.gz` that Amazon's own containers for
the framework take. It needs `trainer` on the PATH, and version 2 or 3 of the SageMaker Python SDK.
"""  # noqa: E501

import argparse
import json
import subprocess
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import boto3

VERSIONS = {"tensorflow": "2.19.0", "mxnet": "1.9.0"}
# MXNet's container imports this file, and uses its own handlers for what the file does not define.
SCRIPT = '"""Nothing of its own: the container loads the model and answers."""\n'


def pack(args: argparse.Namespace, folder: Path) -> Path:
    """Pack the model as the framework's container wants it, and print what is in the archive."""
    archive, code = folder / "model.tar.gz", folder / "code"
    command = ["trainer", "package", "--source", args.model, "--out", str(archive)]
    if args.framework == "mxnet":
        code.mkdir()
        (code / "inference.py").write_text(SCRIPT)
        command += ["--framework", "mxnet", "--code", str(code), "--input-shape", *args.input_shape]
    subprocess.run(command, check=True)
    return archive


def deploy_with_v2(args: argparse.Namespace, url: str, code: Path) -> Any:
    """Make a model of the framework's class and an endpoint; return what the endpoint answers."""
    from sagemaker.mxnet import MXNetModel
    from sagemaker.tensorflow import TensorFlowModel

    given = {
        "model_data": url,
        "role": args.role,
        "name": args.name,
        # Where the SDK uploads what it packs once more; otherwise it makes a bucket of its own.
        "code_location": f"s3://{args.bucket}/models",
    }
    if args.framework == "tensorflow":
        model = TensorFlowModel(framework_version=VERSIONS["tensorflow"], **given)
    else:
        model = MXNetModel(
            framework_version=VERSIONS["mxnet"],
            py_version="py38",
            entry_point=str(code / "inference.py"),
            **given,
        )
    predictor = model.deploy(1, args.instance_type, endpoint_name=args.name)
    try:
        return predictor.predict(read_request(args)) if args.request else None
    finally:
        if not args.keep:
            predictor.delete_model()
            predictor.delete_endpoint()


def deploy_with_v3(args: argparse.Namespace, url: str, code: Path) -> Any:
    """Make a model of the framework's image and an endpoint; return what the endpoint answers."""
    from sagemaker.core import image_uris
    from sagemaker.core.helper.session_helper import Session
    from sagemaker.core.resources import Endpoint, EndpointConfig, Model
    from sagemaker.core.shapes import ContainerDefinition, ProductionVariant

    session = Session()
    image = image_uris.retrieve(
        args.framework,
        session.boto_region_name,
        version=VERSIONS[args.framework],
        instance_type=args.instance_type,
        image_scope="inference",
    )
    container = ContainerDefinition(image=image, model_data_url=url)
    if args.framework == "mxnet":
        container.environment = {
            "SAGEMAKER_PROGRAM": "inference.py",
            "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
        }
    model = Model.create(
        model_name=args.name,
        primary_container=container,
        execution_role_arn=session.expand_role(args.role),
    )
    variant = ProductionVariant(
        variant_name="AllTraffic",
        model_name=args.name,
        instance_type=args.instance_type,
        initial_instance_count=1,
    )
    config = EndpointConfig.create(endpoint_config_name=args.name, production_variants=[variant])
    endpoint = Endpoint.create(endpoint_name=args.name, endpoint_config_name=args.name)
    endpoint.wait_for_status("InService")
    try:
        if not args.request:
            return None
        body = json.dumps(read_request(args))
        answer = endpoint.invoke(body=body, content_type="application/json")
        return json.loads(answer.body.read())
    finally:
        if not args.keep:
            for resource in (endpoint, config, model):
                resource.delete()


def read_request(args: argparse.Namespace) -> Any:
    """Return what the endpoint is asked."""
    return json.loads(Path(args.request).read_text())


def installed_sdk() -> str:
    """Return which version of the SDK is installed: version 3 is made of several packages."""
    try:
        version("sagemaker-train")
    except ModuleNotFoundError:
        return "v2"
    return "v3"


def main() -> None:
    """Pack, upload, deploy, ask."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", help="SavedModel, or what the names of a checkpoint begin with")
    parser.add_argument("--framework", choices=[*VERSIONS], default="tensorflow")
    parser.add_argument("--input-shape", nargs="+", default=[], metavar="NAME=N,N,…")
    parser.add_argument("--bucket", required=True, help="where model.tar.gz is uploaded to")
    parser.add_argument("--role", required=True, help="execution role: its name or its ARN")
    parser.add_argument("--name", default=f"brought-{time.strftime('%Y%m%d-%H%M%S')}")
    parser.add_argument("--instance-type", default="ml.m5.large")
    parser.add_argument("--request", help="JSON file that the endpoint is asked with")
    parser.add_argument("--keep", action="store_true", help="leave the endpoint there")
    parser.add_argument("--sdk", choices=("v2", "v3"), default=installed_sdk())
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        archive, key = pack(args, Path(made)), f"models/{args.name}/model.tar.gz"
        boto3.client("s3").upload_file(str(archive), args.bucket, key)
        deploy = {"v2": deploy_with_v2, "v3": deploy_with_v3}[args.sdk]
        answer = deploy(args, f"s3://{args.bucket}/{key}", Path(made) / "code")
    print(json.dumps(answer) if args.request else f"{args.name} is in service")


if __name__ == "__main__":
    main()
