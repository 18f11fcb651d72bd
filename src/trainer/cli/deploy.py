"""`trainer deploy`: brings a model to an endpoint."""

from __future__ import annotations

import argparse
import time

from trainer.cli.endpoint_flags import endpoint_options
from trainer.config import Parser, add_flags as add_options
from trainer.endpoints import DeployOptions
from trainer.runtime import handling_stop_signals, log

INTERRUPTED = 130
HELP = "bring a model to an endpoint of a cloud, or to a container here"
EXAMPLES = """\
# serve a model in a container of this machine, and print how to ask it
trainer deploy runs/mnist/model --to docker
# make an endpoint of SageMaker of what a training job left
trainer deploy mnist-20260131 --to sagemaker --image ACCOUNT/trainer:cpu \\
    --role arn:aws:iam::111122223333:role/SageMakerRole
# print the requests that would make an endpoint of Vertex AI
trainer deploy gs://bucket/mnist/model --to vertex --region europe-west4 \\
    --image europe-docker.pkg.dev/p/r/trainer:cpu --print request
"""


def add_flags(parser: Parser) -> None:
    """Add the model and a flag for each option."""
    parser.add_argument(
        "model", metavar="MODEL",
        help="folder, model.tar.gz, .keras file, s3:// or gs:// url, or the name of a finished job",
    )  # fmt: skip
    add_options(parser, DeployOptions)


def run(args: argparse.Namespace) -> int:
    """Deploy, and print a request that works."""
    # Standard output has the requests alone.
    log.begin(to="err")
    options = endpoint_options(DeployOptions, args)
    from trainer.endpoints import EndedError, deploy

    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    with handling_stop_signals(announce=False) as stop:
        try:
            deploy(args.model, options, stamp=stamp, stop=stop)
        except EndedError as error:
            log.failure(f"trainer: {error}")
            return INTERRUPTED
    return 0
