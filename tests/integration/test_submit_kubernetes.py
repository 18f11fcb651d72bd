"""`trainer submit --to kubernetes` and `trainer jobs … --on kubernetes`, by the real kubectl.

The API server is a stand-in, and so is the controller: it runs the container of each Job as a
process of this machine, with what Kubernetes would give it.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fake_cluster import FakeCluster, running_cluster
from processes import TRAINER, environment, signal_at

from trainer.platforms import KubernetesRequest, kubernetes_containers

pytestmark = pytest.mark.tensorflow
NAME = "mnist"
SUBMIT = ["submit", "--to", "kubernetes", "--image", "r/trainer:cpu", "--name", NAME]
PLAIN = ["--model", "fast", "--precision", "float32", "--threads", "1"]
# What runs in a container runs here; everything else is kubectl's.
EXEC_HERE = """\
#!/bin/bash
if [[ " $* " == *" exec "* ]]; then
    while [ "$1" != -- ]; do shift; done
    exec "${{@:2}}"
fi
exec {kubectl} "$@"
"""


class Controller:
    """Runs the container of each Job of one pod, and says what became of it."""

    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster = cluster
        self._threads: list[threading.Thread] = []
        self.processes: list[subprocess.Popen] = []
        cluster.made = self._made

    def _made(self, made: dict[str, Any]) -> None:
        if made["kind"] == "Pod":
            made["status"] = {"conditions": [{"type": "Ready", "status": "True"}]}
        if made["kind"] == "Job":
            thread = threading.Thread(target=self._run, args=(made,))
            self._threads.append(thread)
            thread.start()

    def _run(self, job: dict[str, Any]) -> None:
        (start,) = kubernetes_containers(
            KubernetesRequest(name=NAME, kind="Job", namespace=None, context=None, manifests=(job,))
        )
        process = subprocess.Popen(
            [*TRAINER, "train", *start.argv], env=environment(start.env),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.processes.append(process)
        pod = self._cluster.pod(NAME, 0, "Running")
        pod["status"]["containerStatuses"] = [{"name": "trainer", "state": {"running": {}}}]
        lines = self._cluster.logs.setdefault(pod["metadata"]["name"], [])
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}000Z {line.rstrip()}")
        code = process.wait()
        last = lines[-1].partition(" ")[2] if lines else ""
        ended = {
            "exitCode": code,
            "message": last if code else "",
            "finishedAt": "2026-01-01T00:00:09Z",
        }
        pod["status"] |= {
            "phase": "Failed" if code else "Succeeded",
            "containerStatuses": [{"name": "trainer", "state": {"terminated": ended}}],
        }
        condition = {"type": "Failed" if code else "Complete", "status": "True"}
        job["status"] = {"conditions": [condition]}

    def close(self) -> None:
        """End what runs."""
        for process in self.processes:
            process.kill()
        for thread in self._threads:
            thread.join(30)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    kubectl = shutil.which("kubectl")
    if kubectl is None and not os.environ.get("CI"):
        pytest.skip("needs kubectl")
    program = tmp_path / "bin/kubectl"
    program.parent.mkdir()
    program.write_text(EXEC_HERE.format(kubectl=kubectl))
    program.chmod(0o755)
    with running_cluster() as found:
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        monkeypatch.setenv("KUBECONFIG", str(found.kubeconfig(tmp_path)))
        monkeypatch.setenv("HOME", str(tmp_path))
        controller = Controller(found)
        try:
            yield found
        finally:
            controller.close()


def run(*argv: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*TRAINER, *argv], env=environment(), capture_output=True, text=True, timeout=240,
        check=False,
    )  # fmt: skip


def test_a_job_trains_is_followed_and_its_model_comes_home(cluster, tfrecords, tmp_path):
    volumes = ["--volume", f"digits:{tfrecords}:ro", f"runs:{tmp_path}/runs"]
    argv = [*PLAIN, "--train", str(tfrecords), "--steps", "20", "--model-dir", "out/model"]
    ran = run(*SUBMIT, *volumes, "--wait", "--", *argv)
    assert ran.returncode == 0, ran.stderr
    assert f"[{NAME}-0] step=20 " in ran.stdout
    assert f"submitted {NAME}" in ran.stderr
    assert f"{NAME} completed" in ran.stderr
    listed = run("jobs", "list", "--on", "kubernetes")
    assert listed.stdout.startswith(f"{NAME}  completed")
    home = tmp_path / "home"
    fetched = run("jobs", "fetch", NAME, "--on", "kubernetes", "--out", str(home))
    assert fetched.returncode == 0, fetched.stderr
    assert (home / "model/1/saved_model.pb").is_file()
    assert (home / "metrics.json").is_file()


def test_a_mistake_in_the_job_is_the_commands_own_end(cluster, tmp_path):
    volume = ["--volume", f"runs:{tmp_path}/runs"]
    missing = f"{tmp_path}/runs/none"
    ran = run(*SUBMIT, *volume, "--wait", "--", *PLAIN, "--train", missing)
    assert ran.returncode == 2, ran.stderr
    assert f"trainer: job {NAME} failed: {NAME}-0-a: " in ran.stderr
    assert f"{missing}: does not exist" in ran.stderr
    again = run(*SUBMIT, *volume, "--", *PLAIN, "--train", missing)
    assert again.returncode == 2
    assert 'the name is taken: jobs "mnist" already exists; give another --name' in again.stderr


def test_an_interrupt_leaves_the_job_running_and_stop_suspends_it(cluster, tmp_path):
    argv = [*SUBMIT, "--volume", f"runs:{tmp_path}/runs", "--wait", "--", *PLAIN, "--epochs", "900"]
    code, lines = signal_at([*TRAINER, *argv], f"[{NAME}-0] step=", signal.SIGINT)
    assert code == 130, lines
    again = f"trainer jobs logs {NAME} --on kubernetes --follow"
    assert any(again in line for line in lines), lines
    assert cluster.objects["pods", f"{NAME}-0-a"]["status"]["phase"] == "Running"
    stopped = run("jobs", "stop", NAME, "--on", "kubernetes")
    assert stopped.returncode == 0, stopped.stderr
    assert cluster.objects["jobs", NAME]["spec"]["suspend"] is True


def test_what_is_printed_needs_no_kubectl_and_no_cluster(tmp_path):
    env = environment() | {"PATH": str(Path(sys.executable).parent), "KUBECONFIG": "/nowhere"}
    env["TRAINER_SECRET"] = "of-the-shell"
    submit = [*TRAINER, *SUBMIT, "--output", "s3://b/runs"]
    ran = subprocess.run(
        [*submit, "--print", "yaml", "--", *PLAIN],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("apiVersion: batch/v1\nkind: Job\n")
    more = ["--hosts", "2", "--env-secret", "API_KEY=cloud:api-key", "--print", "cli"]
    cli = subprocess.run(
        [*submit, *more, "--", *PLAIN], env=env, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    # What masks secrets leaves the commands whole.
    assert cli.stdout.startswith(
        'printf %s "$TRAINER_SECRET" | kubectl create secret generic mnist'
    )
    assert "--from-file=value=/dev/stdin" in cli.stdout
    assert "of-the-shell" not in cli.stdout
    assert "***" not in cli.stdout
    sent = subprocess.run(
        [*submit, "--", *PLAIN], env=env, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert sent.returncode == 2
    assert "kubectl: is not installed" in sent.stderr
