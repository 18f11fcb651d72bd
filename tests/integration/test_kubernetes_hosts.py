"""Pods of a Kubernetes job, each on a host of its own, as the controllers start them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import warm
import yaml
from namespaces import Hosts, Running
from processes import needs_horovod

from trainer.cli.program import parse
from trainer.config.flags import job_from_flags
from trainer.platforms import (
    ContainerStart,
    KubernetesOptions,
    KubernetesRequest,
    Submission,
    given_options,
    kubernetes_containers,
    kubernetes_request,
)

EXAMPLES = Path(__file__).parents[2] / "examples/kubernetes"
MAIN = [sys.executable, "-u", "-m", "trainer", "train"]
PLAIN = ("--model", "cnn", "--precision", "float32", "--threads", "1", "--log-every", "10")


def started_as(
    net: Hosts, folder: Path, data: Path, *flags: str, flavor: str = "job", **more: int
) -> Sequence[ContainerStart]:
    """Return what each pod of a job gets whose volumes are folders of this machine."""
    values = parse([*PLAIN, "--train", str(data), *flags])
    sent = Submission(
        job=job_from_flags(values),
        given=given_options(values),
        name="mnist",
        image="trainer:cpu",
        secret="pods-of-a-test",
        **more,
    )
    options = KubernetesOptions(flavor=flavor, volume=(f"runs:{folder}", f"digits:{data}:ro"))
    starts = kubernetes_containers(kubernetes_request(sent, options))
    for i, start in enumerate(starts):
        net.call(i, *start.aliases)
    return starts


def run(
    net: Hosts, starts: Sequence[ContainerStart], how: type[subprocess.Popen] = warm.Popen
) -> list[Running]:
    return [net.start(i, [*MAIN, *start.argv], start.env, how) for i, start in enumerate(starts)]


def report(folder: Path) -> dict:
    return json.loads((folder / "mnist/metrics.json").read_text())


@needs_horovod
@pytest.mark.parametrize("flavor", ["job", "trainjob"])
def test_two_pods_share_the_steps_with_horovod(hosts, tfrecords, tmp_path, flavor):
    net = hosts(2)
    flags = ("--distribution", "horovod", "--steps", "60")
    running = run(net, started_as(net, tmp_path, tfrecords, *flags, flavor=flavor, hosts=2))
    for process in running:
        assert process.wait(180) == 0, process.text()
    found = report(tmp_path)
    assert (found["distribution"], found["processes"], found["steps"]) == ("horovod", 2, 60)
    assert found["platform"] == "kubernetes"
    assert len(set(found["weights_crc32c"])) == 1
    assert (tmp_path / "mnist/model/1/saved_model.pb").exists()


def test_the_pods_of_the_examples_manifest_train_one_model(hosts, tfrecords, tmp_path):
    text = (EXAMPLES / "two-hosts.yaml").read_text()
    text = text.replace("/data/mnist", str(tfrecords)).replace("/runs/mnist", f"{tmp_path}/mnist")
    manifests = tuple(yaml.safe_load_all(text))
    request = KubernetesRequest(
        name="mnist", kind="Job", namespace=None, context=None, manifests=manifests
    )
    net = hosts(2)
    starts = kubernetes_containers(request)
    for i, start in enumerate(starts):
        net.call(i, *start.aliases)
    # The kubelet writes the Service's name to /etc/hosts, which is this machine's here.
    service = {"TRAINER_SERVICE": manifests[0]["metadata"]["name"]}
    running = [
        net.start(i, [*MAIN, *start.argv, "--steps", "20"], {**start.env, **service}, warm.Popen)
        for i, start in enumerate(starts)
    ]
    for process in running:
        assert process.wait(180) == 0, process.text()
    found = report(tmp_path)
    assert (found["distribution"], found["processes"]) == ("multi_worker_mirrored", 2)
    assert len(set(found["weights_crc32c"])) == 1


def test_pods_that_begin_anew_go_on_from_the_checkpoint(hosts, tfrecords, tmp_path):
    net = hosts(2)
    flags = ("--steps", "300", "--checkpoint-every", "20")
    starts = started_as(net, tmp_path, tfrecords, *flags, hosts=2)
    first, second = run(net, starts, subprocess.Popen)
    first.line("step=50 of", timeout=120)
    for pid in net.pids(1):
        os.kill(pid, signal.SIGKILL)
    assert second.wait(30) != 0
    # The controller starts each pod again whose code is none of those of a user's mistake.
    assert first.wait(60) == 200, first.text()
    for process in run(net, starts):
        assert process.wait(240) == 0, process.text()
    found = report(tmp_path)
    assert (found["distribution"], found["steps"]) == ("multi_worker_mirrored", 300)
    steps = [int(p.name.rpartition("-")[2]) for p in (tmp_path / "mnist/checkpoints").glob("*-*")]
    assert max(steps) == 300


def test_the_roles_of_a_jobset_find_each_other(hosts, tfrecords, tmp_path):
    net = hosts(4)
    flags = ("--distribution", "parameter_server", "--steps", "60")
    numbers = {"hosts": 2, "parameter_servers": 1, "evaluators": 1}
    starts = started_as(net, tmp_path, tfrecords, *flags, flavor="jobset", **numbers)
    for process in run(net, starts):
        assert process.wait(180) == 0, process.text()
    assert report(tmp_path)["steps"] == 60


def test_a_pod_with_another_key_is_refused(hosts, tfrecords, tmp_path):
    net = hosts(2)
    first, second = started_as(net, tmp_path, tfrecords, "--steps", "60", hosts=2)
    stranger = {**second.env, "TRAINER_SECRET": "another"}
    running = net.start(0, [*MAIN, *first.argv], first.env)
    refused = net.start(1, [*MAIN, *second.argv], stranger)
    assert refused.wait(60) == 2, refused.text()
    assert "TRAINER_SECRET" in refused.text()
    running.kill()


def test_a_tfjob_trains_and_its_evaluator_comes_from_no_list(hosts, tfrecords, tmp_path):
    net = hosts(4)
    roles = ["chief", "worker", "ps", "evaluator"]
    names = [f"mnist-{role}-0.vision.svc" for role in roles]
    # Kubeflow's training operator leaves the evaluator out.
    cluster = {role: [f"{name}:2222"] for role, name in zip(roles[:3], names[:3], strict=True)}
    folders = ["--train", str(tfrecords), "--job-dir", str(tmp_path / "mnist")]
    running = []
    for i, name in enumerate(names):
        net.call(i, name)
    for i, role in enumerate(roles):
        config = {
            "cluster": cluster, "task": {"type": role, "index": 0}, "environment": "cloud",
        }  # fmt: skip
        env = {"TF_CONFIG": json.dumps(config), "KUBERNETES_SERVICE_HOST": "10.96.0.1"}
        argv = [*MAIN, *PLAIN, *folders, "--steps", "60"]
        running.append(net.start(i, argv, env, warm.Popen))
    for process in running:
        assert process.wait(180) == 0, process.text()
    found = report(tmp_path)
    assert (found["platform"], found["distribution"]) == ("kubernetes", "parameter_server")
    assert "test_accuracy=" in running[3].text()
