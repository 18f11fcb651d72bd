"""Train in local mode by SageMaker's SDK, version 2, whose environment runs this.

    python sdk_v2.py '{"kind": "Estimator", "image_uri": …, "root": …, "inputs": {…}, …}'

The last line printed names the model.tar.gz that came back.
"""

import json
import sys

import boto3
from sagemaker.estimator import Estimator
from sagemaker.local import LocalSession
from sagemaker.tensorflow import TensorFlow

job = json.loads(sys.argv[1])
root, inputs = job.pop("root"), job.pop("inputs")
kinds = {"Estimator": Estimator, "TensorFlow": TensorFlow}
# Never used: nothing leaves this machine. The session only insists on having some.
boto = boto3.Session("x", "x", region_name="us-east-1")
session = LocalSession(boto)
session.config = {"local": {"container_root": root, "local_code": True}}
estimator = kinds[job.pop("kind")](
    role="arn:aws:iam::000000000000:role/none",
    instance_type="local",
    output_path=f"file://{root}/collected",
    sagemaker_session=session,
    **job,
)
estimator.fit({name: f"file://{folder}" for name, folder in inputs.items()})
print(estimator.model_data)
