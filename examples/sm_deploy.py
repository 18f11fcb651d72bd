"""Deploy a trained model to a SageMaker endpoint, ask it about one digit, and take it down.

    python examples/sm_deploy.py --role SageMakerRole --image IMAGE \
        --model s3://bucket/runs/JOB/output/model.tar.gz

It works with version 2 and version 3 of the SageMaker Python SDK. `--keep` leaves the endpoint,
which costs money until you delete it; `--serverless` makes one that costs nothing while it is idle.
"""

import argparse
import json
import time
from importlib.metadata import version
from typing import Any

# One image of 28 by 28 pixels, black but for a vertical stroke: a 1.
DIGIT = [[[1.0 if 4 < y < 24 and x in (13, 14) else 0.0] for x in range(28)] for y in range(28)]
REQUEST = {"instances": [DIGIT]}
MEMORY_MB = 3072


def deploy_with_v2(args: argparse.Namespace) -> Any:
    """Deploy by a `Model`, and ask by its `Predictor`: `pip install 'sagemaker<3'`."""
    from sagemaker.deserializers import JSONDeserializer
    from sagemaker.model import Model
    from sagemaker.predictor import Predictor
    from sagemaker.serializers import JSONSerializer
    from sagemaker.serverless import ServerlessInferenceConfig

    model = Model(
        image_uri=args.image, model_data=args.model, role=args.role, predictor_cls=Predictor
    )
    serverless = ServerlessInferenceConfig(memory_size_in_mb=MEMORY_MB) if args.serverless else None
    predictor = model.deploy(
        initial_instance_count=None if args.serverless else 1,
        instance_type=None if args.serverless else args.instance_type,
        serverless_inference_config=serverless,
        endpoint_name=args.name,
        serializer=JSONSerializer(),
        deserializer=JSONDeserializer(),
    )
    try:
        return predictor.predict(REQUEST)
    finally:
        if not args.keep:
            # The endpoint's configuration is deleted with it.
            predictor.delete_model()
            predictor.delete_endpoint()


def deploy_with_v3(args: argparse.Namespace) -> Any:
    """Deploy by the resources of `sagemaker.core`: `pip install 'sagemaker>=3'`."""
    import boto3
    from sagemaker.core.helper.session_helper import Session
    from sagemaker.core.resources import Endpoint, EndpointConfig, Model
    from sagemaker.core.shapes import ContainerDefinition

    model = Model.create(
        model_name=args.name,
        primary_container=ContainerDefinition(image=args.image, model_data_url=args.model),
        execution_role_arn=Session().expand_role(args.role),
    )
    variant: dict[str, Any] = {"VariantName": "AllTraffic", "ModelName": args.name}
    if args.serverless:
        variant["ServerlessConfig"] = {"MemorySizeInMB": MEMORY_MB, "MaxConcurrency": 5}
    else:
        variant |= {"InstanceType": args.instance_type, "InitialInstanceCount": 1}
    # By boto3, as EndpointConfig.create of sagemaker-core 2.27 misspells MemorySizeInMB.
    boto3.client("sagemaker").create_endpoint_config(
        EndpointConfigName=args.name, ProductionVariants=[variant]
    )
    endpoint = Endpoint.create(endpoint_name=args.name, endpoint_config_name=args.name)
    endpoint.wait_for_status("InService")
    try:
        answer = endpoint.invoke(body=json.dumps(REQUEST), content_type="application/json")
        return json.loads(answer.body.read())
    finally:
        if not args.keep:
            for resource in (endpoint, EndpointConfig.get(args.name), model):
                resource.delete()


def installed_sdk() -> str:
    """Return which version of the SDK is installed: version 3 is made of several packages."""
    try:
        version("sagemaker-train")
    except ModuleNotFoundError:
        return "v2"
    return "v3"


def main() -> None:
    """Read the command line, deploy, and print the answer."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--role", required=True, help="execution role: its name or its ARN")
    parser.add_argument("--image", required=True, help="the trainer's image in Amazon ECR")
    parser.add_argument("--model", required=True, help="s3:// address of model.tar.gz")
    parser.add_argument("--name", default=f"mnist-{time.strftime('%Y%m%d-%H%M%S')}")
    parser.add_argument("--instance-type", default="ml.m5.large")
    parser.add_argument("--serverless", action="store_true", help="without machines of its own")
    parser.add_argument("--keep", action="store_true", help="leave the endpoint there")
    parser.add_argument("--sdk", choices=("v2", "v3"), default=installed_sdk())
    args = parser.parse_args()
    answer = {"v2": deploy_with_v2, "v3": deploy_with_v3}[args.sdk](args)
    (prediction,) = answer["predictions"]
    print(f"{args.name} takes the digit for a {prediction['classes']}")


if __name__ == "__main__":
    main()
