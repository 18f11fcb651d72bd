"""A job -> the code that `trainer submit --print` writes -> `trainer migrate` -> the same job."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings, strategies as st
from sagemaker_jobs import any_flags, request

from trainer.backends.backend import Tuning
from trainer.backends.registry import BACKENDS
from trainer.backends.sagemaker.python_v2 import estimator_code, tuner_code
from trainer.backends.sagemaker.python_v3 import model_trainer_code
from trainer.backends.sagemaker.tuning import TuningRequest, tuning_request
from trainer.backends.submission import make_submission
from trainer.backends.submit_options import SubmitOptions
from trainer.cli import submit
from trainer.cli.command_line import make_parser
from trainer.config.errors import UserError
from trainer.config.flags import job_from_flags
from trainer.config.team import TeamSettings, resolve_options
from trainer.distribution import spec_named
from trainer.migration.commands import ShellCommand
from trainer.migration.conversion import migrate
from trainer.migration.rendering import plain_words
from trainer.platforms.google.options import VertexOptions
from trainer.platforms.sagemaker.options import SageMakerOptions
from trainer.platforms.sagemaker.request import TrainingRequest
from trainer.platforms.submission import Submission
from trainer.runtime.secrets.mask import masked_environment
from trainer.sweep.space import read_space

ROLE = "arn:aws:iam::123456789012:role/Trains"
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)


@st.composite
def any_asked(draw: st.DrawFn, *, version: int = 2) -> TrainingRequest:
    """Return the request of a job that `trainer submit` would send."""
    flags, own, hosts = draw(any_flags()), draw(any_settings()), draw(st.integers(1, 12))
    if hosts > 1 and spec_named(flags.get("distribution", "mirrored")).single_process:
        # It has no work for the others.
        flags["distribution"] = "horovod"
    if version == 3:
        own["experiment"] = None
    job = job_from_flags(flags)
    pairs = [dict(job.hparams.hp), own["env"], own["tags"]]
    # Their values are not printed.
    assume(all(masked_environment(each) == each for each in pairs))
    return request(flags, hosts=hosts, **own)


@st.composite
def any_settings(draw: st.DrawFn) -> dict[str, Any]:
    """Return settings of a job at SageMaker that suit each other."""
    found: dict[str, Any] = {
        "image": draw(st.sampled_from(["trainer:gpu", "1.dkr/x@sha256:ab", "a b"])),
        "output": draw(st.sampled_from(["s3://bucket/out", "s3://bucket", "s3://b/it's/x"])),
        "tags": draw(st.dictionaries(names, texts.filter(bool), max_size=3)),
        "env": draw(st.dictionaries(names.map(lambda n: f"N_{n}"), texts, max_size=3)),
        "volume_size": draw(st.integers(1, 16384)),
        "max_seconds": draw(st.none() | st.integers(1, 400_000)),
        "input_mode": draw(st.sampled_from(["File", "FastFile"])),
        "region": draw(st.sampled_from([None, "eu-west-1"])),
        "attempts": draw(st.none() | st.integers(1, 30)),
        "network_isolation": draw(st.booleans()), "encrypt_traffic": draw(st.booleans()),
        "experiment": draw(st.sampled_from([None, "mnist-1"])),
        "volume_kms_key": draw(st.sampled_from([None, "alias/volume"])),
        "output_kms_key": draw(st.sampled_from([None, "arn:aws:kms:x:1:key/2"])),
    }  # fmt: skip
    if draw(st.booleans()):
        found |= {"subnets": ("subnet-1", "subnet-2"), "security_groups": ("sg-1",)}
    if draw(st.booleans()):
        found |= {"spot": True, "max_wait": draw(st.none() | st.just(500_000))}
    elif draw(st.booleans()):
        found["keep_alive"] = draw(st.integers(1, 21600))
    return found


def migrated(code: str) -> Any:
    """Return the request of the one command that a script becomes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "submit.py")
        path.write_text(code, encoding="utf-8")
        found = migrate(path)
    (command,) = found.commands
    assert [note for note in found.notes if note.name not in ALWAYS] == []
    return requested(command)


# What the SDK's code says besides, and is the trainer's own.
ALWAYS = {"metric_definitions", "debugger_hook_config", "checkpoint_local_path", "image_uri"}


