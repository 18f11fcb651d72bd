"""The containers of a SageMaker job: their variables, files below /opt/ml, and command.

Source: "How Amazon SageMaker Provides Training Information" in the developer guide.
"""

from __future__ import annotations

import json
from typing import Any

from trainer.platforms.container_start import ContainerStart
from trainer.platforms.sagemaker.files import CHANNELS, CONFIG, HYPERPARAMETERS, RESOURCES
from trainer.platforms.sagemaker.request import CHECKPOINTS, TrainingRequest

ML = "/opt/ml"
# What the toolkit calls the only group of a job that names none.
ONE_GROUP = "homogeneousCluster"


def container_starts(request: TrainingRequest) -> list[ContainerStart]:
    """Return what the containers are started with, in the order of the hosts' ranks."""
    return [container_start(request, index) for index in range(request.hosts)]


def container_start(request: TrainingRequest, index: int) -> ContainerStart:
    """Return what the container of one host is started with.

    Args:
        request: The job.
        index: The number of the host among the names of all, which SageMaker sorts as text.
    """
    region = request.options.region or "us-east-1"
    groups = _groups(request)
    hosts = sorted(host for _, _, members in groups for host in members)
    current = hosts[index]
    group, kind = next((g, k) for g, k, members in groups if current in members)
    contents: dict[str, Any] = {
        HYPERPARAMETERS: dict(request.hyperparameters),
        CHANNELS: {each.name: _settings(request, each.sharded) for each in request.channels},
        RESOURCES: {
            "current_host": current,
            "current_instance_type": kind,
            "current_group_name": group,
            "hosts": hosts,
            "instance_groups": [
                {"instance_group_name": g, "instance_type": k, "hosts": sorted(members)}
                for g, k, members in groups
            ],
            "network_interface_name": "eth0",
        },
    }
    if request.checkpoints:
        contents["checkpointconfig.json"] = {
            "S3Uri": request.checkpoints, "LocalPath": CHECKPOINTS,
        }  # fmt: skip
    outputs = {f"{ML}/model": "model", f"{ML}/output": "output"}
    folders = [f"{ML}/model", f"{ML}/output/data", *(each.folder for each in request.channels)]
    if request.checkpoints:
        folders.append(CHECKPOINTS)
        outputs[CHECKPOINTS] = "checkpoints"
    return ContainerStart(
        name=current,
        env={
            "TRAINING_JOB_NAME": request.name,
            "TRAINING_JOB_ARN": f"arn:aws:sagemaker:{region}:000000000000:"
            f"training-job/{request.name}",
            "AWS_REGION": region,
            **request.env,
        },
        files={f"{ML}/{CONFIG}/{n}": json.dumps(c, indent=2) for n, c in contents.items()},
        folders=tuple(folders),
        inputs={each.folder: each.uri for each in request.channels},
        sharded=tuple(each.folder for each in request.channels if each.sharded),
        outputs=outputs,
        argv=("train",),
    )


def _groups(request: TrainingRequest) -> list[tuple[str, str, list[str]]]:
    """Return the groups of instances: name, type, and the names of their hosts."""
    found: list[tuple[str, str, list[str]]] = []
    groups = request.options.groups or ((ONE_GROUP, request.options.instance_type, request.hosts),)
    number = 0
    for name, kind, count in groups:
        found.append((name, kind, [f"algo-{n + 1}" for n in range(number, number + count)]))
        number += count
    return found


def _settings(request: TrainingRequest, sharded: bool) -> dict[str, str]:
    return {
        "ContentType": "application/octet-stream",
        "TrainingInputMode": request.options.input_mode,
        "S3DistributionType": "ShardedByS3Key" if sharded else "FullyReplicated",
        "RecordWrapperType": "None",
    }
