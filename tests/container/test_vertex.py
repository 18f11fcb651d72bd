"""Vertex AI custom jobs: containers started as the service does, one for each replica of a pool."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from containers import Container, Engine

from trainer.backends import BACKENDS, SubmitOptions, make_submission
from trainer.platforms import VertexOptions

# What the service's own names look like.
NAME = "cmle-training-workerpool{pool}-ab12cd34-{index}"
ROLES = {"workerpool0": "chief", "workerpool1": "worker", "workerpool2": "ps"}


class Service:
    """Starts jobs.

    Args:
        engine: The client.
        image: What every pool runs.
        bucket: Folder mounted at /gcs/bucket.
        data: Folder mounted at /gcs/bucket/data.
    """

    def __init__(self, engine: Engine, image: str, bucket: str, data: str) -> None:
        self.engine, self.image, self.bucket, self.data = engine, image, bucket, data

    @contextmanager
    def job(self, *replicas: int, args: tuple[str, ...]) -> Iterator[dict[str, Container]]:
        """Run a job until the end of the block.

        Args:
            replicas: How many each of the four pools has.
            args: The same for all.

        Yields:
            The containers by name, as `workerpool1-0`.
        """
        cluster = {
            f"workerpool{pool}": [f"{NAME.format(pool=pool, index=i)}:2222" for i in range(count)]
            for pool, count in enumerate(replicas)
            if count
        }
        with self.engine.network() as network, ExitStack() as stack:
            yield {
                f"{pool}-{index}": stack.enter_context(
                    Container(
                        self.engine,
                        self.image,
                        args,
                        self._options(cluster, pool, index, host.partition(":")[0], network),
                    )
                )
                for pool, hosts in cluster.items()
                for index, host in enumerate(hosts)
            }

    def _options(
        self, cluster: dict[str, list[str]], pool: str, index: int, host: str, network: str
    ) -> list[str]:
        """What the service sets on one replica."""
        spec = {"cluster": cluster, "environment": "cloud", "task": {"type": pool, "index": index}}
        env = {
            "CLUSTER_SPEC": json.dumps({**spec, "job": {"workerPoolSpecs": []}}),
            "CLOUD_ML_PROJECT_ID": "123456789",
            "CLOUD_ML_JOB_ID": "987654321",
            "AIP_MODEL_DIR": "gs://bucket/out/model/",
            "AIP_CHECKPOINT_DIR": "gs://bucket/out/checkpoints/",
            "AIP_TENSORBOARD_LOG_DIR": "gs://bucket/out/logs/",
        }
        if sum(map(len, cluster.values())) > 1:
            # On distributed jobs only; the evaluator is in no cluster.
            known = {ROLES[name]: hosts for name, hosts in cluster.items() if name in ROLES}
            task = {"type": ROLES.get(pool, "evaluator"), "index": index, "cloud": "x1"}
            env["TF_CONFIG"] = json.dumps(
                {"cluster": known, "task": task, "job": {}, "environment": "cloud"}
            )
        options = ["--network", network, "--hostname", host, "--network-alias", host]
        options += ["-v", f"{self.bucket}:/gcs/bucket", "-v", f"{self.data}:/gcs/bucket/data:ro"]
        for name, value in env.items():
            options += ["-e", f"{name}={value}"]
        return options


@pytest.fixture
def vertex(engine, image, tmp_path, tfrecords) -> Service:
    return Service(engine, image, str(tmp_path), str(tfrecords))


def logs(replicas: dict[str, Container]) -> str:
    return "\n".join(f"== {name}\n{replica.text}" for name, replica in replicas.items())


ARGS = ("--model", "cnn", "--batch-size", "60", "--train-files", "/gcs/bucket/data")


def test_a_job_of_one_replica(vertex, tmp_path):
    """The service sets CLUSTER_SPEC on every replica, and TF_CONFIG on none of a single one."""
    with vertex.job(1, args=(*ARGS, "--steps", "40")) as replicas:
        assert replicas["workerpool0-0"].wait() == 0, logs(replicas)
    assert (tmp_path / "out/model/saved_model.pb").exists()
    assert list((tmp_path / "out/logs").iterdir())


@pytest.mark.parametrize("distribution", ["multi_worker_mirrored", "horovod"])
def test_a_chief_and_two_workers(vertex, tmp_path, distribution):
    args = (*ARGS, "--steps", "40", "--distribution", distribution)
    with vertex.job(1, 2, args=args) as replicas:
        for name in ("workerpool0-0", "workerpool1-0", "workerpool1-1"):
            assert replicas[name].wait() == 0, logs(replicas)
        assert "step=40 " in replicas["workerpool0-0"].text
    assert (tmp_path / "out/model/saved_model.pb").exists()


def test_a_chief_with_workers_a_server_and_an_evaluator(vertex, tmp_path):
    """The job has succeeded when the chief ends well; the others then end by themselves."""
    args = (*ARGS, "--steps", "40", "--distribution", "parameter_server")
    with vertex.job(1, 2, 1, 1, args=args) as replicas:
        assert replicas["workerpool0-0"].wait() == 0, logs(replicas)
        assert (tmp_path / "out/model/saved_model.pb").exists()
        for name, replica in replicas.items():
            assert replica.wait(timeout=60) == 0, f"{name}\n{logs(replicas)}"


def test_a_replica_that_fails_ends_the_others(vertex):
    args = (*ARGS, "--steps", "100000", "--distribution", "horovod", "--log-every", "1")
    with vertex.job(1, 2, args=args) as replicas:
        replicas["workerpool0-0"].until("step=")
        vertex.engine("kill", replicas["workerpool1-1"].name)
        for name in ("workerpool0-0", "workerpool1-0"):
            assert replicas[name].wait(timeout=30) != 0, logs(replicas)


@pytest.mark.parametrize("hosts", [1, 2])
def test_what_trainer_submit_sends_trains(engine, image, tmp_path, tfrecords, hosts):
    """The containers of the request start as `platforms/google/container.py` describes them."""
    vertex = BACKENDS["vertex"]
    flags = {"model": "cnn", "batch_size": 60, "train": ("gs://bucket/data",), "steps": 20}
    options = SubmitOptions(hosts=hosts, image=image, output="gs://bucket/out", name="run")
    request = vertex.request(make_submission(vertex, options, flags, {}), VertexOptions())
    assert vertex.containers is not None
    replicas: dict[str, Container] = {}
    with engine.network() as network, ExitStack() as stack:
        for start in vertex.containers(request):
            (host,) = start.aliases
            words = ["--network", network, "--hostname", host, "--network-alias", host]
            words += ["-v", f"{tmp_path}:/gcs/bucket", "-v", f"{tfrecords}:/gcs/bucket/data:ro"]
            words += [word for k, v in start.env.items() for word in ("-e", f"{k}={v}")]
            container = Container(engine, image, start.argv, words)
            replicas[start.name] = stack.enter_context(container)
        for replica in replicas.values():
            assert replica.wait() == 0, logs(replicas)
    assert len(replicas) == hosts
    assert (tmp_path / "out/run/model/saved_model.pb").exists()
    assert (tmp_path / "out/run/metrics.json").exists()
    assert list((tmp_path / "out/run/checkpoints").iterdir())
