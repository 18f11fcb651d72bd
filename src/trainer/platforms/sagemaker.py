"""SageMaker training jobs.

What the service itself gives a container are files under /opt/ml/input/config and the job's name;
the SM_ variables are made from these by the sagemaker-training toolkit, or by the drivers of the
SageMaker SDK's version 3. Contracts: "How Amazon SageMaker Processes Training" in the SageMaker
developer guide; `to_env_vars` of the toolkit.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainer.cluster import Cluster
from trainer.errors import UserError
from trainer.platforms.base import Reading, Seen, expect, parse_json

NAME = "sagemaker"
NAMES: dict[str, str] = {
    "SM_CHANNEL_TRAIN": "train",
    "SM_CHANNEL_TRAINING": "train",
    "SM_CHANNEL_TEST": "test",
    "SM_CHANNEL_TESTING": "test",
    "SM_CHANNEL_EVAL": "test",
    "SM_CHANNEL_EVALUATION": "test",
    "SM_CHANNEL_VALIDATION": "test",
    "SM_MODEL_DIR": "model_dir",
    "SM_OUTPUT_DATA_DIR": "output_dir",
    "/opt/ml/checkpoints": "checkpoint_dir",
    "/opt/ml/output/failure": "failure_file",
    "SM_HOSTS": "cluster",
    "SM_CURRENT_HOST": "cluster",
    "SM_NETWORK_INTERFACE_NAME": "cluster",
    "SM_RESOURCE_CONFIG": "cluster",
    "SM_DISTRIBUTION_INSTANCE_GROUPS": "cluster",
}
CONFIG = "input/config"
FILES = ("hyperparameters.json", "inputdataconfig.json", "resourceconfig.json")
# What the SDKs and the toolkit say to each other; no flags.
RESERVED = ("sagemaker_", "_tuning_objective_metric", "default_user_module_name")
# SageMaker kills 120 s after SIGTERM; what is uploaded then is what was written before.
GRACE = 110.0
TOOLKIT_SECONDS = 60.0


def detect(seen: Seen) -> str | None:
    """The first sign of a SageMaker job: an SM_ variable, the job's name, or its files."""
    for name in ("SM_MODEL_DIR", "SM_HOSTS", "TRAINING_JOB_NAME", "SM_TRAINING_ENV"):
        if seen.env.get(name):
            return f"{name} is set"
    config = base_dir(seen) / CONFIG / "resourceconfig.json"
    return f"{config} is there" if config.exists() else None


def base_dir(seen: Seen) -> Path:
    """The folder that is /opt/ml on the service."""
    moved = seen.env.get("SAGEMAKER_BASE_DIR")
    return Path(moved) if moved else seen.path("/opt/ml")


def view(seen: Seen) -> dict[str, str]:
    """The environment with the SM_ variables, made by the toolkit if they are not there yet.

    Raises:
        UserError: One of the three files is malformed, or the toolkit is missing.
    """
    env = dict(seen.env)
    if env.get("SM_MODEL_DIR") and env.get("SM_HOSTS"):
        return env
    config = base_dir(seen) / CONFIG
    for name in FILES:
        _read_file(config / name)
    # The toolkit reads its paths when it is imported, and changes the environment: in a process of
    # its own it disturbs nothing.
    code = (
        "import json; from sagemaker_training.environment import Environment; "
        "print(json.dumps(Environment().to_env_vars()))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env=env | {"SAGEMAKER_BASE_DIR": str(base_dir(seen))},
        capture_output=True,
        text=True,
        timeout=TOOLKIT_SECONDS,
        check=False,
    )
    if ran.returncode:
        last = (ran.stderr.strip().splitlines() or ["no message"])[-1]
        hint = ": pip install 'trainer[sagemaker]'" if "No module named" in last else ""
        raise UserError(f"{config}: the sagemaker-training toolkit cannot read it: {last}{hint}")
    made = json.loads(ran.stdout.splitlines()[-1])
    return {**{k: str(v) for k, v in made.items()}, **env}


