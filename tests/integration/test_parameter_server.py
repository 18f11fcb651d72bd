"""A chief, a worker and a server in real processes, each in a folder of its own.

A relative path is another file in each of them, as any path is on hosts with disks of their own.
"""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import warm
from processes import environment

from trainer.launch.network import free_ports

SERVE = """
import sys
from trainer.config.cluster import Cluster
from trainer.training.tf_server import serve
from trainer.config.job import Job
from trainer.runtime import log
from trainer.runtime.stop import handling_stop_signals
log.begin()
with handling_stop_signals(announce=False) as stop_request:
    serve(Job(cluster=Cluster.from_json(sys.argv[1]), threads=1), stop_request)
"""

# Executes a command a line, and answers each with a line.
CHIEF = """
import json, os, sys
os.environ["GRPC_FAIL_FAST"] = "use_caller"
from pathlib import Path
import keras
import tensorflow as tf
from trainer.models import loader as modules
from trainer.training.checkpoint import Checkpoints
from trainer.training.checkpoint_state import Progress
from trainer.config.cluster import Cluster
from trainer.distribution.parameter_server_tf import make
from trainer.config.errors import RetryableError
from trainer.training.export import export
from trainer.config.hparams import Hparams
from trainer.config.job import Job
from trainer.training.evaluation import make_evaluate

hparams = Hparams(model="fast", precision="float32", dropout=0.0)
strategy = make(Job(cluster=Cluster.from_json(sys.argv[1]), start_timeout=60))
module = modules.load("trainer.model")
with strategy.scope():
    model = module.keras_model(hparams)
    optimizer = keras.optimizers.SGD()
    optimizer.build(model.trainable_variables)
images = tf.zeros((2, 28, 28, 1))
data = tf.data.Dataset.from_tensors((images, tf.constant([0, 1])))
source = None
following = tf.function(lambda iterator: next(iterator), autograph=False)

def start(step):
    global source
    strategy.start(step)
    source = strategy.source(lambda *given: tf.data.Dataset.from_tensors(given[-1]).repeat())

def read():
    return int(strategy._coordinator.schedule(following, args=(source,)).fetch())

def count(step):
    strategy._count.assign(step)

def save():
    checkpoints = Checkpoints(
        Path("ckpt"), model=model, optimizer=optimizer, keep=1, device=strategy.io_device
    )
    checkpoints.save(Progress(step=1))
    return checkpoints.restore().step

def put():
    return str(export(model, module=module, hparams=hparams, model_dir=Path("model"),
                      sample=images, device=strategy.io_device))

def evaluate():
    try:
        with strategy.around():
            return make_evaluate(model, strategy=strategy)(data).accuracy
    except RetryableError as error:
        return str(error)

known = globals()
print("ready", flush=True)
for line in sys.stdin:
    name, *args = json.loads(line)
    print("answer", json.dumps(known[name](*args)), flush=True)
os._exit(0)
"""


class Process:
    """One of them, in a folder of its own."""

    def __init__(self, folder: Path, code: str, argument: str) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self._errors = (folder / "errors").open("ab")
        self._process = warm.Popen(
            [sys.executable, "-c", code, argument],
            cwd=folder,
            env=environment({"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    def line(self, word: str) -> str:
        """The rest of the next line that begins so; the test as a whole has a deadline."""
        assert self._process.stdout
        for line in self._process.stdout:
            if word in line:
                return line.partition(word)[2]
        pytest.fail((self.folder / "errors").read_text()[-3000:])

    def ask(self, *command: object) -> object:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return json.loads(self.line("answer"))

    def end(self, number: signal.Signals = signal.SIGKILL) -> int:
        self._process.send_signal(number)
        return self._process.wait(30)

    def close(self) -> None:
        if self._process.poll() is None:
            self.end()
        for file in (self._process.stdin, self._process.stdout, self._errors):
            assert file
            file.close()


@pytest.fixture
def start(tmp_path):
    ports = iter(free_ports(3))
    listed = {role: [f"127.0.0.1:{next(ports)}"] for role in ("chief", "worker", "ps")}
    started = []

    def start_one(role: str) -> Process:
        task = {"evaluator": [], "role": role, "index": 0, **listed}
        code = CHIEF if role == "chief" else SERVE
        started.append(Process(tmp_path / role, code, json.dumps(task)))
        return started[-1]

    yield start_one
    for each in started:
        each.close()


def test_files_are_the_chiefs_and_reading_goes_on_elsewhere_when_a_worker_comes_back(start):
    # The chief waits for them.
    chief, server, worker = (start(role) for role in ("chief", "ps", "worker"))
    chief.line("ready")
    assert chief.ask("save") == 1
    assert chief.ask("put") == "model/1"
    assert (chief.folder / "ckpt/ckpt-00000001/state.json").exists()
    assert (chief.folder / "model/1/variables/variables.index").exists()
    for other in (server, worker):
        assert [path.name for path in other.folder.iterdir()] == ["errors"]

    chief.ask("start", 5)
    assert [chief.ask("read"), chief.ask("read")] == [5, 5]
    chief.ask("count", 9)
    worker.end()
    start("worker").line("serves")
    assert chief.ask("read") == 9

    assert chief.ask("evaluate") == pytest.approx(0.5, abs=0.5)
    server.end()
    assert str(chief.ask("evaluate")).startswith("a parameter server is gone: ")


def test_a_server_ends_well_on_sigterm(start):
    server = start("ps")
    server.line("serves")
    assert server.end(signal.SIGTERM) == 0
