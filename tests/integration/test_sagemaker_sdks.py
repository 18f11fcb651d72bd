"""The code that `trainer submit --print` writes, executed by the SDKs against a server."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aws_server import AwsServer, aws_server, make_role
from containers import missing
from sagemaker_jobs import COMMON, ROLE, request

from trainer.backends.backend import Tuning
from trainer.backends.sagemaker.python_v2 import estimator_code, tuner_code
from trainer.backends.sagemaker.python_v3 import model_trainer_code
from trainer.backends.sagemaker.tuning import tuning_request
from trainer.config.flags import job_from_flags
from trainer.platforms.sagemaker.options import SageMakerOptions
from trainer.platforms.sagemaker.request import TrainingRequest
from trainer.platforms.submission import Submission
from trainer.sweep.space import read_space

ROOT = Path(__file__).parents[2]
FLAGS: dict[str, Any] = {
    "train": ("s3://bucket/train/", "s3://bucket/more/*.csv"), "test": ("s3://bucket/test/",),
    "shard_by": "host", "learning_rate": 1e-05, "log_dir": "logs", "module": "mine.models",
    "hp": (("text", "it's \"quoted\"\n\\ é"), ("null", "null")), "distribution": "horovod",
}  # fmt: skip
ALL: dict[str, Any] = {
    "spot": True, "max_wait": 9000, "max_seconds": 3600, "volume_size": 50,
    "input_mode": "FastFile",
    "tags": {"team": "vision & co"}, "env": {"LEVEL": "it's"}, "subnets": ("subnet-1",),
    "security_groups": ("sg-1",), "attempts": 3, "network_isolation": True,
    "encrypt_traffic": True, "output_kms_key": "alias/out", "volume_kms_key": "alias/volume",
    "region": "eu-central-1",
}  # fmt: skip
CASES = {
    "plain": ({}, {}, 1),
    "all": (FLAGS, ALL, 2),
    "groups": (FLAGS, {"instance_groups": ("a=ml.m5.xlarge:1", "b=ml.m5.large:2")}, 1),
    "warm": ({}, {"keep_alive": 600, "instance_type": "ml.m5.large"}, 3),
}


def requested(case: str) -> TrainingRequest:
    flags, settings, hosts = CASES[case]
    return request(flags, image="1.dkr.ecr.eu-central-1.amazonaws.com/x:1", hosts=hosts, **settings)


@pytest.fixture(scope="module")
def aws() -> Iterator[AwsServer]:
    pytest.importorskip("moto.server")
    with aws_server() as server:
        # Moto simulates no policies; the SDK's version 3 goes on where it may not ask.
        server.fail("SimulatePrincipalPolicy", "AccessDenied", "not allowed", status=403)
        make_role(server)
        yield server


def executed(
    code: str, version: int, aws: AwsServer, home: Path, call: str = "CreateTrainingJob"
) -> dict[str, Any]:
    """Run the code with an SDK, and return the request that has reached the server."""
    python = ROOT / f".venv-sdk{version}/bin/python"
    if not python.exists():
        missing(f"needs {python.parent.parent.name}: make setup-sdk")
    script = home / "submit.py"
    script.write_text(code)
    aws.calls.clear()
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    ran = subprocess.run(
        [python, script], env={**kept, **aws.environment, "HOME": str(home)}, cwd=home,
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    (sent,) = aws.made(call)
    return sent


def compare_switches(sent: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Compare, and take away, what the SDK leaves out where it is off."""
    for name in (
        "EnableNetworkIsolation", "EnableInterContainerTrafficEncryption",
        "EnableManagedSpotTraining",
    ):  # fmt: skip
        assert bool(sent.pop(name, False)) is wanted.pop(name)


@pytest.mark.slow
@pytest.mark.parametrize("case", [*CASES])
def test_version_2_sends_the_same_request(case, aws, tmp_path):
    asked = requested(case)
    sent = executed(estimator_code(asked), 2, aws, tmp_path)
    wanted = asked.body()
    compare_switches(sent, wanted)
    # The SDK asks for no profile by a word of its own.
    assert sent.pop("ProfilerConfig", {"DisableProfiler": True}) == {"DisableProfiler": True}
    assert sent == wanted


@pytest.mark.slow
@pytest.mark.parametrize("case", [*CASES])
def test_version_3_sends_the_same_request(case, aws, tmp_path):
    asked = requested(case)
    sent = executed(model_trainer_code(asked), 3, aws, tmp_path)
    wanted = asked.body()
    assert sent.pop("TrainingJobName").startswith("job-1-")
    wanted.pop("TrainingJobName")
    # The SDK sends an empty map, and spells out the service's own default.
    assert sent.pop("HyperParameters") == wanted.pop("HyperParameters", {})
    assert sent["OutputDataConfig"].pop("CompressionType") == "GZIP"
    assert sent == wanted


SEARCHED = {
    "learning_rate": "0.001..0.1:log", "dropout": "0..0.5", "batch_size": "32..256",
    "optimizer": "adam,sgd",
}  # fmt: skip


@pytest.mark.slow
def test_version_2_sends_the_same_search(aws, tmp_path):
    flags, settings = CASES["all"][0], {**ALL}
    own = {name: settings.pop(name) for name in [*settings] if name in COMMON}
    submission = Submission(
        job=job_from_flags(flags), given=frozenset(flags), name="search-1", hosts=2,
        image="1.dkr.ecr.eu-central-1.amazonaws.com/x:1", output="s3://bucket/out", **own,
    )  # fmt: skip
    tuning = Tuning(space=read_space(SEARCHED), trials=6, parallel=3)
    asked = tuning_request(submission, SageMakerOptions(role=ROLE, **settings), tuning)
    call = "CreateHyperParameterTuningJob"
    sent, wanted = executed(tuner_code(asked), 2, aws, tmp_path, call), asked.body()
    compare_switches(sent["TrainingJobDefinition"], wanted["TrainingJobDefinition"])
    trial, other = sent.pop("TrainingJobDefinition"), wanted.pop("TrainingJobDefinition")
    # The SDK sends the instances in the form that also takes several kinds of them.
    trial["ResourceConfig"] = trial.pop("HyperParameterTuningResourceConfig")
    assert trial == other
    assert sent == wanted
