"""Working requests of a SageMaker endpoint, for a shell and for Python."""

from __future__ import annotations

import shlex

from trainer.endpoints.deployment import Deployment
from trainer.endpoints.sample import SampleRequest
from trainer.endpoints.shell_examples import json_command
from trainer.endpoints.target import RequestExamples


def examples_of(deployment: Deployment, sample: SampleRequest, *, region: str) -> RequestExamples:
    """Return a request of one row of zeros.

    Args:
        deployment: The endpoint.
        sample: The row.
        region: Of the endpoint.
    """
    name, profile = deployment.name, deployment.options.profile
    # The command of AWS writes the answer to a file, and to standard output what it says of it.
    shell = (
        f"{json_command(sample)} |\n"
        f"  aws sagemaker-runtime invoke-endpoint --region {region}"
        f"{f' --profile {shlex.quote(profile)}' if profile else ''} --endpoint-name {name} \\\n"
        "    --content-type application/json --body fileb:///dev/stdin /dev/stdout"
    )
    given = f"profile_name={profile!r}, region_name={region!r}" if profile else (
        f"region_name={region!r}"
    )  # fmt: skip
    python = (
        "import json\n\nimport boto3\n\n"
        f"aws = boto3.Session({given})\n"
        'answer = aws.client("sagemaker-runtime").invoke_endpoint(\n'
        f"    EndpointName={name!r},\n"
        '    ContentType="application/json",\n'
        f"    Body=json.dumps({sample.expression}),\n"
        ")\n"
        'print(answer["Body"].read().decode())'
    )
    return RequestExamples(shell=shell, python=python)
