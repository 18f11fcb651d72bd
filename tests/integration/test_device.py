"""A GPU that something speaks of, where the TensorFlow of these tests finds none."""

import json
from pathlib import Path

import pytest
from processes import trainer

SIGN = {"NVIDIA_VISIBLE_DEVICES": "0"}
SHORT = ("train", "--model", "fast", "--steps", "1")
TWO = ("--distribution", "multi_worker_mirrored", "--processes-per-host", "2")


@pytest.mark.parametrize("way", [(), TWO], ids=["one process", "two"])
def test_a_gpu_that_is_not_used_ends_the_run_with_the_cause(tmp_path: Path, way: tuple[str, ...]):
    ran = trainer(*SHORT, *way, "--model-dir", str(tmp_path / "model"), env=SIGN)
    assert ran.returncode == 2, ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr
    said = "a GPU is there (NVIDIA_VISIBLE_DEVICES=0), but TensorFlow finds none: "
    lines = ran.stderr.splitlines()
    if way:
        # The launcher's last line has it again, as the cause of the job's end.
        assert said in lines[-1]
    else:
        (line,) = lines
        assert line.startswith(f"trainer: error: --device auto: {said}")
        assert line.endswith("; or train on the CPU with --device cpu")
    assert not (tmp_path / "model").exists()


def test_on_the_cpu_by_choice_it_trains_and_names_the_processor(tmp_path: Path):
    ran = trainer(*SHORT, "--device", "cpu", "--model-dir", str(tmp_path / "model"), env=SIGN)
    assert ran.returncode == 0, ran.stderr
    found = json.loads((tmp_path / "metrics.json").read_text())["device"]
    assert found["kind"] == "cpu"
    assert f"device: CPU, {found['name']}, {found['count']} cores" in ran.stdout.splitlines()
