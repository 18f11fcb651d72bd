"""What docker/horovod/build does before it compiles anything."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

BUILD = Path(__file__).parents[3] / "docker/horovod/build"
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


NVCC = [
    'case "$*" in',
    '  *--dryrun*) echo "#$ _HERE_=$here" >&2; echo "#$ TOP=$here/.." >&2;;',
    "  *--list-gpu-arch*) for arch in $archs; do echo compute_$arch; done;;",
    "esac",
]
CUDA_12 = "50 52 53 60 61 62 70 72 75 80 86 87 89 90"
CUDA_13 = "75 80 86 87 88 89 90 100 110 103 120 121"


class Toolkit:
    """A CUDA toolkit's folders and `nvcc`, and a Python that has TensorFlow and NCCL."""

    def __init__(self, bare: Path, folder: Path) -> None:
        self.bare, self.root, self.out = bare, folder / "cuda-x", folder / "out"
        for tool in ("g++", "make", "patch"):
            executable(bare / tool, "echo 12")
        (bare / "readlink").symlink_to(shutil.which("readlink") or "")
        packages = folder / "packages"
        nccl = packages / "nvidia/nccl/lib/libnccl.so.2"
        nccl.parent.mkdir(parents=True)
        nccl.touch()
        about = f"tf2.21.0\\ncp311\\nlinux-x86_64-glibc2.36\\n{packages}\\n"
        answer = f"printf '{about}'"
        self.python = executable(bare / "python", '[ "$1" != -m ] || exit 3', answer)

    def has(self, archs: str, *, include: str = "include") -> Path:
        """Make the toolkit; its `nvcc`."""
        header = self.root / include / "cuda_runtime.h"
        header.parent.mkdir(parents=True)
        header.touch()
        (self.root / "bin").mkdir()
        here = f"here={self.root / 'bin'} archs='{archs}'"
        return executable(self.root / "bin/nvcc", here, *NVCC)

    def build(self, path: str = "", **env: str) -> str:
        """Begin a build; the line that says what with, or the error."""
        ran = subprocess.run(
            [BUILD, "--python", self.python, "--out", self.out, "--gpu", "--no-mpi"],
            env={"PATH": f"{path}:{self.bare}", "HOME": str(self.out), **env},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert ran.returncode == 1
        return ran.stderr.splitlines()[0]


@pytest.fixture
def toolkit(bare: Path, tmp_path: Path) -> Toolkit:
    return Toolkit(bare, tmp_path)


def test_the_toolkit_is_found_behind_a_wrapper(toolkit: Toolkit):
    executable(toolkit.bare / "nvcc", f'exec {toolkit.has(CUDA_13)} "$@"')
    assert f"with CUDA of {toolkit.root} for " in toolkit.build()


def test_the_toolkit_is_found_behind_a_link_and_by_its_own_folder(toolkit: Toolkit):
    nvcc = toolkit.has(CUDA_13, include="targets/sbsa-linux/include")
    assert f"with CUDA of {toolkit.root} for " in toolkit.build(str(nvcc.parent))
    (toolkit.bare / "nvcc").symlink_to(nvcc)
    assert f"with CUDA of {toolkit.root} for " in toolkit.build()


def test_the_toolkit_is_found_by_cuda_home_without_nvcc_on_path(toolkit: Toolkit):
    toolkit.has(CUDA_12)
    assert "missing: nvcc" in toolkit.build()
    assert f"of {toolkit.root} for " in toolkit.build(CUDA_HOME=str(toolkit.root))


@pytest.mark.parametrize(
    ("archs", "taken"), [(CUDA_12, "60,70,80,90"), (CUDA_13, "75,80,90,100,110,120")]
)
def test_architectures_are_those_of_the_toolkit(toolkit: Toolkit, archs: str, taken: str):
    nvcc = toolkit.has(archs)
    assert f" for {taken}; " in toolkit.build(str(nvcc.parent))
    own = toolkit.build(str(nvcc.parent), HOROVOD_BUILD_CUDA_CC_LIST="90")
    assert " for 90; " in own


def test_an_nvcc_without_a_toolkit_is_one_line(toolkit: Toolkit):
    executable(toolkit.bare / "nvcc", "echo 'nvcc: broken' >&2", "exit 1")
    line = toolkit.build()
    assert "nvcc belongs to no CUDA toolkit with cuda_runtime.h; set CUDA_HOME" in line
