"""The packages' rules that import-linter does not hold: faces, names, what an import costs."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
import tokenize
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
    used |= {"Job", "Hparams", "train_and_evaluate", "load_columns", "load_data", "main"}
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


# What this package's parts were called when only its authors could read it.
OLD_WORDS = frozenset(
    {"told", "seen", "tell", "tells", "knob", "knobs", "roster", "verdict", "lifeline", "taker"}
)
# A docstring says what is done or what there is, not what is asked.
QUESTIONS = re.compile(r"(What|Whether|Who|How|Where|Why|Which|When)\b")
MOST_LINES = 60


def sources() -> list[Path]:
    return sorted(SOURCES.rglob("*.py"))


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(parsed(path)) if isinstance(node, kinds)]


def test_class_names_are_unique():
    found: dict[str, list[str]] = {}
    for path in sources():
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found.setdefault(node.name, []).append(str(path.relative_to(SOURCES)))
    assert {name: paths for name, paths in found.items() if len(paths) > 1} == {}


def test_old_words_are_gone():
    left = []
    file_method = re.compile(r"\.tell\(\)|def tell\(self\)")
    for path in sources():
        with path.open("rb") as file:
            for token in tokenize.tokenize(file.readline):
                words: set[str] = set()
                if token.type == tokenize.NAME and not file_method.search(token.line):
                    words = set(re.split(r"_|(?<=[a-z])(?=[A-Z])", token.string))
                elif token.type in (tokenize.COMMENT, tokenize.STRING):
                    words = set(re.findall(r"\btold\b(?! to\b)", token.string))
                if OLD_WORDS & {word.lower() for word in words}:
                    left.append(
                        f"{path.relative_to(SOURCES)}:{token.start[0]}: {token.string[:80]}"
                    )
    assert left == []


def test_docstrings_say_what_is_there_and_ask_nothing():
    asking = []
    for path in sources():
        nodes = [n for n in ast.walk(parsed(path)) if isinstance(n, (ast.Module, ast.ClassDef))]
        for node in [*nodes, *functions(path)]:
            text = ast.get_docstring(node) or ""
            if QUESTIONS.match(text):
                asking.append(f"{path.relative_to(SOURCES)}: {text[:60]}")
    assert asking == []


def test_functions_fit_on_a_screen():
    long = [
        f"{path.relative_to(SOURCES)}: {node.name} {(node.end_lineno or 0) - node.lineno + 1}"
        for path in sources()
        for node in functions(path)
        if (node.end_lineno or 0) - node.lineno >= MOST_LINES
    ]
    assert long == []


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


def test_no_group_of_the_newest_notes_has_more_entries_than_one_reads():
    """A rebase can bring back entries that were merged into others."""
    newest = (ROOT / "CHANGELOG.md").read_text().split("\n## ")[1]
    groups = {part.partition("\n")[0]: part.count("\n- ") for part in newest.split("\n### ")}
    assert {name: count for name, count in groups.items() if count > 30} == {}
