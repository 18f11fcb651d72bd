"""README's commands, run one after the other as a newcomer would, in an empty folder."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from blocks import blocks
from servers import Server

TRAINER = [sys.executable, "-m", "trainer"]
# What cannot be run here: the mirrors of the data set cannot be reached, and there is no bucket.
LEFT_OUT = re.compile(r"data mnist |s3://|gs://|entrypoints/")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, mnist_dir: Path) -> Path:
    """A folder with what `trainer data mnist` would have brought."""
    folder = tmp_path_factory.mktemp("newcomer")
    (folder / "data").mkdir()
    (folder / "data/mnist").symlink_to(mnist_dir)
    return folder


def readme(verb: str) -> list[list[str]]:
    """The arguments of the program's lines of one verb, in their order."""
    found = [
        shlex.split(command)[1:]
        for block in blocks("sh")
        if block.page == "README.md"
        for command in block.commands
        if command.startswith("trainer ") and not LEFT_OUT.search(command)
    ]
    return [argv for argv in found if argv[0] == verb]


def run(home: Path, argv: list[str]) -> str:
    # Few steps are enough to see that a line works.
    quick = ["--steps", "2"] if argv[0] == "train" and not {"--steps", "--import"} & {*argv} else []
    ran = subprocess.run(
        [*TRAINER, *argv, *quick],
        cwd=home,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, f"{' '.join(argv)}: {ran.stdout}{ran.stderr}"
    return ran.stdout


def test_the_lines_of_readme_work_in_their_order(home: Path):
    look, create, divide = readme("data")
    assert "60000 examples" in run(home, look)
    assert (home / "mnist.png").exists()
    run(home, create)
    run(home, divide)
    assert (home / "data/parts/validation").is_dir()
    assert len(list((home / "data/tfrecord/train").iterdir())) == 4
    single = [argv for argv in readme("train") if "--distribution" not in argv]
    train = [argv for argv in single if "--import" not in argv]
    assert len(train) == 3
    for argv in train:
        run(home, argv)
    assert (home / "runs/mnist/model/1/saved_model.pb").exists()
    package, inspect = readme("package")
    run(home, package)
    assert "taken by SageMaker TensorFlow" in run(home, inspect)
    (take_over,) = (argv for argv in single if "--import" in argv)
    run(home, take_over)
    assert (home / "runs/imported/1/saved_model.pb").exists()


def test_the_server_of_readme_answers(home: Path):
    (serve,) = readme("serve")
    if not (home / "runs/mnist/model").exists():
        # Another worker of the test run has the test that trains.
        run(home, ["train", "--model-dir", "runs/mnist/model"])
    changed = {"8080": "0", "runs/mnist/model": str(home / "runs/mnist/model")}
    server = Server([*TRAINER, *(changed.get(word, word) for word in serve)], {})
    try:
        assert server.get("/v1/models/model").json["model_version_status"][0]["version"]
        assert server.stop() == 0
    finally:
        server.process.kill()
