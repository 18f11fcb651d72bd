"""Whole runs with `--log-format json`, of one process and of several."""

import json

from processes import trainer

SEVERAL = ("--distribution", "multi_worker_mirrored", "--processes-per-host", "2")


def test_several_processes_print_one_object_a_line(tfrecords, tmp_path):
    ran = trainer(
        *("train", "--model", "cnn", "--train", str(tfrecords), "--batch-size", "32"),
        *("--steps", "4", "--model-dir", str(tmp_path / "model"), "--log-format", "json", *SEVERAL),
    )
    assert ran.returncode == 0, ran.stderr
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    assert all(line["process"].endswith("rank 0") for line in lines)
    assert [line["step"] for line in lines if "loss" in line] == [4]


def test_a_failing_process_of_several_prints_objects_only(tfrecords, tmp_path):
    (tmp_path / "lost.py").write_text("raise RuntimeError('no model here')\n")
    ran = trainer(
        *("train", "--module", "lost", "--train", str(tfrecords), "--debug"),
        *("--steps", "4", "--model-dir", str(tmp_path / "model"), "--log-format", "json", *SEVERAL),
        env={"PYTHONPATH": str(tmp_path)},
    )
    assert ran.returncode
    lines = [json.loads(line) for line in ran.stderr.splitlines()]
    assert any("no model here" in line.get("stack_trace", "") for line in lines)
    assert lines[-1]["severity"] == "ERROR"
