"""What docker/horovod/build does before it compiles anything."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

BUILD = Path(__file__).parent.parent.parent / "docker/horovod/build"
# What the script itself runs, and no tool that builds.
COMMANDS = ["bash", "basename", "cat", "cut", "dirname", "flock", "mkdir", "mktemp", "rm",
            "sha256sum", "tail"]  # fmt: skip


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder for PATH, without compilers."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for command in COMMANDS:
        found = shutil.which(command)
        assert found is not None
        (folder / command).symlink_to(found)
    return folder


def executable(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return path


def build(
    path: Path, out: Path, *argv: str, python: str = sys.executable
) -> subprocess.CompletedProcess:
    """Run it with that PATH alone."""
    return subprocess.run(
        [BUILD, "--python", python, "--out", out, *argv],
        env={"PATH": str(path), "HOME": str(out)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def failed(bare: Path, tmp_path: Path) -> subprocess.CompletedProcess:
    """A build that ends at its first step: the folder that it was for is there."""
    for tool in ("g++", "make", "patch"):
        executable(bare / tool, "echo 12")
    python = executable(
        bare / "python",
        '[ "$1" != -m ] || { echo no venv here; exit 3; }',
        f'exec {sys.executable} "$@"',
    )
    return build(bare, tmp_path / "out", "--no-mpi", python=str(python))


def test_a_failed_build_names_its_log_and_leaves_no_wheel(
    failed: subprocess.CompletedProcess, tmp_path: Path
):
    assert failed.returncode == 1
    assert failed.stdout == ""
    last = failed.stderr.splitlines()[-1]
    log = Path(last.rpartition(" ")[2])
    assert log.is_relative_to(tmp_path / "out")
    assert "no venv here" in log.read_text()
    assert not list((tmp_path / "out").rglob("*.whl"))


@pytest.mark.usefixtures("failed")
def test_a_wheel_that_is_there_is_printed_without_building(bare: Path, tmp_path: Path):
    (folder,) = (tmp_path / "out").iterdir()
    wheel = folder / "horovod-0.28.1+trainer1-cp311-cp311-linux_x86_64.whl"
    wheel.touch()
    for tool in ("g++", "make", "patch"):
        (bare / tool).unlink()
    ran = build(bare, tmp_path / "out", "--no-mpi")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, f"{wheel}\n", "")
    # What else it depends on has a folder of its own.
    for argv in (["--gpu"], ["--mpi"]):
        assert "missing: " in build(bare, tmp_path / "out", *argv).stderr


@pytest.mark.usefixtures("failed")
def test_the_folder_says_what_the_wheel_is_for(tmp_path: Path):
    (folder,) = (tmp_path / "out").iterdir()
    for name in ("tensorflow", "tensorflow-cpu"):
        try:
            tensorflow = version(name)
        except PackageNotFoundError:
            continue
    abi = f"cp{sys.version_info.major}{sys.version_info.minor}"
    assert folder.name.startswith(f"horovod-0.28.1-tf{tensorflow}-{abi}-linux-")
    assert "-cpu-nompi-" in folder.name


@pytest.mark.parametrize(
    ("argv", "packages"),
    [
        ([], "g++ make patch"),
        (["--mpi"], "g++ make patch libopenmpi-dev"),
        (["--gpu"], "g++ make patch nvidia-cuda-toolkit"),
    ],
)
def test_missing_tools_are_one_line_with_the_packages_to_install(
    bare: Path, tmp_path: Path, argv: list[str], packages: str
):
    ran = build(bare, tmp_path / "out", *argv)
    assert (ran.returncode, ran.stdout) == (1, "")
    (line,) = ran.stderr.splitlines()
    assert line.startswith("docker/horovod/build: missing: g++, make, patch")
    assert line.endswith(f"(Debian, Ubuntu: apt-get install {packages})")


def test_a_compiler_that_is_too_new_is_not_taken(bare: Path, tmp_path: Path):
    for tool in ("make", "patch"):
        executable(bare / tool)
    executable(bare / "g++", "echo 14")
    (line,) = build(bare, tmp_path / "out").stderr.splitlines()
    assert line.endswith("missing: g++ older than 14 (Debian, Ubuntu: apt-get install g++-13)")


def test_a_python_without_tensorflow_is_refused(bare: Path, tmp_path: Path):
    python = executable(bare / "python", f'exec {sys.executable} -S "$@"')
    ran = build(bare, tmp_path / "out", python=str(python))
    assert ran.returncode == 1
    (line,) = ran.stderr.splitlines()
    assert "has no TensorFlow; install it there first" in line


@pytest.mark.parametrize("argv", [["--cuda"], ["--out"]])
def test_wrong_arguments_are_one_line(bare: Path, tmp_path: Path, argv: list[str]):
    ran = build(bare, tmp_path / "out", *argv)
    assert ran.returncode == 1
    (line,) = ran.stderr.splitlines()
    assert argv[0] in line


@pytest.mark.usefixtures("failed")
def test_check_says_what_is_missing_and_builds_nothing(bare: Path, tmp_path: Path):
    (folder,) = (tmp_path / "out").iterdir()
    before = sorted(folder.iterdir())
    ran = build(bare, tmp_path / "out", "--no-mpi", "--check")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert sorted(folder.iterdir()) == before
    (bare / "make").unlink()
    ran = build(bare, tmp_path / "out", "--no-mpi", "--check")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "missing: make (" in ran.stderr
    # No compiler is missed where it has been built before.
    (folder / "horovod-0.28.1.whl").touch()
    ran = build(bare, tmp_path / "out", "--no-mpi", "--check")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
