"""The files under /opt/ml/input/config, which SageMaker writes for a container.

The sagemaker-training toolkit or the drivers of the SageMaker SDK's version 3 make the SM_
variables from them. Where neither has started the container, the toolkit is called here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from trainer.config import UserError
from trainer.platforms.base import Environment, expect, parse_json

CONFIG = "input/config"
HYPERPARAMETERS, CHANNELS, RESOURCES = (
    "hyperparameters.json",
    "inputdataconfig.json",
    "resourceconfig.json",
)
FILES = (HYPERPARAMETERS, CHANNELS, RESOURCES)
SIGNS = ("SM_MODEL_DIR", "SM_HOSTS", "SM_TRAINING_ENV")
# What SageMaker itself adds to the hyperparameters of a tuning job's trials.
TRIAL = "_tuning_objective_metric"
# Parameters that the SDKs send to the toolkit, not to the training.
RESERVED = ("sagemaker_", TRIAL, "default_user_module_name")
# Run in a process of its own, as the toolkit reads its paths when it is imported, and changes the
# environment.
TOOLKIT = """
import json
from sagemaker_training.environment import Environment
print(json.dumps(Environment().to_env_vars()))
"""
TOOLKIT_SECONDS = 60.0


def base_dir(environment: Environment) -> Path:
    """Return the folder that is /opt/ml on the service."""
    moved = environment.env.get("SAGEMAKER_BASE_DIR")
    return Path(moved) if moved else environment.path("/opt/ml")


def config_file(environment: Environment, name: str) -> Path:
    """Return the path of one of `FILES`, which need not exist."""
    return base_dir(environment) / CONFIG / name


def first_variable(environment: Environment) -> str | None:
    """Return the first variable that only a SageMaker job has, or None."""
    names = (name for name, value in environment.env.items() if value)
    return next((n for n in names if n in SIGNS or n.startswith("SM_CHANNEL_")), None)


def with_sm_variables(environment: Environment) -> Environment:
    """Return the environment with the SM_ variables, made by the toolkit if they are missing.

    Raises:
        UserError: One of the three files is missing or malformed, or the toolkit is missing.
    """
    if environment.env.get("SM_MODEL_DIR") and environment.env.get("SM_HOSTS"):
        return environment
    if first_variable(environment) and not config_file(environment, RESOURCES).exists():
        # On a plain machine, people try scripts for SageMaker with just a few variables set.
        return environment
    for name in FILES:
        expect(
            dict,
            read_file(config_file(environment, name)),
            where=str(config_file(environment, name)),
        )
    _check_resources(environment)
    # A variable that is set already overrides the toolkit's.
    return dataclasses.replace(
        environment, env={**_toolkit_variables(environment), **environment.env}
    )


def hyperparameters(environment: Environment) -> dict[str, Any]:
    """Return the hyperparameters, without those that the SDKs send to the toolkit.

    They are read from the file, which holds the strings as they were sent. In SM_HPS the toolkit
    has already turned text such as `1e5` into a number.

    Raises:
        UserError: The file or variable is malformed.
    """
    return {k: v for k, v in _sent(environment).items() if not k.startswith(RESERVED)}


def script_hyperparameters(environment: Environment) -> dict[str, Any]:
    """Return the hyperparameters of a user's script, as the toolkit parses them.

    In a tuning job every trial gets the same `model_dir`; as AWS's TensorFlow toolkit does, the
    trial's own name is appended, unless it is a folder of this container.

    Raises:
        UserError: The file or variable is malformed.
    """
    given = dict(expect(dict, environment.json("SM_HPS") or {}, where="SM_HPS"))
    folder, job = given.get("model_dir"), environment.env.get("TRAINING_JOB_NAME")
    if is_trial(environment) and job and folder and not str(folder).startswith("/opt/ml"):
        given["model_dir"] = f"{folder}/{job}/model"
    return given


def is_trial(environment: Environment) -> bool:
    """Return whether the job is a trial of a tuning job, to which SageMaker sends the figure."""
    return TRIAL in _sent(environment)


def framework_parameters(environment: Environment) -> dict[str, Any]:
    """Return the `sagemaker_*` hyperparameters: script mode and the switches of distribution.

    Raises:
        UserError: The file or variable is malformed.
    """
    variable = "SM_FRAMEWORK_PARAMS"
    found: dict[str, Any] = dict(expect(dict, environment.json(variable) or {}, where=variable))
    for key, value in _sent(environment).items():
        if key.startswith("sagemaker_"):
            try:
                found[key] = json.loads(value)
            except (TypeError, ValueError):
                found[key] = value
    return found


def read_file(path: Path) -> Any:
    """Read a file that holds JSON, or raise a UserError that names it."""
    try:
        return parse_json(path.read_text(encoding="utf-8"), where=str(path))
    except OSError as error:
        raise UserError(
            subject=path,
            problem=f"cannot be read: {error.strerror}",
            remedy="SageMaker writes it before it starts the container",
        ) from None
    except UnicodeDecodeError:
        raise UserError(
            subject=path,
            problem="expected JSON, found bytes that are no text",
        ) from None


def _sent(environment: Environment) -> dict[str, Any]:
    file = config_file(environment, HYPERPARAMETERS)
    if file.exists():
        return expect(dict, read_file(file), where=str(file))
    return expect(dict, environment.json("SM_HPS") or {}, where="SM_HPS")


def _check_resources(environment: Environment) -> None:
    """Raise unless the toolkit will find the hosts in their file."""
    path = config_file(environment, RESOURCES)
    found = read_file(path)
    hosts = expect(list, found.get("hosts"), where=f"{path}: hosts")
    current = expect(str, found.get("current_host"), where=f"{path}: current_host")
    if current not in hosts:
        raise UserError(
            subject=path,
            problem=f"current_host {current!r} is not in its own list of hosts, "
            f"{', '.join(map(str, hosts))}",
        )


def _toolkit_variables(environment: Environment) -> dict[str, str]:
    base = base_dir(environment)
    # The toolkit makes this folder when it is imported; it is removed again, as user code would
    # take it for its own.
    code = base / "code"
    made = not code.exists()
    try:
        ran = subprocess.run(
            # -P: not from the current folder, where the user may have modules of the same names.
            [sys.executable, "-P", "-c", TOOLKIT],
            env={**environment.env, "SAGEMAKER_BASE_DIR": str(base)},
            capture_output=True,
            text=True,
            timeout=TOOLKIT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UserError(
            subject=f"{base / CONFIG}",
            problem="the sagemaker-training toolkit took more than "
            f"{TOOLKIT_SECONDS:g} s to read it",
            remedy="does nvidia-smi answer?",
        ) from None
    finally:
        if made:
            with contextlib.suppress(OSError):
                code.rmdir()
    if ran.returncode:
        last = (ran.stderr.strip().splitlines() or ["no message"])[-1]
        hint = "; pip install sagemaker-training" if "No module named" in last else ""
        raise UserError(
            subject=f"{base / CONFIG}",
            problem=f"the sagemaker-training toolkit cannot read it: {last}{hint}",
        )
    # The toolkit may log lines before.
    variables = json.loads(ran.stdout.splitlines()[-1])
    return {name: str(value) for name, value in variables.items()}
