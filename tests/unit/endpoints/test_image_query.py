"""The uris of AWS's images, compared with those of the SDK itself where it is installed."""

import json
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from trainer.cli import command_line
from trainer.config import UserError, options_of
from trainer.endpoints.image_query import ImageQuery, image_uri
from trainer.endpoints.image_tables import dns_suffix, find_tables, frameworks_in

ROOT = Path(__file__).parents[3]
TABLE = {
    "inference": {
        "processors": ["cpu", "gpu"],
        "version_aliases": {"2.9": "2.9.1", "2.10": "2.10.0"},
        "versions": {
            "2.9.1": {"registries": {"eu-west-1": "1"}, "repository": "net-inference"},
            "2.10.0": {"registries": {"eu-west-1": "2"}, "repository": "net-inference",
                       "py_versions": ["py310", "py312"]},
        },
    },
    "training": {"versions": {"1": {"registries": {"cn-north-1": "3"}, "repository": "net"}}},
}  # fmt: skip


@pytest.fixture
def tables(tmp_path):
    (tmp_path / "image_uri_config").mkdir()
    for name in "tensorflow", "net":
        (tmp_path / f"image_uri_config/{name}.json").write_text(json.dumps(TABLE))
    return find_tables(str(tmp_path))


def found(tables, **query):
    return image_uri(tables, "net", ImageQuery(region="eu-west-1", **query)).partition("/")[2]


def test_a_version_an_alias_and_the_newest_are_found(tables):
    assert found(tables, scope="inference", version="2.9") == "net-inference:2.9-cpu"
    assert found(tables, scope="inference", version="2.9.1", instance_type="ml.g5.xlarge") == (
        "net-inference:2.9.1-gpu"
    )
    assert found(tables, scope="inference", py="py312") == "net-inference:2.10.0-cpu-py312"


def test_a_region_of_another_partition_has_its_own_host(tables):
    uri = image_uri(tables, "net", ImageQuery(region="cn-north-1"))
    assert uri.startswith("3.dkr.ecr.cn-north-1.")
    assert uri.endswith(".cn/net:1")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"scope": "inference", "version": "9"}, "net has 2.9, 2.9.1, 2.10, 2.10.0"),
        ({"scope": "inference"}, "--py: expected one of py310, py312"),
        ({"scope": "eia"}, "expected one of inference, training"),
        ({"scope": "inference", "version": "2.9", "instance_type": "m5"}, "such as ml.m5.large"),
        ({"scope": "inference", "version": "2.9", "instance_type": "ml.inf1.large"}, "cpu, gpu"),
        ({}, "--region eu-west-1: expected one of cn-north-1"),
    ],
)
def test_what_is_not_there_is_named_with_what_is(tables, query, words):
    with pytest.raises(UserError) as raised:
        found(tables, **query)
    assert words in str(raised.value)


def test_the_verb_prints_an_image_or_the_names_of_all(tables, capsys):
    argv = ["image-uri", "net", "--scope", "inference", "--version", "2.9", "--region", "eu-west-1"]
    assert command_line.main([*argv, "--tables", str(tables)]) == 0
    assert capsys.readouterr().out.endswith("/net-inference:2.9-cpu\n")
    assert command_line.main(["image-uri", "--tables", str(tables.parent)]) == 0
    assert capsys.readouterr().out == "net\ntensorflow\n"
    assert command_line.main(["image-uri", "nett", "--tables", str(tables)]) == 2
    assert "did you mean net?" in capsys.readouterr().err


@pytest.mark.skipif(find_spec("sagemaker") is not None, reason="the SDK is installed")
def test_without_the_sdk_the_error_says_what_to_install():
    with pytest.raises(UserError, match="the package sagemaker, which is missing; pip install"):
        find_tables()


def test_a_region_that_is_not_there_and_other_rules_are_refused(tables):
    with pytest.raises(UserError, match="there is no such region"):
        dns_suffix("mars-1")
    (tables / "huggingface.json").write_text("{}")
    with pytest.raises(UserError, match="need more than the tables hold"):
        image_uri(tables, "huggingface", ImageQuery())


def test_a_folder_without_tables_is_refused(tmp_path):
    with pytest.raises(UserError, match="has no tables"):
        find_tables(str(tmp_path))


SCOPES = options_of(ImageQuery)["scope"].choices
COMPARE = """
import functools, json, logging, sys
logging.disable()
try:
    from sagemaker import image_uris
except ImportError:
    from sagemaker.core import image_uris
image_uris.utils._botocore_resolver = functools.cache(image_uris.utils._botocore_resolver)
image_uris.config_for_framework = functools.cache(image_uris.config_for_framework)
asked = json.load(sys.stdin)
answers = []
for framework, region, version, py, instance, scope in asked:
    try:
        answers.append(image_uris.retrieve(
            framework, region, version=version, py_version=py, instance_type=instance,
            image_scope=scope))
    except Exception:
        answers.append(None)
json.dump(answers, sys.stdout)
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [2, 3])
def test_all_images_are_those_that_the_sdk_finds(number):
    venv = ROOT / f".venv-sdk{number}"
    if not (venv / "bin/python").exists():
        pytest.skip(f"needs SageMaker's SDK {number}: make {venv.name}/.installed")
    tables = find_tables(str(next(venv.glob("lib/python3*/site-packages"))))
    asked = list(_questions(tables))
    ran = subprocess.run(
        [venv / "bin/python", "-c", COMPARE], input=json.dumps(asked), capture_output=True,
        text=True, check=True, timeout=300,
    )  # fmt: skip
    compared, other = 0, []
    for question, expected in zip(asked, json.loads(ran.stdout), strict=True):
        framework, region, version, py, instance, scope = question
        query = ImageQuery(
            region=region, version=version, py=py, instance_type=instance, scope=scope
        )
        try:
            answer = image_uri(tables, framework, query)
        except UserError:
            # The SDK itself may find an image for what the tables do not promise.
            continue
        if expected is not None:
            compared += 1
            other += [] if answer == expected else [(question, answer, expected)]
    assert other == []
    assert compared > 300


def _questions(tables):
    for framework in frameworks_in(tables):
        table = json.loads((tables / f"{framework}.json").read_text())
        for scope in table.get("scope", table):
            images = table if "scope" in table else table.get(scope)
            if scope not in SCOPES or not isinstance(images, dict) or "versions" not in images:
                continue
            for version, image in images["versions"].items():
                pythons = image.get("py_versions") or [None]
                region = next(iter(image.get("registries", ())), "us-east-1")
                for py in pythons:
                    for instance in "ml.m5.large", "ml.g5.xlarge", "ml.c6g.large":
                        yield framework, region, version, py, instance, scope
