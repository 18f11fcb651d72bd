"""The policies of examples/iam: of actions that exist, for all calls of the code, and no more."""

from __future__ import annotations

import ast
import functools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from blocks import ROOT, blocks
from botocore import xform_name

FOLDER = ROOT / "examples/iam"
POLICIES = sorted(FOLDER.glob("*.json"))
SOURCE = ROOT / "src/trainer"
# What calls AWS with the rights of the person at the keyboard.
CALLERS = [
    *SOURCE.glob("backends/sagemaker/*.py"), *SOURCE.glob("endpoints/sagemaker/*.py"),
    *SOURCE.glob("clouds/aws*.py"), *SOURCE.glob("storage/sync/s3*.py"),
]  # fmt: skip
SERVICES = ("sagemaker", "sagemaker-runtime", "iam", "ecr", "logs", "application-autoscaling", "s3")
# Operations whose action has another name: "Actions defined by Amazon S3" in AWS's reference.
OTHER_NAMES = {
    "s3:HeadObject": "s3:GetObject", "s3:ListObjectsV2": "s3:ListBucket",
    "s3:HeadBucket": "s3:ListBucket", "s3:CreateMultipartUpload": "s3:PutObject",
    "s3:UploadPart": "s3:PutObject", "s3:CompleteMultipartUpload": "s3:PutObject",
    "s3:ListParts": "s3:ListMultipartUploadParts", "s3:DeleteObjects": "s3:DeleteObject",
    "s3:CopyObject": "s3:PutObject",
}  # fmt: skip
# Actions that no call names, and why they are needed.
UNNAMED = {
    "iam:PassRole": "each request names the execution role",
    "sagemaker:AddTags": "each request that makes something has tags",
    "iam:CreateServiceLinkedRole": "the account's first scalable target",
    "cloudwatch:PutMetricAlarm": "a scaling policy makes alarms",
    "cloudwatch:DescribeAlarms": "a scaling policy makes alarms",
    "cloudwatch:DeleteAlarms": "a scalable target that goes takes its alarms along",
}


def statements(path: Path) -> list[dict[str, Any]]:
    """Return the statements of a policy."""
    return json.loads(path.read_text())["Statement"]


def actions(path: Path) -> Iterator[str]:
    """Yield the actions of a policy."""
    for statement in statements(path):
        named = statement["Action"]
        yield from [named] if isinstance(named, str) else named


@functools.cache
def operations(service: str) -> Mapping[str, str]:
    """Return the operations of a service, by the names that boto3 gives them."""
    names = botocore.session.get_session().get_service_model(service).operation_names
    return {xform_name(name): name for name in names}


def called() -> set[str]:
    """Return the action of each call that the code makes."""
    found = set()
    for path in CALLERS:
        for node in ast.walk(ast.parse(path.read_text())):
            name = None
            if isinstance(node, ast.Attribute):
                name = node.attr
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                name = node.value
            for service in SERVICES:
                # `search` is also a method of regular expressions.
                if name in operations(service) and (name != "search" or path.stem == "service"):
                    action = f"{service.removesuffix('-runtime')}:{operations(service)[name]}"
                    found.add(OTHER_NAMES.get(action, action))
    return found


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.name)
def test_every_action_is_one_that_its_service_has(path):
    for action in actions(path):
        service, _, name = action.partition(":")
        if action == "iam:PassRole":
            continue
        # What has a name of its own in policies stands for an operation.
        under = [own for own, other in OTHER_NAMES.items() if other == action]
        known = {*operations(service).values()}
        if service == "sagemaker":
            known |= {*operations("sagemaker-runtime").values()}
        assert name in known or any(own.partition(":")[2] in known for own in under), action


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.name)
def test_a_policy_has_the_form_of_one_and_names_what_it_is_about(path):
    policy = json.loads(path.read_text())
    assert policy["Version"] == "2012-10-17"
    names = [statement["Sid"] for statement in policy["Statement"]]
    assert len({*names}) == len(names)
    for statement in policy["Statement"]:
        assert statement["Effect"] == "Allow"
        assert re.fullmatch(r"[A-Za-z0-9]+", statement["Sid"])
        assert not any("*" in action for action in actions(path))
        # AWS has no narrower resource for these; all others name the account or the bucket.
        if statement.get("Resource") == "*":
            assert statement["Sid"] in {
                "SignInToTheRegistry", "WriteMetrics", "List", "ScaleEndpoints",
            }  # fmt: skip


def test_who_submits_may_call_all_that_the_code_calls_and_nothing_else():
    allowed, needed = {*actions(FOLDER / "submit-and-deploy.json")}, called()
    assert len(needed) >= 40
    assert needed - allowed == set()
    assert allowed - needed - {*UNNAMED} == set()
    assert {*UNNAMED} <= allowed


def test_only_the_services_that_run_the_jobs_take_the_role_or_are_passed_it():
    (trust,) = statements(FOLDER / "trust.json")
    assert trust["Principal"] == {"Service": "sagemaker.amazonaws.com"}
    (passed,) = [
        s for s in statements(FOLDER / "submit-and-deploy.json") if s["Sid"] == "PassTheRole"
    ]
    assert passed["Condition"] == {
        "StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}
    }


def test_the_page_shows_the_files_as_they_are():
    shown = [
        json.loads(block.text) for block in blocks("json") if block.page == "sagemaker-setup.md"
    ]
    for path in POLICIES:
        assert json.loads(path.read_text()) in shown, path.name