def read(seen: Seen) -> Reading:
    """Read the SM_ variables, and the hyperparameters as they were sent.

    Raises:
        UserError: A variable or file is malformed, a host is not in its own list, or no channel
            is for training.
    """
    env = view(seen)
    seen = Seen(env=env, argv=seen.argv, root=seen.root)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for key, value in hyperparameters(seen).items():
        values[key], sources[key] = value, f"hyperparameter {key}"
    notes = []
    if "model_dir" in values and not str(values["model_dir"]).startswith(str(base_dir(seen))):
        # The SDK's TensorFlow estimator always sends one: where TF1 Estimators kept checkpoints.
        notes.append(
            f"model_dir={values['model_dir']}: set aside, as SageMaker collects the model from "
            f"{env.get('SM_MODEL_DIR')}"
        )
    values.pop("model_dir", None)
    for name, field in NAMES.items():
        if name.startswith("SM_") and field != "cluster" and env.get(name) and field not in values:
            given = field in ("train", "test")
            values[field] = (_channel(env[name], name),) if given else env[name]
            sources[field] = name
    _check_channels(env, values)
    checkpoints = base_dir(seen) / "checkpoints"
    if checkpoints.is_dir() and "checkpoint_dir" not in values:
        values["checkpoint_dir"] = str(checkpoints)
        sources["checkpoint_dir"] = str(checkpoints)
    return Reading(
        values=values,
        sources=sources,
        cluster=read_cluster(seen),
        stopped_code=0,
        grace=GRACE,
        failure_file=str(base_dir(seen) / "output/failure"),
        notes=tuple(notes),
    )


def hyperparameters(seen: Seen) -> dict[str, Any]:
    """The hyperparameters, without those that the SDKs and the toolkit say to each other.

    The file has them as they were sent, all strings, quoted or not: better than SM_HPS, where the
    text `1e5` has become a number whatever it is meant for.
    """
    file = base_dir(seen) / CONFIG / "hyperparameters.json"
    raw = _read_file(file) if file.exists() else seen.json("SM_HPS") or {}
    expect(dict, raw, where=str(file) if file.exists() else "SM_HPS")
    return {k: v for k, v in raw.items() if not k.startswith(RESERVED)}


def framework_parameters(seen: Seen) -> dict[str, Any]:
    """The `sagemaker_*` hyperparameters: script mode and the switches of distribution."""
    file = base_dir(seen) / CONFIG / "hyperparameters.json"
    found = dict(seen.json("SM_FRAMEWORK_PARAMS") or {})
    for key, value in (_read_file(file) if file.exists() else {}).items():
        if key.startswith("sagemaker_"):
            try:
                found[key] = json.loads(value)
            except (TypeError, ValueError):
                found[key] = value
    return found


def read_cluster(seen: Seen) -> Cluster:
    """The hosts, the first of them the chief.

    Raises:
        UserError: The variables are malformed, or this host is not in the list.
    """
    hosts = expect(list, seen.json("SM_HOSTS") or [], where="SM_HOSTS")
    current = seen.env.get("SM_CURRENT_HOST", "")
    groups = seen.json("SM_DISTRIBUTION_INSTANCE_GROUPS") or []
    config = expect(dict, seen.json("SM_RESOURCE_CONFIG") or {}, where="SM_RESOURCE_CONFIG")
    members = [
        host
        for group in config.get("instance_groups", [])
        if group.get("instance_group_name") in groups
        for host in group.get("hosts", [])
    ]
    # Only some groups of a heterogeneous cluster may take part in training.
    hosts = [host for host in hosts if host in members] if members else hosts
    if hosts and current not in hosts:
        raise UserError(
            f"SM_CURRENT_HOST={current}: is not in its own list of hosts, {', '.join(hosts)}"
        )
    if not hosts:
        return Cluster()
    rank = hosts.index(current)
    return Cluster(
        chief=(hosts[0],),
        worker=tuple(hosts[1:]),
        role="worker" if rank else "chief",
        index=max(0, rank - 1),
        interface=_interface(seen),
    )


def _interface(seen: Seen) -> str | None:
    """The network interface, if there is one of that name.

    The SDK's version 3 announces `ethwe` in local mode, which docker networks do not have.
    """
    name = seen.env.get("SM_NETWORK_INTERFACE_NAME", "")
    return name if name and seen.path(f"/sys/class/net/{name}").exists() else None


def _channel(folder: str, name: str) -> str:
    path = Path(folder)
    if path.is_dir() and not any(path.iterdir()):
        raise UserError(f"{name}={folder}: the channel is empty; check its S3 address")
    return folder


def _check_channels(env: Mapping[str, str], values: Mapping[str, Any]) -> None:
    channels = [n.removeprefix("SM_CHANNEL_").lower() for n in env if n.startswith("SM_CHANNEL_")]
    data = [name for name in channels if name not in ("code", "sm_drivers")]
    if data and not values.get("train"):
        raise UserError(
            f"SM_CHANNELS: none of {', '.join(sorted(data))} is for training; "
            "name a channel train or training"
        )


def _read_file(path: Path) -> Any:
    try:
        return parse_json(path.read_text(), where=str(path))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
