import sys

import pytest

from trainer.platforms.base import Environment
from trainer.sagemaker.script_gpu import gpu_warning

SIGN = {"NVIDIA_VISIBLE_DEVICES": "0"}


def python(folder, *lines: str) -> str:
    """An interpreter that answers so."""
    path = folder / "python"
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return str(path)


def test_a_script_that_would_find_no_gpu_is_told_the_first_cause(tmp_path):
    asked = python(tmp_path, 'test "$A" = b && echo "$@; do this"; echo another')
    warning = gpu_warning(Environment(env=SIGN, root=tmp_path), {"A": "b"}, python=asked)
    sign = "NVIDIA_VISIBLE_DEVICES=0"
    assert warning == (
        f"a GPU is there ({sign}), but TensorFlow will not find it: "
        "-P -m trainer.runtime.cuda; do this"
    )


def test_the_causes_are_those_of_this_environment(tmp_path):
    """Here: that the TensorFlow of these tests is made for CPUs, or that there is no driver."""
    warning = gpu_warning(Environment(env=SIGN, root=tmp_path), {}, python=sys.executable)
    assert warning
    assert "pip install 'trainer-anywhere[gpu]'" in warning or "libcuda.so.1" in warning


@pytest.mark.parametrize(
    ("env", "lines"),
    [
        ({}, ["echo a cause"]),
        ({**SIGN, "CUDA_VISIBLE_DEVICES": "-1"}, ["echo a cause"]),
        (SIGN, []),
        (SIGN, ["echo a cause", "exit 1"]),
    ],
)
def test_nothing_is_said_where_there_is_nothing_wrong_or_known(tmp_path, env, lines):
    environment = Environment(env=env, root=tmp_path)
    assert gpu_warning(environment, {}, python=python(tmp_path, *lines)) is None
