"""The example for SageMaker's local mode, run by both SDKs with real containers."""

import json
import re
from pathlib import Path

import pytest
from containers import ROOT
from sagemaker_local import Ended, Local

from trainer.packaging.inspection import inspect


def run_example(local: Local, version: int, image: str, data: Path, *argv: str) -> Ended:
    """Run the example with an SDK, and return what it and the containers printed."""
    script = ROOT / "examples/sm_local.py"
    places = ["--image", image, "--data", data, "--out", local.root / "out"]
    return local.run([local.python(version), script, *places, "--hp", "steps=20", *argv])


@pytest.mark.parametrize("version", [2, 3])
def test_the_example_trains_on_this_machine(local, image, tfrecords, version):
    argv = ["--serve"] if version == 2 else []
    ended = run_example(local, version, image, tfrecords, *argv)
    assert ended.code == 0, ended.log
    assert "step=20 " in ended.log
    found = inspect(local.root / "out/artifacts/model.tar.gz")
    assert "SageMaker TensorFlow" in [taker.name for taker in found.takers if taker.takes]
    if version == 2:
        (answer,) = re.findall(r'^\{"predictions": .*\}$', ended.log, re.MULTILINE)
        assert len(json.loads(answer)["predictions"]) == 1
