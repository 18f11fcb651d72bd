"""`docker run` by hand, as the README shows it."""

import json
import re
from pathlib import Path

import pytest
from containers import Container, opt_ml

ISOLATED = ("--network", "none")
CHANNEL = "/opt/ml/input/data/train"
SMALL = ("--model", "fast", "--steps", "20")


def ends_well(run: Container) -> str:
    """Wait until it has ended; what it printed."""
    assert run.wait() == 0, run.text
    return run.text


def lines(run: Container) -> list[str]:
    """What it printed, but for the word of the image for GPUs that there is none."""
    return [line for line in run.lines if "this image is made for GPUs" not in line]


def exported(model: Path) -> Path:
    """The one version in a folder of models, whole."""
    (version,) = model.iterdir()
    assert version.name.isdigit()
    assert (version / "saved_model.pb").stat().st_size > 0
    return version


def test_flags_train_on_a_plain_machine(start, tfrecords, tmp_path):
    run = start(
        *SMALL, "--train", "/data", "--model-dir", "/out/model",
        options=(*ISOLATED, "-v", f"{tfrecords}:/data:ro", "-v", f"{tmp_path}:/out"),
    )  # fmt: skip
    assert "model=/out/model/1" in ends_well(run)
    exported(tmp_path / "model")
    assert json.loads((tmp_path / "metrics.json").read_text())["steps"] == 20


def test_sagemaker_files_alone_train_with_an_input_that_is_read_only(start, tfrecords, tmp_path):
    ml = opt_ml(tmp_path, model="fast", steps=20, **{"batch-size": '"64"'})
    (ml / "input/data/train").mkdir()
    mounts = (f"{ml}:/opt/ml", f"{ml}/input:/opt/ml/input:ro", f"{tfrecords}:{CHANNEL}:ro")
    run = start(options=(*ISOLATED, *(option for mount in mounts for option in ("-v", mount))))
    assert "batch_size=64" in ends_well(run)
    exported(ml / "model")
    assert (ml / "output/data/metrics.json").exists()
    assert not (ml / "output/failure").exists()


def test_any_user_trains_on_a_read_only_root(start, tfrecords, tmp_path):
    tmp_path.chmod(0o777)
    tfrecords.chmod(0o755)
    run = start(
        *SMALL, "--train", "/data", "--model-dir", "/out/model",
        options=(
            *ISOLATED, "--read-only", "--tmpfs", "/tmp", "--user", "4321:4321", "--cap-drop", "ALL",
            "-v", f"{tfrecords}:/data:ro", "-v", f"{tmp_path}:/out",
        ),
    )  # fmt: skip
    ends_well(run)
    assert exported(tmp_path / "model").stat().st_uid == 4321


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--pids-limit", "3"), "threads that TensorFlow needs .*--pids-limit 3 is too small"),
        (("--read-only", "-v", "/out"), "TMPDIR: .*docker run --tmpfs /tmp"),
        (("--read-only", "--tmpfs", "/tmp"), "--model-dir .*: Read-only file system"),
    ],
    ids=["few processes", "no temporary folder", "nowhere to write"],
)
def test_what_a_container_is_denied_is_one_line(start, option, said):
    run = start(*SMALL, "--model-dir", "/out/model", options=(*ISOLATED, *option))
    assert run.wait() == 2, run.text
    (line,) = lines(run)
    assert re.match(f"trainer: error: .*{said}", line), line


def test_stopped_in_mid_training_and_started_again_it_goes_on(start, tfrecords, tmp_path):
    """With the 120 s that SageMaker gives, of which it needs a few."""
    run = start(
        "--model", "cnn", "--train", "/data", "--batch-size", "32", "--steps", "300",
        "--log-every", "5", "--eval-every", "1000", "--model-dir", "/out/model",
        "--checkpoint-dir", "/out/checkpoints",
        options=(*ISOLATED, "-v", f"{tfrecords}:/data:ro", "-v", f"{tmp_path}:/out"),
    )  # fmt: skip
    run.until("step=50 ")
    assert run.stop() < 30
    assert run.wait() == 143
    stopped = next(line for line in run.lines if line.startswith("stopped at step="))
    step = int(stopped.split()[2].removeprefix("step="))
    assert 50 <= step < 300
    first = len(run.lines)
    run.start()
    run.until(f"resumed at step={step}", after=first)
    ends_well(run)
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == ["1", "2"]
    assert json.loads((tmp_path / "metrics.json").read_text())["steps"] == 300


