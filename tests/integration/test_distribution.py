"""Several processes on one machine, on the real MNIST: what they learn is what one learns."""

import json
import re
import signal
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
from processes import TRAINER, environment, needs_horovod, run, signal_at, trainer, weights

# Dropout is drawn by each process for its own examples; without it all is comparable.
PLAIN = ("--dropout", "0", "--precision", "float32", "--threads", "1")
SIXTY = ("--steps", "60", "--log-every", "10", "--batch-size", "64", "--eval-every", "60")
WAYS = {
    "one process": (),
    "horovod, 2 ranks": ("--distribution", "horovod", "--processes-per-host", "2"),
    "horovod, 4 ranks": ("--distribution", "horovod", "--processes-per-host", "4"),
    "horovod, 2 ranks, by record": (
        *("--distribution", "horovod", "--processes-per-host", "2", "--shard-by", "record"),
    ),
    "multi_worker_mirrored, 2 workers": (
        *("--distribution", "multi_worker_mirrored", "--processes-per-host", "2"),
    ),
    "multi_worker_mirrored, 1 worker": ("--distribution", "multi_worker_mirrored"),
}


def losses(text: str) -> list[float]:
    return [float(loss) for loss in re.findall(r" loss=([\d.]+)", text)]


@pytest.fixture(scope="module")
def one(mnist_dir: Path, tmp_path_factory) -> tuple[list[float], dict, str]:
    """The loss curve and report of one process."""
    return ran((), mnist_dir, tmp_path_factory.mktemp("one"))


def report_of(script: str, *argv: str) -> dict:
    """What a script, run in a process of its own, says in JSON in its last line."""
    done = run([sys.executable, "-c", script, *argv], env=environment())
    assert done.returncode == 0, done.stderr
    report: dict = json.loads(done.stdout.splitlines()[-1])
    return report


def ran(way: tuple[str, ...], data: Path, folder: Path) -> tuple[list[float], dict, str]:
    done = trainer(
        "train", *way, "--train", str(data), *PLAIN, *SIXTY, "--model-dir", str(folder / "model")
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((folder / "metrics.json").read_text())
    return losses(done.stdout), report, done.stdout


@pytest.mark.parametrize(
    "way", [pytest.param(way, marks=[needs_horovod] if "hor" in way else []) for way in [*WAYS][1:]]
)
def test_the_loss_curve_is_that_of_one_process_and_the_weights_are_equal_on_all(
    way: str, one, mnist_dir: Path, tmp_path: Path
):
    curve, report, log = ran(WAYS[way], mnist_dir, tmp_path)
    assert len(curve) == 6
    # The order of sums differs, and Adam makes more of it with each step.
    np.testing.assert_allclose(curve, one[0], atol=0.003)
    digests = report["weights_crc32c"]
    assert len(digests) == report["processes"] == int(re.findall(r"\d", way)[0])
    assert len(set(digests)) == 1
    if len(digests) > 1:
        lines = re.findall(r" slowest_rank=(\d):(\d+) fastest_rank=(\d):(\d+)", log)
        assert len(lines) == 6
        assert all(int(slow) <= int(fast) for _, slow, _, fast in lines)
        assert [each["rank"] for each in report["ranks"]] == [*range(len(digests))]
        assert all(each["images_per_second"] > 0 for each in report["ranks"])
        assert report["time_split"]["exchange"] > 0
    # Every test example was counted once.
    assert report["test_accuracy"] == pytest.approx(one[1]["test_accuracy"], abs=0.003)
    assert (report["test_accuracy"] * 10_000) % 1 == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    "way",
    [
        pytest.param("horovod, 2 ranks", marks=needs_horovod),
        "multi_worker_mirrored, 2 workers",
    ],
)
def test_ranks_that_are_stopped_save_once_and_go_on_to_the_same_weights(
    way: str, tfrecords: Path, tmp_path: Path
):
    def argv(name: str) -> list[str]:
        folder = tmp_path / name
        return [
            *("train", *WAYS[way], "--train", str(tfrecords), "--model", "cnn"),
            *("--precision", "float32", "--threads", "1", "--steps", "120", "--log-every", "10"),
            *("--model-dir", str(folder / "model"), "--checkpoint-dir", str(folder / "ckpt")),
        ]

    whole = trainer(*argv("whole"))
    assert whole.returncode == 0, whole.stdout + whole.stderr
    code, lines = signal_at(
        [*TRAINER, *argv("cut")], f"[{socket.gethostname()} rank 0] step=30 ", signal.SIGTERM
    )
    assert code == 143, lines
    assert any("stopped at step=" in line for line in lines)
    (tmp_path / "cut/model").rename(tmp_path / "cut/partial")
    again = trainer(*argv("cut"))
    assert again.returncode == 0, again.stdout + again.stderr
    assert "resumed at step=" in again.stdout
    # Dropout included: each rank's own goes on where it was.
    assert weights(tmp_path / "cut/model") == weights(tmp_path / "whole/model")


