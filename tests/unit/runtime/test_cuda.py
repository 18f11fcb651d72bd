"""The driver and libraries, as a process of its own finds them: stand-ins, built here."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from trainer.runtime import cuda

SOURCES = Path(__file__).parents[3] / "docker/gpu"
ASK = """
import dataclasses, json
from trainer.runtime import cuda
cuda.preload()
loaded = open("/proc/self/maps").read()
print(json.dumps({
    "causes": [f"{c.text}; {c.remedy}" for c in cuda.causes()],
    "driver": dataclasses.asdict(cuda.driver()),
    "unlinked": str(cuda.unlinked()),
    "path": cuda.search_path({"LD_LIBRARY_PATH": "/first"}),
    "preloaded": cuda.UNSEARCHED in loaded,
}))
"""
pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None and not os.environ.get("CI"), reason="needs cc"
)


def library(path: Path, source: str = "", *more: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    argv = ["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(path), *more]
    subprocess.run(argv, input=source, text=True, check=True, timeout=60)


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A driver, NVIDIA's wheels and a TensorFlow that is built for them."""
    folder = tmp_path_factory.mktemp("nvidia")
    for name in ("libcuda", "libnvidia-ml"):
        library(folder / f"driver/{name}.so.1", (SOURCES / f"{name}.c").read_text())
    for name, wheel in cuda.LIBRARIES.items():
        library(folder / f"packages/nvidia/{wheel}/lib/{name}", "", f"-Wl,-soname,{name}")
    info = folder / "packages/tensorflow/python/platform/build_info.py"
    info.parent.mkdir(parents=True)
    info.write_text("build_info = dict([('is_cuda_build', True)])\n")
    (folder / "packages/tensorflow/__init__.py").write_text("raise ImportError('imported')\n")
    return folder


class Machine:
    """A copy of them that a test may damage."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.driver, self.packages = folder / "driver", folder / "packages"
        self.cusolver = self.packages / f"nvidia/cusolver/lib/{cuda.UNSEARCHED}"

    def ask(self, **env: str) -> dict:
        """Ask in a process of its own, as what is loaded once stays."""
        env = {"LD_LIBRARY_PATH": str(self.driver), "PYTHONPATH": str(self.packages), **env}
        ran = subprocess.run(
            [sys.executable, "-c", ASK], env={**os.environ, **env}, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)


@pytest.fixture
def machine(built, tmp_path) -> Machine:
    shutil.copytree(built, tmp_path / "machine")
    return Machine(tmp_path / "machine")


def test_a_whole_machine_has_nothing_wrong_and_says_what_it_is(machine):
    found = machine.ask()
    assert found["causes"] == []
    assert found["driver"] == {"release": "580.00", "cuda": 13000, "failure": ""}


@pytest.mark.parametrize("name", cuda.LIBRARIES)
def test_a_library_that_is_missing_is_named(machine, name):
    (machine.packages / "nvidia" / cuda.LIBRARIES[name] / "lib" / name).unlink()
    (cause,) = machine.ask()["causes"]
    assert cause.startswith(f"library {name} is not found; ")
    assert "pip install 'trainer-anywhere[gpu]'" in cause


def test_a_library_that_does_not_load_says_why(machine):
    path = machine.packages / "nvidia/cusparse/lib/libcusparse.so.12"
    path.unlink()
    library(path, "extern int absent(void); int call(void) { return absent(); }", "-Wl,-z,now")
    (cause,) = machine.ask()["causes"]
    assert cause.startswith("library libcusparse.so.12: ")
    assert "undefined symbol: absent" in cause


@pytest.mark.parametrize(
    ("env", "text"),
    [
        (
            {"STAND_IN_CUDA": "11040"},
            "driver 580.00 is too old: it runs CUDA up to 11.4; install driver 525.60.13 or newer",
        ),
        (
            {"STAND_IN_INIT": "803"},
            "driver 580.00 does not start: an error of the stand-in (CUDA error 803); see nvidia-s",
        ),
    ],
)
def test_a_driver_that_cannot_be_used_is_reported(machine, env, text):
    assert machine.ask(**env)["causes"][0].startswith(text)


def test_a_driver_that_came_in_part_is_reported(machine):
    (machine.driver / "libnvidia-ml.so.1").unlink()
    (cause,) = machine.ask()["causes"]
    assert cause.startswith("libnvidia-ml.so.1 is not found")
    assert "NVIDIA_DRIVER_CAPABILITIES=compute,utility" in cause
    (machine.driver / "libcuda.so.1").unlink()
    (cause,) = machine.ask()["causes"]
    assert cause.startswith("the driver's libcuda.so.1 is not found; docker run --gpus all")


def test_a_tensorflow_for_processors_is_reported_before_all_else(machine):
    info = machine.packages / "tensorflow/python/platform/build_info.py"
    info.write_text(info.read_text().replace("True", "False"))
    (machine.driver / "libcuda.so.1").unlink()
    (cause,) = machine.ask()["causes"]
    assert cause.startswith("the TensorFlow that is installed is made for CPUs; ")


def test_what_tensorflow_would_not_find_is_loaded_before_it(machine):
    found = machine.ask()
    assert found["preloaded"]
    assert found["unlinked"] == str(machine.cusolver.parent)
    assert found["path"] == {"LD_LIBRARY_PATH": f"/first:{machine.cusolver.parent}"}
    # Without a driver there is nothing to compute on.
    (machine.driver / "libcuda.so.1").unlink()
    assert not machine.ask()["preloaded"]


def test_a_link_does_for_all_programs(machine):
    subprocess.run([SOURCES / "link-cusolver", machine.packages], check=True, timeout=60)
    subprocess.run([SOURCES / "link-cusolver", machine.packages], check=True, timeout=60)
    found = machine.ask()
    assert (found["unlinked"], found["path"], found["preloaded"]) == ("None", {}, False)
    linked = machine.packages / "nvidia" / cuda.SEARCHED / "lib" / cuda.UNSEARCHED
    assert linked.samefile(machine.cusolver)
    # Where there are no wheels of NVIDIA's, there is nothing to do.
    subprocess.run([SOURCES / "link-cusolver", machine.driver], check=True, timeout=60)


def test_versions_are_written_as_nvidia_does():
    assert [cuda.cuda_version(n) for n in (11040, 12000, 13010)] == ["11.4", "12.0", "13.1"]
