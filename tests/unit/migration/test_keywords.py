"""The tables of arguments name flags, fields and machines that there are."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest
from containers import missing

from trainer.backends.registry import BACKENDS
from trainer.backends.submit_options import SubmitOptions
from trainer.config.hparams import Hparams
from trainer.config.job import Job
from trainer.config.options import flag_of, options_of
from trainer.endpoints.deploy_options import DeployOptions
from trainer.migration import (
    deploying,
    estimator,
    inputs,
    keywords,
    machines,
    model_trainer,
    resources,
    signatures,
    vertex_job,
)
from trainer.migration.keywords import CARRIED, KEYWORDS, RENAMED
from trainer.platforms.sagemaker.channels import FIELDS

ROOT = Path(__file__).parents[3]
PLACES = ("sagemaker", "vertex")


def fields(place: str) -> set[str]:
    return {*options_of(SubmitOptions), *options_of(BACKENDS[place].options)}


@pytest.mark.parametrize("keyword", CARRIED, ids=lambda each: each.name)
def test_each_argument_becomes_a_flag_of_its_place(keyword):
    assert keyword.option in fields("sagemaker")
    assert keyword.vertex is None or keyword.vertex in fields("vertex")


def test_each_argument_of_a_custom_job_becomes_a_flag_of_vertex():
    assert {*vertex_job.OPTIONS.values()} <= fields("vertex")


def test_no_argument_is_in_two_tables():
    assert {*KEYWORDS} & {*estimator.SPECIAL} == set()
    assert {*RENAMED} & {*KEYWORDS, *estimator.SPECIAL} == set()
    assert {*RENAMED.values()} <= {*KEYWORDS, *estimator.SPECIAL}


def test_each_remedy_names_flags_and_pages_that_there_are():
    known = {flag_of(name) for part in (Job, Hparams, DeployOptions) for name in options_of(part)}
    known |= {flag_of(name) for place in PLACES for name in fields(place)}
    known |= {"--import", "--hp", "--tune", "--trials", "--parallel", "--out", "--metric"}
    texts = [
        node.value
        for module in (estimator, inputs, deploying, model_trainer, resources, keywords)
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    text = "\n".join(texts)
    for flag in re.findall(r"--[a-z][a-z-]+", text):
        assert flag in {*known, "--cpu", "--memory", "--local"}, flag
    for page in re.findall(r"docs/[\w-]+\.md", text):
        assert (ROOT / page).is_file(), page


def test_the_channels_that_the_container_reads_are_the_ones_that_become_flags():
    read = {name.removeprefix("SM_CHANNEL_").lower(): field for name, field in FIELDS.items()}
    assert {**read, "model": "input"} == {**inputs.FIELDS, "input": "input"}


def test_deployments_become_flags_that_there_are():
    assert {*deploying.OPTIONS.values()} <= {*options_of(DeployOptions)}


def test_every_instance_with_gpus_has_a_machine_of_about_its_size():
    for name, (gpus, machine) in machines._GPUS.items():
        assert machines.gpus_of(name) == gpus
        assert machines.machine_like(name) == machine
        assert 0 < machine.gpus <= gpus


@pytest.mark.parametrize(
    ("instance", "machine"),
    [
        ("ml.m4.xlarge", "n1-standard-4"), ("ml.c5.9xlarge", "n1-highcpu-64"),
        ("ml.r5.large", "n1-highmem-2"), ("ml.t2.medium", "n1-standard-2"),
    ],
)  # fmt: skip
def test_a_processors_instance_has_a_machine_of_as_many(instance, machine):
    found = machines.machine_like(instance)
    assert found is not None
    assert (found.machine_type, found.gpus) == (machine, 0)


@pytest.mark.parametrize("instance", ["ml.trn1.32xlarge", "ml.x.y", "", "local", "ml.m5.10large"])
def test_no_machine_is_made_up(instance):
    assert machines.machine_like(instance) is None


@pytest.fixture(scope="module")
def sdk() -> Path:
    folders = [*(ROOT / ".venv-sdk2").glob("lib/python3*/site-packages/sagemaker")]
    if not folders:
        missing("needs .venv-sdk2: make setup-sdk")
    return folders[0]


def parameters(source: str, name: str) -> list[str]:
    """Return the parameters of a class's `__init__`, or of a method, in a file's text."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef) and node.name == name.partition(".")[0]:
            method = name.partition(".")[2] or "__init__"
            for each in node.body:
                if isinstance(each, ast.FunctionDef) and each.name == method:
                    return [arg.arg for arg in each.args.args[1:]]
    raise LookupError(name)


def test_every_argument_of_the_sdks_estimators_is_known(sdk):
    given = {
        *parameters((sdk / "estimator.py").read_text(), "Estimator"),
        *parameters((sdk / "estimator.py").read_text(), "Framework"),
        *parameters((sdk / "tensorflow/estimator.py").read_text(), "TensorFlow"),
        *parameters((sdk / "mxnet/estimator.py").read_text(), "MXNet"),
    }
    assert given - {*KEYWORDS, *estimator.SPECIAL} == set()


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("estimator.py", "Estimator"), ("tensorflow/estimator.py", "TensorFlow"),
        ("tuner.py", "HyperparameterTuner"), ("inputs.py", "TrainingInput"),
        ("instance_group.py", "InstanceGroup"), ("model.py", "Model"),
        ("tensorflow/model.py", "TensorFlowModel"), ("session.py", "Session"),
        ("parameter.py", "CategoricalParameter"), ("parameter.py", "ParameterRange"),
    ],
)  # fmt: skip
def test_arguments_by_position_are_those_of_the_sdk(sdk, file, name):
    wanted = parameters((sdk / file).read_text(), name)
    ours = signatures.POSITIONS["ContinuousParameter" if name == "ParameterRange" else name]
    assert [*ours] == wanted[: len(ours)]


@pytest.mark.parametrize("name", ["fit", "deploy", "transformer"])
def test_methods_take_what_those_of_the_sdk_take(sdk, name):
    wanted = parameters((sdk / "estimator.py").read_text(), f"EstimatorBase.{name}")
    assert [*signatures.METHODS[name]] == wanted[: len(signatures.METHODS[name])]