HANGING = """
import threading
import tensorflow as tf
from trainer.distribution.mirrored_tf import MirroredStrategy
from trainer.models.mnist import keras_model, serving_input_fn

MirroredStrategy.stuck_after = 15.0

def input_fn(paths, mode, batch_size, shard):
    training = mode == "train"

    def batches():
        second = shard.index == 1
        for number in range(40):
            if training and second and number == 20:
                threading.Event().wait()
            yield [[[[0.0]] * 28] * 28] * batch_size, [1] * batch_size

    shapes = (tf.TensorSpec([None, 28, 28, 1]), tf.TensorSpec([None], tf.int32))
    data = tf.data.Dataset.from_generator(batches, output_signature=shapes)
    return data.repeat() if training else data.take(1)
"""


def test_a_worker_that_hangs_ends_the_job(tfrecords: Path, tmp_path: Path):
    (tmp_path / "hanging.py").write_text(HANGING)
    done = trainer(
        *("train", *WAYS["multi_worker_mirrored, 2 workers"], "--train", str(tfrecords)),
        *("--module", "hanging", "--steps", "100", "--log-every", "10", "--batch-size", "4"),
        *("--model-dir", str(tmp_path / "model")),
        env={"PYTHONPATH": str(tmp_path)},
        timeout=120,
    )
    assert done.returncode == 200, done.stdout + done.stderr
    assert "step=10 of=100" in done.stdout
    assert "trainer: failed: " in done.stderr
    assert "not all processes have answered for 15 s: one of them hangs" in done.stderr


@needs_horovod
def test_gradients_in_16_bits_a_linear_rate_and_a_timeline(tfrecords: Path, tmp_path: Path):
    done = trainer(
        *("train", *WAYS["horovod, 2 ranks"], "--train", str(tfrecords), *PLAIN),
        *("--model", "fast", "--compression", "fp16", "--scaling", "linear"),
        *("--scaling-epochs", "0.1", "--timeline", str(tmp_path / "timeline.json")),
        *("--model-dir", str(tmp_path / "model"), "--autotune"),
        *("--autotune-log", str(tmp_path / "tuned.csv")),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "metrics.json").read_text())
    # Half as many steps of twice as many examples make an epoch.
    assert report["steps"] == 235
    assert report["epochs"] == pytest.approx(1, abs=0.01)
    assert report["test_accuracy"] > 0.98
    assert len(set(report["weights_crc32c"])) == 1
    assert "ALLREDUCE" in (tmp_path / "timeline.json").read_text()
    assert (tmp_path / "tuned.csv").exists()


@needs_horovod
def test_a_batch_that_cannot_be_divided_says_which_can(tfrecords: Path, tmp_path: Path):
    done = trainer(
        *("train", *WAYS["horovod, 4 ranks"], "--train", str(tfrecords), "--batch-size", "66"),
        *("--model-dir", str(tmp_path / "model")),
    )
    assert done.returncode == 2
    assert "--batch-size 66: cannot be divided among 4 replicas; take 64, or" in done.stderr
    assert "Traceback" not in done.stderr


