"""The driver and libraries as this process finds them: stand-ins without names of their own.

A library that has one would be found by it later, by TensorFlow for one. See test_cuda for others.
"""

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from trainer.runtime import cuda

SOURCES = Path(__file__).parents[3] / "docker/gpu"
INFO = "build_info = dict([('is_cuda_build', {})])\n"
pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None and not os.environ.get("CI"), reason="needs cc"
)


def library(path: Path, source: str = "", *more: str) -> None:
    argv = ["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(path), *more]
    subprocess.run(argv, input=source, text=True, check=True, timeout=60)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nvidia")
    for name in ("libcuda", "libnvidia-ml"):
        library(folder / f"{name}.so.1", (SOURCES / f"{name}.c").read_text())
    library(folder / "empty.so")
    return folder


class Stage:
    """A driver, NVIDIA's wheels and a TensorFlow that is built for them, for a test to damage."""

    def __init__(self, folder: Path, built: Path) -> None:
        self.driver, self.packages = folder / "driver", folder / "packages"
        self.driver.mkdir()
        for name in (cuda.DRIVER, cuda.MANAGEMENT):
            shutil.copy(built / name, self.driver)
        for name in cuda.LIBRARIES:
            self.file(name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(built / "empty.so", self.file(name))
        self.info = self.packages / "tensorflow/python/platform/build_info.py"
        self.info.parent.mkdir(parents=True)
        self.info.write_text(INFO.format(True))
        (self.packages / "tensorflow/__init__.py").write_text("raise ImportError('imported')\n")

    def file(self, name: str) -> Path:
        return self.packages / "nvidia" / cuda.LIBRARIES[name] / "lib" / name


@pytest.fixture
def stage(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    made = Stage(tmp_path, built)
    for name in ("tensorflow", "nvidia"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(made.packages)
    monkeypatch.setattr(cuda, "DRIVER_FOLDERS", (str(made.driver),))
    opened = ctypes.CDLL

    def by_path(name: str) -> ctypes.CDLL:
        # Those that this machine has are not those of the test.
        if "/" not in name:
            raise OSError(f"{name}: cannot open shared object file: No such file or directory")
        return opened(name)

    monkeypatch.setattr(ctypes, "CDLL", by_path)
    return made


def causes() -> list[str]:
    return [f"{cause.text}; {cause.remedy}" for cause in cuda.causes()]


def test_a_whole_machine_has_nothing_wrong_and_says_what_it_is(stage):
    assert causes() == []
    assert cuda.driver() == cuda.Driver(release="580.00", cuda=13000)


@pytest.mark.parametrize("name", cuda.LIBRARIES)
def test_a_library_that_is_missing_is_named(stage, name):
    stage.file(name).unlink()
    (cause,) = causes()
    assert cause.startswith(f"library {name} is not found; use the trainer's image for GPUs, or ")


def test_a_library_that_does_not_load_says_why(stage):
    path = stage.file("libcusparse.so.12")
    library(path, "extern int absent(void); int call(void) { return absent(); }", "-Wl,-z,now")
    (cause,) = causes()
    assert cause.startswith("library libcusparse.so.12: ")
    assert "undefined symbol: absent" in cause


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("STAND_IN_CUDA", "11040", "driver 580.00 is too old: it runs CUDA up to 11.4; install d"),
        ("STAND_IN_INIT", "803", "driver 580.00 does not start: an error of the stand-in (CUDA e"),
    ],
)
def test_a_driver_that_cannot_be_used_is_reported(stage, monkeypatch, name, value, text):
    monkeypatch.setenv(name, value)
    (cause,) = causes()
    assert cause.startswith(text)


def test_a_driver_that_came_in_part_is_reported(stage):
    (stage.driver / cuda.MANAGEMENT).unlink()
    (cause,) = causes()
    assert cause.startswith("libnvidia-ml.so.1 is not found")
    assert cuda.driver() == cuda.Driver(cuda=13000)
    (stage.driver / cuda.DRIVER).unlink()
    (cause,) = causes()
    assert cause.startswith("the driver's libcuda.so.1 is not found; docker run --gpus all")
    assert "libcuda.so.1" in cuda.driver().failure


def test_a_driver_without_its_functions_does_not_start(stage, built):
    shutil.copy(built / "empty.so", stage.driver / cuda.DRIVER)
    (cause,) = causes()
    assert cause.startswith("driver 580.00 does not start: ")
    assert "undefined symbol: cuDriverGetVersion" in cause


def test_a_tensorflow_for_processors_is_reported_before_all_else(stage):
    stage.info.write_text(INFO.format(False))
    (stage.driver / cuda.DRIVER).unlink()
    (cause,) = causes()
    assert cause.startswith("the TensorFlow that is installed is made for CPUs; ")


@pytest.mark.parametrize(("text", "built_for"), [(INFO.format(True), True), ("", None)])
def test_whether_tensorflow_can_use_a_gpu_is_read_from_its_files(stage, text, built_for):
    stage.info.write_text(text)
    assert cuda.built_with_cuda() is built_for
    stage.info.unlink()
    assert cuda.built_with_cuda() is None


def test_what_tensorflow_would_not_find_is_opened_before_it(stage):
    folder = stage.file(cuda.UNSEARCHED).parent

    def is_open() -> bool:
        return str(folder) in Path("/proc/self/maps").read_text()

    assert cuda.unlinked() == folder
    assert cuda.search_path({}) == {"LD_LIBRARY_PATH": str(folder)}
    assert cuda.search_path({"LD_LIBRARY_PATH": "/a"}) == {"LD_LIBRARY_PATH": f"/a:{folder}"}
    # Without all of a driver there is nothing to compute on.
    management = (stage.driver / cuda.MANAGEMENT).rename(stage.driver / "away")
    cuda.preload()
    assert not is_open()
    management.rename(stage.driver / cuda.MANAGEMENT)
    cuda.preload()
    assert is_open()


def test_a_link_does_for_all_programs(stage):
    linked = stage.packages / "nvidia" / cuda.SEARCHED / "lib" / cuda.UNSEARCHED
    linked.symlink_to(stage.file(cuda.UNSEARCHED))
    assert cuda.unlinked() is None
    assert cuda.search_path({"LD_LIBRARY_PATH": "/a"}) == {}
