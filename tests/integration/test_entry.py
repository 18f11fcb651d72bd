"""The entry points as the platforms start them: real processes, files and signals."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from processes import environment, run, signal_at

ROOT = Path(__file__).parent.parent.parent
SAGEMAKER = [sys.executable, "-u", str(ROOT / "entrypoints/sagemaker"), "train"]
AI_PLATFORM = [sys.executable, "-u", str(ROOT / "entrypoints/ai_platform")]


@pytest.fixture
def ml(tmp_path: Path, tfrecords: Path) -> Path:
    """The folder /opt/ml as the service hands it over: three files and the channels."""
    base = tmp_path / "ml"
    config = base / "input/config"
    config.mkdir(parents=True)
    for folder in ("input/data", "model", "output"):
        (base / folder).mkdir()
    for channel, split in (("training", "train"), ("eval", "test")):
        (base / "input/data" / channel).symlink_to(tfrecords / split)
    write(config / "inputdataconfig.json", {name: {} for name in ("training", "eval")})
    write(
        config / "resourceconfig.json",
        {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "ethwe"},
    )
    hyperparameters(base, steps="20", model="fast")
    return base


def write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content))


def hyperparameters(base: Path, **values: str) -> None:
    write(base / "input/config/hyperparameters.json", values)


def env_of(base: Path) -> dict[str, str]:
    return {"SAGEMAKER_BASE_DIR": str(base), "TRAINING_JOB_NAME": "a-job"}


def start(argv: list[str], env: dict[str, str]) -> subprocess.CompletedProcess:
    return run(argv, env=environment(env))


def start_cold(argv: list[str], env: dict[str, str]) -> subprocess.CompletedProcess:
    """Start it as the service does, which has imported nothing."""
    return subprocess.run(
        argv, env=environment(env), capture_output=True, text=True, timeout=300, check=False
    )


def test_three_files_and_a_job_name_are_enough_for_a_sagemaker_job(ml: Path):
    hyperparameters(ml, steps='"20"', model="fast", batch_size="100", **{"learning-rate": "0.01"})
    ran = start_cold(SAGEMAKER, env_of(ml))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    metrics = json.loads((ml / "output/data/metrics.json").read_text())
    assert metrics["steps"] == 20
    assert metrics["hparams"]["batch_size"] == 100
    assert metrics["data"]["train"]["examples"] == 60_000
    assert (ml / "model/1/saved_model.pb").exists()
    assert not (ml / "output/failure").exists()


def test_checkpoints_are_written_where_the_service_keeps_them(ml: Path):
    (ml / "checkpoints").mkdir()
    assert start(SAGEMAKER, env_of(ml)).returncode == 0
    again = start(SAGEMAKER, env_of(ml))
    assert "resumed at step=20" in again.stdout


def test_a_mistake_is_told_to_the_service(ml: Path):
    hyperparameters(ml, steps="twenty")
    ran = start(SAGEMAKER, env_of(ml))
    assert ran.returncode == 2
    mistake = "hyperparameter steps: expected a whole number, found 'twenty'"
    assert mistake in ran.stderr
    assert "Traceback" not in ran.stderr
    failure = (ml / "output/failure").read_text()
    assert failure.startswith(mistake)
    assert "algo-1" in failure


def test_a_mistake_that_the_trainer_finds_is_told_too(ml: Path):
    (ml / "input/data/training").unlink()
    (ml / "input/data/training").mkdir()
    (ml / "input/data/training/part.tfrecord").write_bytes(b"no records at all")
    ran = start(SAGEMAKER, env_of(ml))
    assert ran.returncode == 2
    assert "part.tfrecord" in (ml / "output/failure").read_text().splitlines()[0]


def test_a_trainer_that_the_kernel_kills_is_told_as_out_of_memory(ml: Path):
    hyperparameters(ml, steps="1000000", model="fast", log_every="5")
    with subprocess.Popen(
        SAGEMAKER, env=environment(env_of(ml)), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        for line in process.stdout:
            if line.startswith("step="):
                break
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        for child in children:
            os.kill(int(child), signal.SIGKILL)
        process.stdout.read()
        assert process.wait(timeout=60) == 137
    assert "out of memory" in (ml / "output/failure").read_text()


def test_being_stopped_is_passed_on_and_is_no_failure(ml: Path):
    hyperparameters(ml, steps="1000000", model="fast", log_every="5")
    code, log = signal_at(SAGEMAKER, "step=50 ", signal.SIGTERM, env=env_of(ml))
    assert code == 0, log
    assert (ml / "model/1/saved_model.pb").exists()
    assert not (ml / "output/failure").exists()


SCRIPT = """
import os, sys
print("arguments", sys.argv[1:])
print("channel", os.environ["SM_CHANNEL_TRAINING"])
open(os.path.join(os.environ["SM_MODEL_DIR"], "mine"), "w").write("x")
if "fail" in sys.argv:
    raise ValueError("no such luck")
