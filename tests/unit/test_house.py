"""The packages' rules that import-linter does not hold: faces, names, what an import costs."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src/trainer"
PACKAGES = sorted(path.parent.name for path in SOURCES.glob("*/__init__.py"))


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@functools.cache
def imports_of(path: Path) -> tuple[str, ...]:
    """Return each name that a file imports, as `package.module:name`.

    References in strings count as well; they are written in the same way.
    """
    nodes = list(ast.walk(parsed(path)))
    imported = tuple(
        f"{node.module}:{alias.name}"
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.module and not node.level
        for alias in node.names
    )
    strings = (n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str))
    return (*imported, *(s for s in strings if re.fullmatch(r"trainer\.\w+:\w+", s)))


@functools.cache
def face(package: str) -> dict[str, str]:
    """Return the names that a package offers, each with the module that it is taken from."""
    stub = parsed(SOURCES / package / "__init__.pyi")
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    return {a.name: node.module or "" for node in imports for a in node.names}


def is_module(package: str, name: str) -> bool:
    path = SOURCES.joinpath(package, *filter(None, face(package)[name].split(".")), name)
    return path.with_suffix(".py").is_file() or path.is_dir()


def defined_in(path: Path) -> set[str]:
    """Return the names that a module defines or imports at its top level."""
    names: set[str] = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


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


@pytest.mark.parametrize("package", PACKAGES)
def test_a_face_offers_what_is_there_and_nothing_that_is_not_used(package):
    users = [*outsiders(), *((path, None) for path in (ROOT / "tests").rglob("*.py"))]
    used = {
        name.partition(":")[2]
        for path, own in users
        if own != package
        for name in imports_of(path)
        if name.startswith(f"trainer.{package}:")
    }
    # What `trainer` itself and the console script offer.
    used |= {"Job", "Hparams", "train_and_evaluate", "main"}
    assert [name for name in face(package) if name not in used] == []
    missing = [
        name
        for name, module in face(package).items()
        if not is_module(package, name)
        and name not in defined_in(SOURCES / package / f"{module.replace('.', '/')}.py")
    ]
    assert missing == []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_bears_the_name_of_what_its_package_offers(package):
    """`from trainer.x import y` would mean one or the other, by what was imported before."""
    folder = SOURCES / package
    names = {p.stem for p in folder.glob("*.py")} | {p.name for p in folder.iterdir() if p.is_dir()}
    assert [name for name in face(package) if name in names and face(package)[name]] == []


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