def requested(command: ShellCommand) -> Any:
    argv = plain_words(command)
    args = make_parser(argv=argv).parse_args(argv)
    backend = BACKENDS[args.to]
    common, own = (
        resolve_options(kind, table=table, flags=vars(args), env={}, team=TeamSettings()).value
        for kind, table in ((SubmitOptions, ""), (backend.options, args.to))
    )
    submission = make_submission(backend, common, submit.train_flags(args.passed_on), {})
    return submit.request_of(backend, submission, own, submit.tuning_of(args, submission))


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(asked=any_asked())
def test_an_estimator_becomes_the_command_of_the_same_job(asked):
    assert migrated(estimator_code(asked)).body() == asked.body()


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(asked=any_asked(version=3))
def test_a_model_trainer_of_version_3_becomes_the_command_of_the_same_job(asked):
    found, wanted = migrated(model_trainer_code(asked)).body(), asked.body()
    # The SDK adds the time to the name.
    assert found.pop("TrainingJobName").startswith("job-1-")
    wanted.pop("TrainingJobName")
    assert repr(found).replace(found_name(found), "NAME") == repr(wanted).replace("job-1/", "NAME/")


def found_name(body: dict[str, Any]) -> str:
    return body.get("TensorBoardOutputConfig", {}).get("S3OutputPath", "/job-1/-").split("/")[-2]


@pytest.mark.parametrize("groups", [("a=ml.m5.xlarge:1", "b=ml.m5.large:2"), ("a=ml.g5.xlarge:4",)])
def test_instances_of_several_kinds_arrive(groups):
    asked = request({}, instance_groups=groups)
    assert migrated(estimator_code(asked)).body() == asked.body()


SPACES = [
    {"learning_rate": "0.001..0.1:log", "batch_size": "32,64"},
    {"dropout": "0..0.5", "batch_size": "32..256", "optimizer": "adam,sgd"},
    {"module": "mine", "hp": (("units", "8..64"), ("kind", "a,b"))},
]


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("metric", [None, "loss:min", "top_5:max"])
def test_a_tuner_becomes_the_command_of_the_same_search(space, metric):
    flags: dict[str, Any] = {"steps": 10, "train": ("s3://b/x",)}
    flags |= {"module": "mine"} if "module" in space else {}
    flags |= {"metric": metric} if metric else {}
    submission = Submission(
        job=job_from_flags(flags), given=frozenset(flags), name="search-1", image="trainer:gpu",
        output="s3://bucket/out",
    )  # fmt: skip
    tuning = Tuning(space=read_space(space), trials=7, parallel=3)
    asked: TuningRequest = tuning_request(submission, SageMakerOptions(role=ROLE), tuning)
    assert migrated(tuner_code(asked)).body() == asked.body()


VERTEX: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({}, {}, {}),
    ({"steps": 5, "train": ("gs://b/x",), "hp": (("a", "it's"),), "module": "mine"},
     {"hosts": 3, "spot": True, "max_time": "2h", "env": ("A=b c",), "tags": ("t=v",)},
     {"accelerator_type": "NVIDIA_TESLA_T4", "boot_disk_gb": 200, "service_account": "x@y",
      "network": "projects/1/global/networks/n", "web_access": True, "disable_retries": True,
      "kms_key": "projects/P/locations/L/keyRings/R/cryptoKeys/K"}),
    ({"distribution": "parameter_server"},
     {"hosts": 2, "parameter_servers": 2, "evaluators": 1},
     {"server_machine_type": None, "restart_on_worker_restart": False}),
    ({"learning_rate": 1e-05}, {}, {"strategy": "flex-start", "max_wait": 7200,
     "accelerator_type": "NVIDIA_L4", "machine_type": "g2-standard-8", "accelerator_count": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("flags", "common", "own"), VERTEX)
def test_a_custom_job_of_vertex_becomes_the_command_of_the_same_job(flags, common, own):
    backend = BACKENDS["vertex"]
    options = SubmitOptions(image="trainer:gpu", name="job-1", output="gs://bucket/out", **common)
    submission = make_submission(backend, options, flags, {})
    place = VertexOptions(project="p", region="europe-west4", **own)
    asked = backend.request(submission, place)
    assert migrated(backend.forms["python"](asked)).body == asked.body


def test_what_is_no_job_is_not_taken_for_one():
    with pytest.raises(UserError, match="makes no estimator"):
        migrated("import tensorflow as tf\ntf.estimator.Estimator(model_fn=f)\n")
