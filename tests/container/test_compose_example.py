"""`examples/compose.yaml` as its first lines say, on the real engine."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from containers import DEADLINE, Engine

EXAMPLE = Path(__file__).parents[2] / "examples/compose.yaml"


@pytest.fixture
def compose(engine: Engine, image: str, mnist_dir: Path, tmp_path: Path):
    """Run a command of Compose in a checkout that has the data; take down what it has made."""
    (tmp_path / "examples").mkdir()
    shutil.copy(EXAMPLE, tmp_path / "examples")
    shutil.copytree(mnist_dir, tmp_path / "data/mnist")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs").chmod(0o777)
    tmp_path.chmod(0o755)
    plugin = engine("compose", "version", check=False).returncode == 0
    program = [engine.client, "compose"] if plugin else [shutil.which("docker-compose")]
    project = f"trainer-test-{os.urandom(4).hex()}"
    env = {**os.environ, "IMAGE": image, "USER_ID": "4321"}

    def run(*argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*program, "-p", project, "-f", "examples/compose.yaml", *argv], cwd=tmp_path, env=env,
            capture_output=True, text=True, timeout=DEADLINE, check=False,
        )  # fmt: skip

    yield run
    assert run("down", "--volumes", "--timeout", "1").returncode == 0


def test_two_hosts_of_the_example_train_one_model(compose, tmp_path):
    ran = compose("up", "--exit-code-from", "host-a")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    metrics = json.loads((tmp_path / "runs/compose/metrics.json").read_text())
    assert (metrics["distribution"], metrics["processes"]) == ("horovod", 2)
    assert metrics["test_accuracy"] > 0.97
    (model,) = (tmp_path / "runs/compose/model").glob("*/saved_model.pb")
    assert model.stat().st_uid == 4321
