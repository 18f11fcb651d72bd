"""Which packages are installed; and TensorFlow under its other name, as the image has it."""

import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest

from trainer.runtime.versions import installed_version

ALIAS = Path(__file__).parents[3] / "docker/build/alias"


def test_the_first_of_the_names_that_is_installed_counts():
    assert installed_version("no-such-package", "numpy") == distribution("numpy").version
    assert installed_version("no-such-package") is None


@pytest.mark.parametrize(
    ("real", "other"), [("tensorflow-cpu", "tensorflow"), ("tensorflow", "tensorflow-cpu")]
)
def test_tensorflow_counts_as_installed_under_both_names(tmp_path, monkeypatch, real, other):
    info = tmp_path / f"{real.replace('-', '_')}-2.21.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {real}\nVersion: 2.21.0\n")
    (info / "INSTALLER").write_text("pip\n")
    subprocess.run([ALIAS, tmp_path], check=True, timeout=60)

    # pip takes either for installed, also with the extra of the one, and asks no index.
    wanted = ["tensorflow>=2.16", "tensorflow-cpu", "tensorflow[and-cuda]==2.21.0"]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    ran = subprocess.run(
        [*pip, "install", "--no-index", "--dry-run", *wanted],
        env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "Would install" not in ran.stdout

    # It has no file of its own, so that taking it away takes nothing away.
    monkeypatch.syspath_prepend(str(tmp_path))
    made = distribution(other)
    assert made.version == "2.21.0"
    assert {str(file.parent) for file in made.files} == {
        f"{other.replace('-', '_')}-2.21.0.dist-info"
    }
    # What is really installed is known all the same.
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert installed_version(other) is None
    assert installed_version(other, real) == "2.21.0"
