"""The local paths of a job, as a container sees them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from engine_jobs import submission_of

from trainer.backends.docker.paths import ContainerPaths, container_paths
from trainer.config.errors import UserError


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("data/x.npy", "home/mine.csv", "nets/mine.py", "pack/__init__.py", "pack/net.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


def paths(flags: dict[str, Any], **more: Any) -> ContainerPaths:
    return container_paths(submission_of(flags, **more))


def sources(found: ContainerPaths, root: Path) -> dict[str, str]:
    return {m.target: str(Path(m.source).relative_to(root)) for m in found.mounts}


def test_a_folder_a_glob_and_a_file_of_one_folder_are_one_mount(here):
    found = paths({"train": ("data",), "test": ("data/*.npy",), "validation": ("data/x.npy",)})
    job = found.submission.job
    assert (job.train, job.test) == (("/input/train",), ("/input/train/*.npy",))
    assert job.validation == ("/input/train/x.npy",)
    assert sources(found, here) == {"/input/train": "data", "/output": "runs/job-1"}


def test_of_a_file_in_the_home_folder_and_of_a_link_nothing_else_is_shown(here):
    (here / "data/link.npy").symlink_to(here / "home/mine.csv")
    found = paths({"train": ("home/mine.csv", "data/link.npy")})
    assert found.submission.job.train == ("/input/train/mine.csv", "/input/train-2/link.npy")
    assert sources(found, here)["/input/train/mine.csv"] == "home/mine.csv"
    assert sources(found, here)["/input/train-2/link.npy"] == "data/link.npy"


@pytest.mark.parametrize(
    ("name", "inside", "mounted"),
    [
        ("nets/mine.py", "/input/module/mine.py", "nets"),
        ("pack/net.py", "/input/module/pack/net.py", "."),
        ("pack", "/input/module/pack", "."),
        ("pack.net", "/input/module/pack/net.py", "."),
    ],
)
def test_a_module_comes_with_what_lies_beside_it(here, name, inside, mounted):
    found = paths({"module": name})
    assert found.submission.job.module == inside
    assert sources(found, here)["/input/module"] == mounted


def test_of_a_saved_model_of_keras_only_its_file_is_shown(here):
    (here / "nets/net.keras").touch()
    found = paths({"module": "nets/net.keras"})
    assert found.submission.job.module == "/input/module/net.keras"
    assert sources(found, here)["/input/module/net.keras"] == "nets/net.keras"


def test_a_module_that_is_installed_keeps_its_name(here):
    assert paths({"module": "msgspec"}).submission.job.module == "msgspec"


def test_the_report_goes_beside_the_model_unless_it_has_a_folder(here):
    beside = paths({"model_dir": "out/m"})
    assert sources(beside, here) == {"/outputs/model-dir": "out"}
    assert (beside.model, beside.report) == ("/outputs/model-dir/m", "/outputs/model-dir")
    assert beside.folders == (here / "out",)
    own = paths({"model_dir": "out/m", "output_dir": "report"})
    assert (own.model, own.report) == ("/outputs/model-dir", "/outputs/output-dir")


def test_without_a_folder_all_goes_to_one_of_the_jobs_name(here):
    found = paths({"checkpoint_dir": "c"}, output="kept")
    assert sources(found, here) == {"/outputs/checkpoint-dir": "c", "/output": "kept/job-1"}
    assert found.working_folder == "/output"
    assert (found.model, found.report) == ("/output/model", "/output")


def test_a_store_as_output_is_the_jobs_folder(here):
    found = paths({}, output="s3://bucket/runs")
    assert found.submission.arguments() == ["--job-dir", "s3://bucket/runs/job-1"]
    assert (found.mounts, found.working_folder) == ((), None)
    assert found.model == "s3://bucket/runs/job-1/model"
    assert found.report == "s3://bucket/runs/job-1"


def test_data_of_other_machines_need_not_be_here():
    found = container_paths(submission_of({"train": ("/none/digits",)}), elsewhere=True)
    assert found.submission.job.train == ("/input/train/digits",)
    assert found.mounts[0].source == "/none/digits"


def test_trackers_that_are_addresses_stay_and_a_folder_is_mounted(here):
    assert paths({"mlflow_uri": "http://x:5000"}).submission.job.mlflow_uri == "http://x:5000"
    assert paths({"mlflow_uri": "databricks"}).submission.job.mlflow_uri == "databricks"
    assert paths({"mlflow_uri": "mlruns"}).submission.job.mlflow_uri == "/outputs/mlflow-uri"


@pytest.mark.parametrize("flags", [{"train": ("none",)}, {"module": "none.py"}, {"input": "none"}])
def test_a_path_that_is_not_there_is_named(flags):
    with pytest.raises(UserError, match=r"^--\w+ none(.py)?: does not exist on this machine$"):
        paths(flags)