def test_stopped_on_sagemaker_the_model_counts(start, tfrecords, tmp_path):
    ml = opt_ml(tmp_path, model="cnn", steps=100000, **{"log-every": 5})
    (ml / "input/data/train").mkdir()
    run = start(options=(*ISOLATED, "-v", f"{ml}:/opt/ml", "-v", f"{tfrecords}:{CHANNEL}:ro"))
    run.until("step=50 ")
    assert run.stop() < 30
    assert run.wait() == 0
    exported(ml / "model")


def test_a_mistake_is_one_line_and_a_failure_file(start, tmp_path):
    ml = opt_ml(tmp_path, model="none-such")
    run = start(options=(*ISOLATED, "-v", f"{ml}:/opt/ml"))
    assert run.wait() == 2
    (line,) = lines(run)
    assert line.startswith("trainer: error: ")
    assert "none-such" in line
    assert "none-such" in (ml / "output/failure").read_text()


def test_output_that_cannot_be_written_is_one_line(start, tfrecords):
    run = start(
        *SMALL, "--train", "/data", "--model-dir", "/out/model",
        options=(*ISOLATED, "--read-only", "--tmpfs", "/tmp", "-v", f"{tfrecords}:/data:ro"),
    )  # fmt: skip
    assert run.wait() == 2
    errors = [line for line in run.lines if line.startswith("trainer: error: ")]
    assert len(errors) == 1
    assert "/out" in errors[0]
    assert "Traceback" not in run.text


def test_too_little_disk_is_one_line(start, tfrecords):
    run = start(
        "--model", "cnn", "--steps", "20", "--train", "/data", "--model-dir", "/out/model",
        options=(*ISOLATED, "--tmpfs", "/out:size=1m", "-v", f"{tfrecords}:/data:ro"),
    )  # fmt: skip
    assert run.wait() == 1
    failed = [line for line in run.lines if line.startswith("trainer: failed: ")]
    assert len(failed) == 1, run.text
    assert "/out/model/1: No space left on device; make room" in failed[0]
    assert "Traceback" not in run.text


@pytest.mark.parametrize(
    ("port", "argv", "told"),
    [
        (8080, ("serve", "--model-dir", "/tmp"), "--port 8080: cannot listen at 0.0.0.0: Address"),
        (
            7117,
            ("train", "--distribution", "horovod", "--processes-per-host", "2", "--port", "7117"),
            "--port 7117: the hosts cannot meet there: another program listens there",
        ),
    ],
    ids=["serve", "train"],
)
def test_a_port_in_use_is_one_line(start, port, argv, told):
    """The program takes the place of one that listens there, and goes on listening."""
    run = start("python3", "-c", LISTEN, str(port), CONTAINER, *argv)
    assert run.wait() == 2, run.text
    (line,) = lines(run)
    assert line.startswith(f"trainer: error: {told}")


CONTAINER = "/opt/trainer/entrypoints/container"
LISTEN = """
import os, socket, sys
listener = socket.create_server(("", int(sys.argv[1])))
listener.set_inheritable(True)
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


def test_an_ai_platform_job_by_its_arguments(start, tfrecords, tmp_path):
    run = start(
        *SMALL, "--job-dir", "gs://bucket/job",
        "--train-files", "/gcs/bucket/data/train", "--eval-files", "/gcs/bucket/data/test",
        options=(
            *ISOLATED, "-v", f"{tmp_path}:/gcs/bucket", "-v", f"{tfrecords}:/gcs/bucket/data:ro",
        ),
    )  # fmt: skip
    ends_well(run)
    assert list((tmp_path / "job").rglob("saved_model.pb"))