"""


def test_a_users_script_runs_with_its_arguments_in_place_of_the_trainer(ml: Path, tmp_path: Path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source/mine.py").write_text(SCRIPT)
    hyperparameters(
        ml,
        sagemaker_program='"mine.py"',
        sagemaker_submit_directory=json.dumps(str(tmp_path / "source")),
        text='"two words; $(touch x)"',
        model_dir='"s3://bucket/model"',
    )
    ran = start(SAGEMAKER, env_of(ml))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    expected = ["--model_dir", "s3://bucket/model", "--text", "two words; $(touch x)"]
    assert f"arguments {expected}" in ran.stdout
    assert f"channel {ml}/input/data/training" in ran.stdout
    assert (ml / "model/mine").exists()

    hyperparameters(ml, sagemaker_program="mine.py", mode="fail")
    ran = start(SAGEMAKER, env_of(ml))
    assert ran.returncode == 1
    failure = (ml / "output/failure").read_text()
    assert failure.startswith("ValueError: no such luck")
    assert "algo-1" in failure


def test_ai_platforms_arguments_and_a_tuning_trial(tfrecords: Path, tmp_path: Path):
    tuned = tmp_path / "hypertune/output.metrics"
    env = {
        "CLOUD_ML_TRIAL_ID": "7",
        "CLOUD_ML_HP_METRIC_FILE": str(tuned),
        "TF_CONFIG": json.dumps(
            {"cluster": {"master": ["a:2222"]}, "task": {"type": "master", "index": 0}}
        ),
    }
    ran = start(
        [
            *AI_PLATFORM,
            *("--train-files", str(tfrecords / "train"), "--eval-files", str(tfrecords / "test")),
            *("--model", "fast", "--steps", "20", "--eval_every", "10"),
            *("--job-dir", str(tmp_path / "job")),
        ],
        env,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    job = tmp_path / "job/7"
    assert (job / "model/1/saved_model.pb").exists()
    assert (job / "checkpoints/ckpt-00000020/state.json").exists()
    assert list((job / "logs").glob("events.out.tfevents.*"))
    reports = [json.loads(line) for line in tuned.read_text().splitlines()]
    assert [report["global_step"] for report in reports] == ["10", "20"]
    assert {report["trial"] for report in reports} == {"7"}
    metrics = json.loads((job / "metrics.json").read_text())
    assert reports[-1]["training/hptuning/metric"] == str(metrics["test_accuracy"])


def test_vertex_finds_the_model_in_the_folder_that_it_named(tfrecords: Path, tmp_path: Path):
    env = {
        "AIP_MODEL_DIR": f"{tmp_path}/base/model/",
        "AIP_CHECKPOINT_DIR": f"{tmp_path}/base/checkpoints/",
        "AIP_TENSORBOARD_LOG_DIR": f"{tmp_path}/base/logs/",
        "AIP_TRAINING_DATA_URI": f"{tfrecords}/train/*",
        "AIP_TEST_DATA_URI": f"{tfrecords}/test/*",
        "CLUSTER_SPEC": json.dumps(
            {"cluster": {"workerpool0": ["a:2222"]}, "task": {"type": "workerpool0", "index": 0}}
        ),
    }
    ran = start_cold([*AI_PLATFORM, "--model", "fast", "--steps", "5"], env)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert (tmp_path / "base/model/saved_model.pb").exists()
    assert (tmp_path / "base/metrics.json").exists()
