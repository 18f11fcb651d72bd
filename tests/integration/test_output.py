"""Training that nobody listens to."""

import subprocess
from pathlib import Path

import pytest
from processes import TRAINER, environment


@pytest.mark.parametrize(
    ("redirect", "said"),
    [
        (">/dev/full", "trainer: warning: output is lost: No space left on device\n"),
        ("| head -n 1 >/dev/null", ""),
    ],
)
def test_a_run_goes_on_where_its_output_does_not(
    tfrecords: Path, tmp_path: Path, redirect: str, said: str
):
    argv = [*TRAINER, "train", "--model", "fast", "--train", str(tfrecords), "--steps", "20"]
    argv += ["--log-every", "1", "--steps-per-call", "1", "--model-dir", str(tmp_path / "model")]
    ran = subprocess.run(
        ["/bin/sh", "-c", f'("$@"; echo $? >{tmp_path}/code) {redirect}', "sh", *argv],
        env=environment(), capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert (tmp_path / "code").read_text() == "0\n", ran.stderr
    assert ran.stderr == said
    assert (tmp_path / "model/1/saved_model.pb").exists()
