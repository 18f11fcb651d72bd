"""The packages' rules that import-linter does not hold: faces, names, what an import costs."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src/trainer"
PACKAGES = sorted(path.parent.name for path in SOURCES.glob("*/__init__.py"))


def imports_of(path: Path) -> Iterator[str]:
    """Yield each name that a file imports from the trainer, dotted."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}:{alias.name}" for alias in node.names)


def outsiders() -> Iterator[tuple[Path, str | None]]:
    for path in SOURCES.rglob("*.py"):
        parts = path.relative_to(SOURCES).parts
        yield path, parts[0] if len(parts) > 1 else None
    for folder in ("benchmarks", "examples", "docker"):
        yield from ((path, None) for path in (ROOT / folder).rglob("*.py"))
    yield from ((path, None) for path in (ROOT / "entrypoints").iterdir() if path.is_file())


def test_packages_are_imported_through_their_faces():
    past = []
    for path, own in outsiders():
        for name in imports_of(path):
            module, _, imported = name.partition(":")
            parts = module.split(".")
            if parts[0] != "trainer" or len(parts) < 2 or parts[1] not in PACKAGES:
                continue
            if parts[1] != own and (len(parts) > 2 or imported not in face(parts[1])):
                past.append(f"{path.relative_to(ROOT)}: {name}")
    assert past == []


def face(package: str) -> list[str]:
    return importlib.import_module(f"trainer.{package}").__all__


@pytest.mark.parametrize("package", PACKAGES)
def test_a_face_offers_what_it_lists_and_nothing_that_is_not_used(package):
    module = importlib.import_module(f"trainer.{package}")
    used = {
        name.partition(":")[2]
        for path, own in [*outsiders(), *((p, None) for p in (ROOT / "tests").rglob("*.py"))]
        if own != package
        for name in imports_of(path)
        if name.startswith(f"trainer.{package}:")
    }
    # What `trainer` itself and the console script offer.
    used |= {"Job", "Hparams", "train_and_evaluate", "main"}
    assert [name for name in module.__all__ if name not in used] == []
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_bears_the_name_of_what_its_package_offers(package):
    """`from trainer.x import y` would mean one or the other, by what was imported before."""
    module = importlib.import_module(f"trainer.{package}")
    folder = SOURCES / package
    names = {p.stem for p in folder.glob("*.py")} | {p.name for p in folder.iterdir() if p.is_dir()}
    assert [n for n in module.__all__ if n in names and not is_module(getattr(module, n))] == []


def is_module(value: object) -> bool:
    return isinstance(value, ModuleType)


def test_importing_the_trainer_imports_neither_numpy_nor_what_trains():
    code = (
        "import sys\n"
        "from trainer import Hparams, Job\n"
        "print({'numpy', 'tensorflow', 'trainer.training.loop'} & set(sys.modules))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout == "set()\n"
