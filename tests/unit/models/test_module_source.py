import sys
from pathlib import Path

import pytest

from trainer.config import Job
from trainer.models.module_source import has_own_reader, source_files


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def names(root: Path, module: str) -> list[str]:
    return list(source_files(module, path=[str(root)]))


def test_what_a_module_imports_from_beside_itself_is_part_of_it(tmp_path):
    write(tmp_path, model="import json, layers\nimport numpy as np", layers="from tools import x")
    write(tmp_path, tools="x = 1", other="", json="")
    assert names(tmp_path, "model") == ["json.py", "layers.py", "model.py", "tools.py"]


def test_a_module_of_a_package_has_the_packages_that_are_run_before_it(tmp_path):
    write(
        tmp_path,
        pkg__sub__model="from . import near\nfrom ..far import thing\nfrom ..more import *",
        pkg__sub__near="def f():\n    from pkg.late import y",
        pkg__far="", pkg__late="", pkg__unused="", pkg__more__inside="",
    )  # fmt: skip
    for folder in ("pkg", "pkg/sub", "pkg/more"):
        (tmp_path / folder / "__init__.py").write_text("")
    assert names(tmp_path, "pkg.sub.model") == [
        "pkg/__init__.py", "pkg/far.py", "pkg/late.py", "pkg/more/__init__.py",
        "pkg/sub/__init__.py", "pkg/sub/model.py", "pkg/sub/near.py",
    ]  # fmt: skip


def test_beside_an_installed_package_others_are_not_read(tmp_path):
    root = tmp_path / "site-packages"
    write(root, mine__model="import mine.parts, other", mine__parts="", other="")
    assert names(root, "mine.model") == ["mine/model.py", "mine/parts.py"]


def test_nothing_is_imported_and_what_cannot_be_read_is_left_to_the_import(tmp_path):
    write(tmp_path, broken="def f(:", model="import broken\nraise SystemExit(3)")
    assert names(tmp_path, "model") == ["broken.py", "model.py"]
    assert "model" not in sys.modules
    assert names(tmp_path, "no_such_module") == []
    assert names(tmp_path, "model.no_such_part") == ["broken.py", "model.py"]


def test_modules_that_import_each_other_are_read_once(tmp_path):
    write(tmp_path, one="import two", two="import one")
    assert names(tmp_path, "one") == ["one.py", "two.py"]


def test_a_module_by_path_has_the_files_that_it_has_by_name(tmp_path):
    write(tmp_path, pkg__model="from . import near", pkg__near="", alone="import beside", beside="")
    (tmp_path / "pkg/__init__.py").write_text("")
    assert names(tmp_path, "pkg/model.py") == names(tmp_path, "pkg.model")
    assert names(tmp_path, "alone.py") == ["alone.py", "beside.py"]
    assert names(tmp_path, "./pkg") == ["pkg/__init__.py"]
    assert names(tmp_path, "pkg/none.py") == names(tmp_path, "./none") == []


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("def keras_model(h):\n    input_fn = 1", False),
        ("def input_fn(paths): ...", True),
        ("from other import read as input_fn", True),
        ("from other import *", True),
        ("try:\n    input_fn = None\nexcept: ...", True),
    ],
)
def test_a_module_reads_its_data_itself_if_it_binds_input_fn(tmp_path, text, own):
    (tmp_path / "model.py").write_text(text)
    assert has_own_reader(Job(module=str(tmp_path / "model.py"))) is own


def test_the_built_in_module_has_no_reader_of_its_own():
    assert not has_own_reader(Job())
