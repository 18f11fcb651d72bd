"""`trainer submit --to docker` and `--to compose`, and `trainer jobs`, on the real engine."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest
from containers import DEADLINE, Engine
from submitting import Trainer, error, everything

SOCKET = Path("/var/run/docker.sock")
SMALL = ("--model", "fast", "--steps", "20")


@pytest.fixture
def trainer(image: str, tmp_path: Path) -> Trainer:
    return Trainer(image, tmp_path)


@pytest.fixture
def name(engine: Engine):
    """The name of a job, of which nothing is left at the end."""
    name = f"trainer-test-{os.urandom(4).hex()}"
    yield name
    label = f"label=trainer.job={name}"
    held = engine("ps", "-aq", "--filter", label).stdout.split()
    if held:
        engine("rm", "--force", "--volumes", *held)
    networks = engine("network", "ls", "-q", "--filter", label).stdout.split()
    if networks:
        engine("network", "rm", *networks)


def test_a_job_in_a_container_is_followed_listed_and_fetched(trainer, name, tfrecords, tmp_path):
    ran = trainer.submit(
        "docker", "--name", name, "--wait",
        "--", *SMALL, "--train", str(tfrecords), "--model-dir", "here/model",
    )  # fmt: skip
    assert "step=20 " in ran.stdout
    (version,) = (tmp_path / "here/model").iterdir()
    assert version.stat().st_uid == os.getuid()
    assert (tmp_path / "here/metrics.json").is_file()
    (job,) = [
        job for job in json.loads(trainer("jobs", "list", "--on", "docker", "--json").stdout)
        if job["name"] == name
    ]  # fmt: skip
    assert (job["status"]["state"], job["status"]["exit_code"]) == ("completed", 0)
    assert job["status"]["started"] <= job["status"]["ended"]
    assert "step=20 " in trainer("jobs", "logs", name, "--on", "docker").stdout
    trainer("jobs", "fetch", name, "--on", "docker", "--out", "home")
    assert list((tmp_path / "home/model").rglob("saved_model.pb"))
    assert json.loads((tmp_path / "home/metrics.json").read_text())["steps"] == 20
    assert (tmp_path / "home/report.html").is_file()


@pytest.mark.parametrize(
    ("strategy", "more"),
    [
        ("horovod", ()),
        ("multi_worker_mirrored", ()),
        ("parameter_server", ("--evaluators", "1")),
    ],
)
def test_two_hosts_of_a_compose_file_train_one_model(
    trainer, name, tfrecords, tmp_path, strategy, more
):
    ran = trainer.submit(
        "compose", "--name", name, "--hosts", "2", *more, "--wait",
        "--", *SMALL, "--distribution", strategy, "--train", str(tfrecords),
        "--checkpoint-dir", "checkpoints",
    )  # fmt: skip
    assert f"distribution={strategy}" in ran.stdout
    metrics = json.loads((tmp_path / "runs" / name / "metrics.json").read_text())
    assert metrics["distribution"] == strategy
    assert metrics["steps"] == 20
    assert list((tmp_path / "checkpoints").iterdir())
    trainer("jobs", "fetch", name, "--on", "compose", "--out", "home")
    assert list((tmp_path / "home/model").rglob("saved_model.pb"))


def test_the_printed_compose_file_runs(trainer, name, engine, tfrecords, tmp_path):
    compose = shutil.which("docker-compose")
    command = [compose] if compose else [engine.client, "compose"]
    ran = trainer.submit(
        "compose", "--name", name, "--hosts", "2", "--print", "yaml",
        "--", *SMALL, "--distribution", "horovod", "--train", str(tfrecords),
    )  # fmt: skip
    (tmp_path / "compose.yaml").write_text(ran.stdout)
    (tmp_path / "runs" / name).mkdir(parents=True)
    up = [*command, "-p", name, "-f", "compose.yaml"]
    ran = subprocess.run(
        [*up, "up"], cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE
    )
    subprocess.run([*up, "down"], cwd=tmp_path, capture_output=True, check=True, timeout=DEADLINE)
    assert list((tmp_path / "runs" / name).rglob("saved_model.pb")), ran.stdout + ran.stderr


def test_the_printed_command_runs(trainer, name, engine, tfrecords, tmp_path):
    ran = trainer.submit(
        "docker", "--name", name, "--print", "cli",
        "--", *SMALL, "--train", str(tfrecords), "--module", str(_module(tmp_path)),
    )  # fmt: skip
    assert ran.stdout.startswith("mkdir -p ")
    path = f"{Path(engine.client).parent}:{os.environ['PATH']}"
    subprocess.run(["bash", "-ec", ran.stdout], env={**os.environ, "PATH": path}, check=True,
                   capture_output=True, timeout=DEADLINE)  # fmt: skip
    assert engine("wait", name).stdout.strip() == "0", engine("logs", name)
    assert (tmp_path / "runs" / name / "metrics.json").is_file()


def _module(folder: Path) -> Path:
    path = folder / "nets/mine.py"
    path.parent.mkdir()
    path.write_text("from trainer.model import keras_model\nimport beside\n")
    path.with_name("beside.py").write_text("")
    return path


@pytest.mark.skipif(not SOCKET.exists(), reason="the engine has no socket here")
def test_the_printed_requests_are_the_engines_own(trainer, name, engine, tfrecords, tmp_path):
    ran = trainer.submit(
        "docker", "--name", name, "--print", "request", "--memory", "2g", "--cpus", "1.5",
        "--", *SMALL, "--train", str(tfrecords),
    )  # fmt: skip
    (tmp_path / "runs" / name).mkdir(parents=True)
    for request in json.loads(ran.stdout):
        connection = http.client.HTTPConnection("engine", timeout=DEADLINE)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(SOCKET))
        body = json.dumps(request["body"]) if "body" in request else None
        connection.request(
            request["method"], request["path"], body, {"Content-Type": "application/json"}
        )
        response = connection.getresponse()
        assert response.status in (201, 204), response.read()
        connection.close()
    assert engine("wait", name).stdout.strip() == "0", engine("logs", name)
    assert (tmp_path / "runs" / name / "metrics.json").is_file()


def test_a_container_is_its_callers_and_has_secrets_that_no_command_line_shows(
    trainer, name, engine, tfrecords, tmp_path
):
    folder = tmp_path / "a, b $c"
    folder.mkdir()
    folder.chmod(0o777)
    tmp_path.chmod(0o755)
    shutil.copytree(tfrecords, folder / "data")
    (folder / "data").chmod(0o755)
    trainer.submit(
        "docker", "--name", name, "--user", "4321:4321", "--env", "MY_TOKEN=t0p-5ecret", "--wait",
        "--", *SMALL, "--train", str(folder / "data"), "--model-dir", str(folder / "model"),
    )  # fmt: skip
    (version,) = (folder / "model").iterdir()
    assert version.stat().st_uid == 4321
    assert "MY_TOKEN=t0p-5ecret" in engine("inspect", name).stdout


def test_a_stopped_job_saves_and_is_stopped(trainer, name, tfrecords, tmp_path):
    trainer.submit(
        "docker", "--name", name,
        "--", "--model", "cnn", "--steps", "100000", "--log-every", "1", "--train", str(tfrecords),
        "--checkpoint-dir", "checkpoints",
    )  # fmt: skip
    end = time.monotonic() + DEADLINE
    while "step=2 " not in trainer("jobs", "logs", name, "--on", "docker").stdout:
        assert time.monotonic() < end
    trainer("jobs", "stop", name, "--on", "docker")
    assert list((tmp_path / "checkpoints").iterdir())
    (job,) = [
        job for job in json.loads(trainer("jobs", "list", "--on", "docker", "--json").stdout)
        if job["name"] == name
    ]  # fmt: skip
    assert job["status"]["state"] == "stopped"
    trainer("jobs", "logs", name, "--on", "docker", "--follow", code=143)


def test_a_failed_job_has_its_own_exit_code_and_its_text_is_fetched(trainer, name, tmp_path):
    (tmp_path / "data.npy").write_text("no data")
    ran = trainer.submit(
        "docker", "--name", name, "--wait", "--", "--train", "data.npy", "--checkpoint-dir", "c",
        code=2,
    )  # fmt: skip
    assert "data.npy" in ran.stderr
    trainer("jobs", "fetch", name, "--on", "docker", "--out", "home")
    assert "data.npy" in (tmp_path / "home/failure.txt").read_text()


def test_a_job_out_of_memory_says_so(trainer, name, tfrecords):
    ran = trainer.submit(
        "docker", "--name", name, "--memory", "150m", "--wait",
        "--", *SMALL, "--train", str(tfrecords), code=137,
    )  # fmt: skip
    assert "killed for lack of memory: --memory allows 150 MiB" in ran.stderr


def test_a_name_that_is_taken_is_one_line(trainer, name, engine):
    trainer.submit("docker", "--name", name, "--", "--steps", "1")
    engine("wait", name)
    ran = trainer.submit("docker", "--name", name, "--", "--steps", "1", code=2)
    assert error(ran).startswith(f"--name {name}: the engine has a job of this name; choose")
    assert len(everything(engine, name)) == 1


@pytest.mark.parametrize("place", ["docker", "compose"])
@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (("--image", "none.invalid/x:1"), "--image none.invalid/x:1: it cannot be pulled: "),
        (("--image", "none-such:1", "--pull", "never"), "--image none-such:1: the engine has no"),
        (("--gpus", "all"), "--gpus: this engine gives containers no GPU; install"),
        (("--memory", "1m"), "--memory: the engine says: Minimum memory limit allowed is 6MB"),
        (("--network", "none-such"), "--network none-such: the engine has no such network; make"),
        (("--mount", "nowhere:/x"), "nowhere: does not exist"),
        (("--name", "Upper"), "--name Upper: expected lower-case letters"),
    ],
    ids=["image", "no pull", "gpu", "memory", "network", "mount", "name"],
)
def test_what_the_engine_has_not_is_one_line(trainer, name, engine, place, flags, line):
    if flags[0] == "--gpus" and Path("/dev/nvidia0").exists():
        pytest.skip("this machine has a GPU")
    ran = trainer.submit(place, "--name", name, *flags, "--", "--steps", "1", code=2)
    assert line in error(ran)
    assert everything(engine, name) == []


def test_no_engine_no_client_and_no_permission_are_one_line(trainer):
    one = trainer.submit("docker", "--", "--steps", "1", code=2, DOCKER_HOST="unix:///none")
    assert error(one).startswith("docker: no engine answers; start it")
    two = trainer.submit("docker", "--", "--steps", "1", code=2, DOCKER="/none/docker")
    assert error(two) == "DOCKER=/none/docker: no such program"


def test_data_that_is_not_there_is_one_line(trainer):
    ran = trainer.submit("docker", "--", "--train", "nowhere", code=2)
    assert error(ran) == "--train nowhere: does not exist on this machine"
