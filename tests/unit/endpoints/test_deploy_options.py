"""Options and names of deployments, sample requests, and waiting."""

import json

import pytest
from made_models import entry, graph, number, tensor

from trainer.config import UserError
from trainer.data.formats.protobuf import field
from trainer.endpoints.deploy_options import DeployOptions, checked_name, name_of_model, pairs
from trainer.endpoints.deploying import deploy
from trainer.endpoints.sample import sample_of
from trainer.endpoints.undeploy_options import UndeployOptions
from trainer.endpoints.waiting import EndedError, wait_until
from trainer.packaging import saved_model
from trainer.runtime import StopRequest


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"to": "docker", "serverless": True}, "--serverless: is for --to sagemaker only"),
        ({"to": "docker", "count": 2}, "--count: is for --to sagemaker and vertex only"),
        ({"batch": ("a",)}, "--batch a: expected INPUT OUTPUT"),
        ({"batch": ("a", "b"), "update": True}, "--batch, --update: give one of them"),
        ({"count": 4, "max_count": 2}, "--max-count 2: below --count 4"),
        ({"serverless": True, "instance_type": "ml.x"}, "has no machines"),
        ({"subnets": ("s",)}, "give both or neither"),
        ({"memory_mb": 1}, "--memory-mb 1: expected a number of 1024 to 6144"),
    ],
)
def test_options_that_do_not_fit_are_refused(given, words):
    with pytest.raises(UserError) as raised:
        DeployOptions(**{"to": "sagemaker", **given})
    assert words in str(raised.value)


def test_deploying_and_taking_down_need_a_place():
    with pytest.raises(UserError, match="--to: not given; say where: sagemaker, vertex, docker"):
        deploy("model", DeployOptions(), stamp="20260131-120000", stop=StopRequest())
    with pytest.raises(UserError, match="--to: not given"):
        UndeployOptions()


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("runs/mnist/model", "mnist"),
        ("runs/mnist/model/3", "mnist"),
        ("s3://bucket/My_Job.1/output/model.tar.gz", "my-job-1"),
        ("gs://bucket/2026/model/", "bucket"),
        ("net.keras", "net"),
        ("model", "model"),
        ("7th", "model-7th"),
        ("a" * 80, "a" * 46),
    ],
)
def test_an_endpoint_is_called_as_what_its_model_is_called(model, name):
    assert checked_name(name_of_model(model)) == name


@pytest.mark.parametrize("name", ["", "1a", "a_b", "a--b", "a-", "a" * 47])
def test_names_that_a_place_would_refuse_are_refused(name):
    with pytest.raises(UserError, match="expected a letter"):
        checked_name(name)


def test_pairs_without_a_value_are_refused_without_showing_it():
    assert pairs(("A=1=2",), "--env") == {"A": "1=2"}
    with pytest.raises(UserError, match="--env SECRET: expected NAME=VALUE"):
        pairs(("SECRET",), "--env")


def graph_of(**signatures):
    """A graph of signatures with inputs `{name: (dtype, shape)}`."""
    parts = [field(1, field(4, b"serve"))]
    for name, inputs in signatures.items():
        tensors = b"".join(field(1, entry(key, tensor(*value))) for key, value in inputs.items())
        parts.append(field(5, entry(name, tensors)))
    return saved_model.parse(number(1, 1) + field(2, b"".join(parts)), name="x")


@pytest.mark.parametrize(
    ("signatures", "document"),
    [
        ({"serving_default": {"x": (1, (-1, 2, 3))}}, {"instances": [[[0.0] * 3] * 2]}),
        ({"serving_default": {"x": (1, None)}}, {"instances": [0.0]}),
        ({"serving_default": {"x": (9, (-1,)), "y": (10, (-1, 1))}},
         {"instances": [{"x": 0, "y": [False]}]}),
        ({"serving_default": {"x": (1, (2,))}}, {"inputs": [0.0, 0.0]}),
        ({"serving_default": {"x": (7, (-1,))}}, {"instances": [""]}),
        ({"serving_default": {"x_bytes": (7, (-1,))}}, {"instances": [{"b64": ""}]}),
        ({"serving_default": {"x": (7, (-1,))}, "numbers": {"x": (3, (-1,))}},
         {"signature_name": "numbers", "instances": [0]}),
    ],
)  # fmt: skip
def test_a_sample_is_a_row_of_zeros_as_value_and_as_expression(signatures, document):
    sample = sample_of(graph_of(**signatures))
    assert sample.document == document
    assert eval(sample.expression) == document
    assert json.loads(json.dumps(sample.document)) == document


def test_the_names_in_an_expression_are_quoted():
    sample = sample_of(saved_model.parse(graph('a"]+[1'), name="x"))
    assert eval(sample.expression) == sample.document


def test_a_wait_ends_when_it_is_ready_stopped_or_out_of_time():
    states = iter(["Creating", "Creating", None])
    wait_until(lambda: next(states), "x", stop=StopRequest(), timeout=60, every=0.01, progress=0)
    with pytest.raises(UserError, match="still Creating after 0 s; look at its log"):
        wait_until(lambda: "Creating", "x", stop=StopRequest(), timeout=0, every=0.01)
    stop = StopRequest()
    stop.set()
    with pytest.raises(EndedError, match="stopped while it was Creating"):
        wait_until(lambda: "Creating", "x", stop=stop, timeout=60)
