"""What the pages of SageMaker show of the code is what the code has."""

from __future__ import annotations

import json
import re

from blocks import blocks
from sagemaker_jobs import request

DEFINITIONS = request().body()["AlgorithmSpecification"]["MetricDefinitions"]


def test_the_page_has_the_metric_definitions_that_jobs_are_sent_with():
    shown = [json.loads(each.text) for each in blocks("json") if each.page == "sagemaker-jobs.md"]
    assert shown == [DEFINITIONS]


def test_the_sdks_examples_use_expressions_of_these():
    known = {definition["Regex"] for definition in DEFINITIONS}
    found = {
        expression
        for block in blocks("python")
        if block.page == "sagemaker-jobs.md"
        for expression in re.findall(r'"Regex": r?"(.+)"', block.text)
    }
    assert len(found) == 2
    assert found <= known
