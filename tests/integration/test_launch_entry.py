"""Jobs on several hosts as the platforms start them: the entry points, files and variables."""

import json
import os
import select
import shutil
import sys
from pathlib import Path

import pytest
import warm
from namespaces import hosts  # noqa: F401

ROOT = Path(__file__).parent.parent.parent
SAGEMAKER = [sys.executable, "-u", str(ROOT / "entrypoints/sagemaker"), "train"]
TRAINER = [sys.executable, "-u", "-m", "trainer", "train"]


def sagemaker(folder: Path, host: str, data: Path, **hyperparameters: str) -> dict[str, str]:
    """A host's /opt/ml, and the variables that lead there."""
    base = folder / host
    config = base / "input/config"
    config.mkdir(parents=True)
    for name in ("input/data", "model", "output"):
        (base / name).mkdir(exist_ok=True)
    for channel, split in (("training", "train"), ("eval", "test")):
        (base / "input/data" / channel).symlink_to(data / split)
    resources = {"current_host": host, "hosts": ["host-1", "host-2"]}
    for name, content in (
        ("inputdataconfig", {"training": {}, "eval": {}}),
        ("resourceconfig", {**resources, "network_interface_name": "eth0"}),
        ("hyperparameters", {"model": "fast", "steps": "20", **hyperparameters}),
    ):
        (config / f"{name}.json").write_text(json.dumps(content))
    return {"SAGEMAKER_BASE_DIR": str(base), "TRAINING_JOB_NAME": "a-job"}


def test_the_first_cause_is_in_the_failure_file_of_every_host(hosts, tfrecords, tmp_path):  # noqa: F811
    net = hosts(2)
    # A flipped bit that no look at names, sizes and last bytes finds, in this host's part.
    damaged = tmp_path / "damaged"
    shutil.copytree(tfrecords, damaged)
    *_, victim = sorted((damaged / "test").iterdir())
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 4
    victim.write_bytes(content)
    switch = {"sagemaker_multi_worker_mirrored_strategy_enabled": "true"}
    running = [
        net.start(i, SAGEMAKER, sagemaker(tmp_path, name, data, **switch), warm.Popen)
        for i, (name, data) in enumerate(zip(net.names, (tfrecords, damaged), strict=True))
    ]
    files = []
    for name, each in zip(net.names, running, strict=True):
        assert each.wait(120) == 2, each.text()
        files.append((tmp_path / name / "output/failure").read_text())
    assert files[0] == files[1]
    assert victim.name in files[0].splitlines()[0]
    assert files[0].splitlines()[-1] == "host host-2, rank 1"


@pytest.mark.parametrize("distribution", ["none", "mirrored"])
def test_hosts_without_a_way_to_share_the_work_are_told_which_flag_to_set(
    hosts,  # noqa: F811
    tfrecords,
    tmp_path,
    distribution,
):
    net = hosts(1)
    env = sagemaker(tmp_path, "host-1", tfrecords, distribution=distribution)
    running = net.start(0, SAGEMAKER, env=env)
    assert running.wait(30) == 2
    (line,) = running.lines
    assert line.startswith(f"trainer: error: --distribution {distribution}: trains in one process")
    failure = (tmp_path / "host-1/output/failure").read_text()
    assert failure.startswith(f"--distribution {distribution}: ")


def test_a_dry_run_shows_this_hosts_processes_and_starts_none(hosts, tfrecords, tmp_path):  # noqa: F811
    net = hosts(1)
    listed = {"chief": ["host-1:2222"], "worker": ["host-2:2222"], "ps": ["host-3:2222"]}
    env = {"TF_CONFIG": json.dumps({"cluster": listed, "task": {"type": "ps", "index": 0}})}
    running = net.start(0, [*TRAINER, "--dry-run", "--json"], env=env)
    assert running.wait(30) == 0
    (process,) = json.loads(running.text())["processes"]
    assert process["name"] == "host-3 ps 0"
    assert process["env"]["CUDA_VISIBLE_DEVICES"] == "-1"


def test_processes_do_not_outlive_a_launcher_that_is_killed(hosts, tmp_path):  # noqa: F811
    net = hosts(1)
    flags = ["--distribution", "parameter_server", "--model-dir", str(tmp_path / "model")]
    running = net.start(0, [*TRAINER, *flags])
    for _ in ("worker 0", "ps 0"):
        running.line(r"\] (worker|ps) 0 serves ", timeout=90)
    pidfds = [os.pidfd_open(pid) for pid in running.children()]
    assert len(pidfds) == 3
    running.kill()
    for pidfd in pidfds:
        assert select.select([pidfd], [], [], 10)[0]
        os.close(pidfd)
