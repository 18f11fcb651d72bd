"""`--module` in an object store: brought here with what it imports, once a machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import buckets
import pytest
from processes import run

NET = """
import keras
from .layers import dense

def keras_model(hparams):
    image = keras.Input(hparams.input_shape)
    return keras.Model(image, dense(hparams.classes)(keras.layers.Flatten()(image)))
"""
LAYERS = "import keras\n\ndef dense(units):\n    return keras.layers.Dense(units)\n"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, dict[str, str]]]:
    """A bucket with a package and a module, and the environment that leads there."""
    with buckets.s3() as (_, fs, env):
        for name, text in (
            ("code/my/__init__.py", ""), ("code/my/net.py", NET), ("code/my/layers.py", LAYERS),
            ("code/data.csv", "1,2"), ("flat/net.py", NET.replace("from .layers", "from layers")),
            ("flat/layers.py", LAYERS),
        ):  # fmt: skip
            fs.pipe_file(f"bucket/{name}", text.encode())
        temporary = tmp_path_factory.mktemp("tmp")
        yield fs, {**os.environ, **env, "TMPDIR": str(temporary)}


def train(module: str, env: dict[str, str], folder: Path, *flags: str):
    argv = [sys.executable, "-m", "trainer", "train", "--module", module, "--steps", "3"]
    argv += ["--batch-size", "32", "--eval-batch-size", "100"]
    return run([*argv, "--model-dir", str(folder / "model"), *flags], cwd=folder, env=env)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["code/my/net.py", "flat/net.py"])
def test_a_module_is_fetched_with_what_it_imports_and_with_nothing_else(store, tmp_path, name):
    _, env = store
    ran = train(f"s3://bucket/{name}", env, tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert (tmp_path / "model/1/saved_model.pb").is_file()
    assert ran.stdout.count("module: fetched") == 1
    copies = [p.name for p in Path(env["TMPDIR"]).rglob("*") if p.is_file()]
    assert "layers.py" in copies
    assert "data.csv" not in copies


@pytest.mark.tensorflow
def test_the_processes_of_a_host_share_one_copy(store, tmp_path):
    fs, env = store
    fs.pipe_file("bucket/two/net.py", NET.replace("from .layers", "from layers").encode())
    fs.pipe_file("bucket/two/layers.py", LAYERS.encode())
    flags = ("--distribution", "multi_worker_mirrored", "--processes-per-host", "2")
    ran = train("s3://bucket/two/net.py", {**env, "TMPDIR": str(tmp_path)}, tmp_path, *flags)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert len(list(tmp_path.glob("trainer-modules-*/*"))) == 1
    # Where the second process was there first, its line is not printed.
    assert (ran.stdout + ran.stderr).count("module: fetched") <= 1


def test_a_module_that_is_not_there_is_one_line(store, tmp_path):
    _, env = store
    ran = train("s3://bucket/code/nothing.py", env, tmp_path)
    assert ran.returncode == 2
    (line,) = [each for each in ran.stderr.splitlines() if each.startswith("trainer: error: ")]
    assert "--module s3://bucket/code/nothing.py: nothing is there" in line
    assert "Traceback" not in ran.stderr


def test_a_changed_module_is_fetched_again(store, tmp_path):
    fs, env = store
    code = (
        "from trainer.models.remote_module import fetch_module as f; print(f('s3://bucket/c/m.py'))"
    )

    def fetched() -> str:
        ran = subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120,
            check=True,
        )  # fmt: skip
        return Path(ran.stdout.split()[-1]).read_text()

    for text in ("a = 1\n", "a = 22\n"):
        fs.pipe_file("bucket/c/m.py", text.encode())
        assert fetched() == text
