import sys
from pathlib import Path

from trainer.models.module_source import source_files


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
