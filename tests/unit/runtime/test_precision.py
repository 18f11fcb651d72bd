import os
from pathlib import Path

import pytest

from trainer.runtime import precision
from trainer.runtime.processor import read_processor


@pytest.mark.parametrize(
    ("capability", "expected"),
    [(9.0, "bfloat16"), (12.0, "bfloat16"), (8.0, "bfloat16"), (7.5, "float16"), (7.0, "float16"),
     (6.1, "float32"), (0.0, "float32")],
)  # fmt: skip
def test_a_gpu_has_what_its_generation_has(capability, expected):
    assert precision.of_gpu(capability) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [("8.0\\n8.0\\n", "bfloat16"), ("7.0\\n", "float16"), ("9.0\\n7.5\\n", None), ("N/A\\n", None),
     ("", None)],
)  # fmt: skip
def test_the_driver_says_of_which_generation_gpus_are(tmp_path: Path, monkeypatch, said, expected):
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\nprintf '{said}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert precision.of_host(gpus=1, env=os.environ) == expected


def test_without_the_drivers_program_it_is_not_known(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert precision.of_host(gpus=1, env=os.environ) is None


def test_a_host_without_gpus_has_what_its_processor_has():
    here = precision.of_processor(read_processor().flags)
    assert precision.of_host(gpus=0, env={}) == here
