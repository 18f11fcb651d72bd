"""The commands of the Makefile that the other tests do not run anyway."""

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_train_without_data_or_network_trains_on_synthetic_digits(tmp_path: Path):
    """The download is given a proxy that nobody listens on, which is no network to it."""
    env = {**os.environ, "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    folder = tmp_path / "mnist"
    ran = subprocess.run(
        # What is installed is as it should be: this test runs in it.
        ["make", "-o", "setup", "train", "MNIST_DIR=", "MODEL=fast", f"OUT={tmp_path / 'run'}",
         f"DATA={folder}", "ARGS=--steps 5"],
        cwd=ROOT, env=env, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "no MNIST_DIR and no network" in ran.stdout
    assert "SYNTHETIC" in ran.stdout
    # Its TensorFlow is made for CPUs, and is so by what was asked for: a GPU here is no mistake.
    assert "--device cpu" in ran.stderr
    assert (tmp_path / "run/model/1/saved_model.pb").exists()


def test_help_lists_every_target_once_under_a_group():
    text = "".join((ROOT / name).read_text() for name in ("Makefile", "docker/image.mk"))
    targets = re.findall(r"^\.PHONY:(.*)$", text.replace("\\\n", " "), re.MULTILINE)
    ran = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    _, _, listed = ran.stdout.partition("no root.\n\n")
    groups = [group.splitlines() for group in listed.split("\n\n")]
    lines = [line for heading, *below in groups for line in below]
    assert all(re.fullmatch(r"  [a-z][a-z0-9-]* +\S.*", line) for line in lines)
    assert sorted(line.split()[0] for line in lines) == sorted(set(" ".join(targets).split()))
    assert [heading for heading, *_ in groups if not re.fullmatch(r"[A-Z][a-z ]+", heading)] == []


def test_an_environment_for_gpus_gets_the_link_that_tensorflow_needs():
    ran = subprocess.run(
        ["make", "-n", "setup", "DEVICE=gpu"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    steps = ran.stdout.splitlines()
    (link,) = (i for i, step in enumerate(steps) if step.startswith("docker/gpu/link-cusolver "))
    packages = [i for i, step in enumerate(steps) if "-r requirements/dev-gpu.lock" in step]
    assert packages
    assert max(packages) < link


def steps_of(*targets: str) -> str:
    # Whatever is installed here counts as out of date.
    return subprocess.run(
        ["make", "-n", "-W", "pyproject.toml", *targets],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    ).stdout  # fmt: skip


def test_horovod_is_built_when_it_is_asked_for_and_not_before_the_first_training():
    assert "docker/horovod/build" not in steps_of("train", "MODEL=fast")
    for target in ("horovod", "test"):
        assert "docker/horovod/build" in steps_of(target)


def test_uv_installs_by_hashes_and_is_itself_installed_by_its_own():
    steps = steps_of("setup")
    assert "uv pip install --quiet --python .venv/bin/python --require-hashes" in steps
    script = re.search(r"awk '.*?' (\S+)", steps)
    assert script
    pins = subprocess.run(
        script[0], shell=True, cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    ).stdout
    (block,) = re.findall(r"^uv==.*?(?=^    #)", (ROOT / script[1]).read_text(), re.M | re.S)
    assert pins == block
