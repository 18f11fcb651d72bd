"""The modules of docs/your-model.md, written and trained as the page says."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import keras
import pytest
from blocks import ROOT, blocks
from processes import TRAINER, environment

from trainer.models.model_module import PARAMETERS

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

PAGE = "your-model.md"
WRONG = """
import keras, numpy as np

def keras_model(hparams):
    i = keras.Input((4,))
    return keras.Model(i, keras.layers.Dense(3, dtype="float32")(i))

def input_fn(paths, mode, batch_size, shard):
    return np.zeros((40, 4), "float32"), np.zeros(40, "float32")
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the modules of the page."""
    home = tmp_path_factory.mktemp("home")
    (home / "my").mkdir()
    for block in blocks("python"):
        if block.page == PAGE:
            name = block.text.partition("\n")[0].removeprefix("# ")
            (home / name).write_text(block.text)
    (home / "my/wrong.py").write_text(WRONG)
    net = keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(), keras.layers.Dense(10)])
    net.save(home / "my/net.keras")
    return home


def run(home: Path, command: str) -> subprocess.CompletedProcess:
    program, *argv = shlex.split(command)
    assert program == "trainer"
    return subprocess.run(
        [*TRAINER, *argv], cwd=home, env=environment({}), capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip


def test_the_modules_of_the_page_train(home: Path):
    commands = [line for block in blocks("sh") if block.page == PAGE for line in block.commands]
    assert len(commands) == 3
    for command in commands:
        ran = run(home, command)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    digits = json.loads((home / "runs/digits/metrics.json").read_text())
    assert digits["parameters"] == 785 * 128 + 129 * 10
    price = json.loads((home / "runs/price/metrics.json").read_text())
    assert price["metric"] == "r2:max"
    assert price["best_metric"] > 0.9


def test_a_mistake_is_the_line_that_the_page_shows(home: Path):
    (block,) = [block for block in blocks("text") if block.page == PAGE]
    command, expected = block.text.splitlines()
    ran = run(home, command.removeprefix("$ "))
    assert (ran.returncode, ran.stderr.strip().splitlines()[-1]) == (2, expected)


def test_the_page_lists_every_function():
    text = (ROOT / "docs" / PAGE).read_text()
    listed = re.findall(r"^\| `(\w+)\(([\w, ]*)\)` \|", text, re.MULTILINE)
    assert dict(listed) == {name: ", ".join(args) for name, args in PARAMETERS.items()}
