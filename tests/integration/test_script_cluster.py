"""A user's script under SageMaker's `parameter_server` switch: two hosts, real servers."""

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from namespaces import Hosts, Running

ENTRY = Path(__file__).parent.parent.parent / "entrypoints/sagemaker"

# Each host adds to a variable on the other's parameter server, as scripts of TensorFlow 1 do.
SCRIPT = """
import json, os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
config = json.loads(os.environ["TF_CONFIG"])
task = config["task"]
if "--fail" in sys.argv and task["type"] == "worker":
    raise ValueError("no such luck")
import tensorflow as tf
tf1 = tf.compat.v1
tf1.disable_eager_execution()
server = tf.distribute.Server(
    tf.train.ClusterSpec(config["cluster"]), job_name=task["type"], task_index=task["index"])
with tf.device(f"/job:ps/task:{1 if task['type'] == 'master' else 0}"):
    total = tf1.get_variable(task["type"], initializer=40.0)
    add = tf1.assign_add(total, 2.0)
with tf1.Session(server.target) as session:
    session.run(tf1.global_variables_initializer())
    print(task["type"], "total", session.run(add), flush=True)
    if task["type"] == "master" and "--stay" in sys.argv:
        import signal
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        print("stays", flush=True)
        signal.pause()
"""


class Job:
    """The two hosts of a job, with a folder each."""

    def __init__(self, net: Hosts, folder: Path, *arguments: str) -> None:
        self._net, self._folder = net, folder
        for host, name in enumerate(net.names):
            base = folder / name
            for sub in ("input/config", "model", "output", "code"):
                (base / sub).mkdir(parents=True)
            (base / "code/train.py").write_text(SCRIPT)
            self._write(
                host,
                hyperparameters={
                    "sagemaker_program": "train.py",
                    "sagemaker_parameter_server_enabled": "true",
                    **dict.fromkeys(arguments, "1"),
                },
                inputdataconfig={},
                resourceconfig={
                    "current_host": name,
                    "hosts": net.names,
                    "network_interface_name": "eth0",
                },
            )

    def start(self, host: int) -> Running:
        base = self._folder / self._net.names[host]
        env = {"SAGEMAKER_BASE_DIR": str(base), "TRAINING_JOB_NAME": "job"}
        return self._net.start(host, [sys.executable, "-u", str(ENTRY), "train"], env)

    def _write(self, host: int, **files: object) -> None:
        config = self._folder / self._net.names[host] / "input/config"
        for name, content in files.items():
            (config / f"{name}.json").write_text(json.dumps(content))


@pytest.fixture
def job(hosts: Callable[[int], Hosts], tmp_path: Path) -> Callable[..., tuple[Hosts, Job]]:
    pytest.importorskip("sagemaker_training")

    def make(*arguments: str) -> tuple[Hosts, Job]:
        net = hosts(2)
        return net, Job(net, tmp_path, *arguments)

    return make


def test_scripts_of_two_hosts_share_their_parameter_servers(job):
    net, made = job("stay")
    master, worker = made.start(0), made.start(1)
    master.line("master total 42.0", 120)
    worker.line("worker total 42.0", 120)
    # The master may still use the server on the worker's host.
    worker.line("stays while host-1:2222 listens", 60)
    assert worker.runs()
    master.line("stays", 60)
    master.send_signal(signal.SIGTERM)
    # The script was told to end, and did so by itself.
    assert master.wait(60) == 0
    assert worker.wait(60) == 0
    assert net.pids(0) == net.pids(1) == []
    assert "the script has left no model there" in master.text()
    assert "left no model" not in worker.text()


def test_a_script_that_fails_ends_its_parameter_server(job):
    net, made = job("fail")
    worker = made.start(1)
    assert worker.wait(60) == 1
    assert "ValueError: no such luck" in worker.text()
    assert net.pids(1) == []