def test_workers_and_servers_train_on_one_machine_and_count_every_step(
    tfrecords: Path, tmp_path: Path
):
    done = trainer(
        *("train", "--distribution", "parameter_server", "--processes-per-host", "2"),
        *("--train", str(tfrecords), *PLAIN, "--steps", "200", "--log-every", "50"),
        *("--eval-every", "100", "--checkpoint-dir", str(tmp_path / "ckpt")),
        *("--model-dir", str(tmp_path / "model")),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "distribution=parameter_server workers=2 servers=1 " in done.stdout
    report = json.loads((tmp_path / "metrics.json").read_text())
    assert report["steps"] == 200
    assert report["test_accuracy"] > 0.93
    assert report["train_cpu_seconds"] is None
    import tensorflow as tf

    # Keras' own counter loses some where two workers count at once; ours is put in its place.
    values = tf.train.load_checkpoint(str(tmp_path / "ckpt/ckpt-00000200/variables"))
    state = json.loads((tmp_path / "ckpt/ckpt-00000200/state.json").read_text())
    paths = [path for path, _ in state["variables"]]
    place = next(i for i, path in enumerate(paths) if path.endswith("iteration"))
    counted = values.get_tensor(f"variables/{place}/.ATTRIBUTES/VARIABLE_VALUE")
    assert counted == 200


SERVERS = """
import json, socket
import keras
import tensorflow as tf

from trainer.training.optimizers import FusedAdam, FusedSGD

def port():
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]

roles = {"worker": 1, "ps": 2, "chief": 1}
spec = tf.train.ClusterSpec(
    {role: [f"127.0.0.1:{port()}" for _ in range(count)] for role, count in roles.items()}
)
servers = [
    tf.distribute.Server(spec, job_name=role, task_index=index, protocol="grpc")
    for role in ("ps", "worker") for index in range(roles[role])
]
strategy = tf.distribute.experimental.ParameterServerStrategy(
    tf.distribute.cluster_resolver.SimpleClusterResolver(
        spec, task_type="chief", task_id=0, rpc_layer="grpc"
    )
)
coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
found = {}
for name, kind, knobs in [
    ("adam", FusedAdam, {"beta_2": 0.9}),
    ("sgd", FusedSGD, {"momentum": 0.9, "nesterov": True}),
]:
    with strategy.scope():
        variables = [keras.Variable([1.0, 2.0]) for _ in range(3)]
        optimizer = kind(0.1, **knobs)
        optimizer.build(variables)
    def step():
        optimizer.apply([tf.constant([0.5, -0.5])] * 3, variables)
    function = tf.function(lambda: strategy.run(step), autograph=False)
    for _ in range(3):
        coordinator.schedule(function)
    coordinator.join()
    alone, plain = keras.Variable([1.0, 2.0]), kind.__mro__[1](0.1, **knobs)
    for _ in range(3):
        plain.apply([tf.constant([0.5, -0.5])], [alone])
    with strategy.scope():
        graph = function.get_concrete_function().graph
    found[name] = {
        "ours": [variable.numpy().tolist() for variable in variables],
        "plain": alone.numpy().tolist(),
        "places": sorted({variable.value.device for variable in variables}),
        "writes": sorted(
            op.type for op in graph.get_operations()
            if "Assign" in op.type or "Apply" in op.type
        ),
    }
print(json.dumps(found))
"""


def test_a_server_updates_a_variable_and_what_belongs_to_it_in_one_operation():
    # In several, a worker that is held up between them would add what is no longer true: the
    # second moment becomes negative, and the weights NaN.
    found = report_of(SERVERS)
    for name, kernel in (("adam", "ResourceApplyAdam"), ("sgd", "ResourceApplyKerasMomentum")):
        assert len(found[name]["places"]) == 2
        np.testing.assert_allclose(found[name]["ours"], [found[name]["plain"]] * 3, rtol=1e-5)
        # The other is the counter of steps, which the strategy counts itself.
        assert found[name]["writes"] == ["AssignVariableOp"] + 3 * [kernel]


MIRRORED = """
import json, sys
import numpy as np
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
from trainer.distribution.mirrored_tf import MirroredStrategy
from trainer.distribution.strategy import SINGLE_PROCESS
from trainer.config.hparams import Hparams
from trainer.config.job import Job
from trainer.runtime import log
from trainer.training.loop import train_and_evaluate

data, folder, precision = sys.argv[1:]
log.begin("ERROR")
found = {}
for name in ("alone", "mirrored"):
    strategy = SINGLE_PROCESS
    if name == "mirrored":
        both = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
        strategy = MirroredStrategy(both, rank=0, processes=1, presum=precision == "float16")
    hparams = Hparams(model="cnn", dropout=0.0, precision=precision, batch_size=64)
    job = Job(
        hparams=hparams, train=(data,), steps=30, eval_batch_size=999, log_every=10,
        model_dir=f"{folder}/{name}/model", distribution="mirrored" if name != "alone" else "none",
    )
    found[name] = dict(train_and_evaluate(job, strategy=strategy))
with both.scope():
    moving = tf.Variable([0.0, 0.0], trainable=False)
for copy, values in zip(moving.values, ([1.0, 2.0], [3.0, 8.0])):
    copy.assign(values)
strategy.average([moving])
found["moving"] = [copy.numpy().tolist() for copy in moving.values]
print(json.dumps(found))
"""


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_two_replicas_in_one_process_learn_what_one_learns(
    tfrecords: Path, tmp_path: Path, precision: str
):
    found = report_of(MIRRORED, str(tfrecords), str(tmp_path), precision)
    alone, mirrored = found["alone"], found["mirrored"]
    assert mirrored["replicas"] == 2
    assert found["moving"] == [[2.0, 5.0]] * 2
    near = 0.005 if precision == "float32" else 0.05
    assert mirrored["train_loss"] == pytest.approx(alone["train_loss"], abs=near)
    # 999 examples do not divide by two: each is counted once nevertheless.
    assert mirrored["test_accuracy"] == pytest.approx(alone["test_accuracy"], abs=4 * near)
    assert (mirrored["test_accuracy"] * 10_000) % 1 == pytest.approx(0, abs=1e-6)
