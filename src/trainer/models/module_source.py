"""Search for the source files of a model module, which is not imported for it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path

from trainer.config import Job
from trainer.models.remote_module import fetch_module
from trainer.storage import is_remote

# The most files of one module; any real one has fewer, and a whole environment would take minutes.
MOST = 500


@dataclass(frozen=True, kw_only=True)
class ModulePlace:
    """The place of a module.

    Attributes:
        name: As in an import statement.
        root: The folder in which the first part of that name lies.
        origin: The file or folder of that part.
    """

    name: str
    root: Path
    origin: Path


def is_path(name: str) -> bool:
    """Return whether `--module` names a file or folder, rather than a module to import."""
    return name.endswith((".py", ".keras", ".h5")) or "/" in name


def is_keras_file(name: str) -> bool:
    """Return whether `--module` names a model that Keras has saved, rather than code."""
    return name.endswith(".keras")


def find_module(name: str, *, path: Sequence[str] | None = None) -> ModulePlace | None:
    """Return the place of a module, or None if there is none.

    Args:
        name: As in an import statement, or the path of a file, a package's folder or a `.keras`
            file, relative to one of the folders that are searched, or in a store.
        path: Folders to search; by default those of `python -m trainer`, started here.
    """
    if is_remote(name):
        name = fetch_module(name)
    folders = [str(Path.cwd()), *sys.path] if path is None else path
    if not is_path(name):
        origin = _origin(name, folders)
        return ModulePlace(name=name, root=origin.parent, origin=origin) if origin else None
    for folder in folders:
        file = Path(folder, name)
        package = file / "__init__.py"
        if file.suffix == ".py" and file.is_file():
            return _of_file(file.absolute())
        if package.is_file():
            return _of_file(package.absolute())
        if is_keras_file(name) and file.is_file():
            return ModulePlace(name=file.stem, root=file.absolute().parent, origin=file.absolute())
    return None


def source_files(name: str, *, path: Sequence[str] | None = None) -> dict[str, Path]:
    """Return the files of a module and of what it imports from the same place.

    Args:
        name: See `find_module`.
        path: See `find_module`.

    Returns:
        Files by their names below the folder in which the module was found; none if there is no
        such module.
    """
    place = find_module(name, path=path)
    if place is None:
        return {}
    root, own = place.root, place.name.partition(".")[0]
    # In site-packages every other package lies beside it; hosts compare those by their versions.
    alone = root.name in ("site-packages", "dist-packages")
    found: dict[str, Path] = {}
    waiting = [file for module in _prefixes(place.name) for file in _files(root, module)]
    if not waiting and place.origin.is_file():
        # A compiled module.
        waiting = [place.origin]
    while waiting and len(found) < MOST:
        file = waiting.pop()
        key = file.relative_to(root).as_posix()
        if key not in found:
            found[key] = file
            imported = set(_imports(file, root))
            if alone:
                imported = {module for module in imported if module.partition(".")[0] == own}
            waiting += [f for module in imported for f in _files(root, module)]
    return dict(sorted(found.items()))


def module_file(name: str, *, path: Sequence[str] | None = None) -> Path | None:
    """Return the source file of a module, or None if there is none.

    Args:
        name: See `find_module`.
        path: See `find_module`.
    """
    place = find_module(name, path=path)
    return next(iter(_files(place.root, place.name)), None) if place else None


def has_own_reader(job: Job) -> bool:
    """Return whether the job's data is read by an `input_fn` of the user's module.

    The built-in readers read it for a module without one. The module is not imported: any
    assignment, import or definition of that name at its top level counts.
    """
    if job.module == Job.module or is_keras_file(job.module):
        return False
    file = module_file(job.module)
    if file is None:
        # Importing it will say what is wrong with it.
        return True
    # What `import *` brings is not known here.
    return bool({"input_fn", "*"} & _names(file))


def _names(file: Path) -> set[str]:
    """Return the names that the top level of a file binds, `*` among them."""
    tree = _parsed(file)
    names: set[str] = set()
    waiting: list[ast.AST] = [] if tree is None else list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        else:
            waiting += ast.iter_child_nodes(node)
    return names


def _of_file(file: Path) -> ModulePlace:
    """Return the place of a file, whose packages are the folders around it with `__init__.py`."""
    part = file.parent if file.name == "__init__.py" else file
    parts = [part.stem if part == file else part.name]
    root = part.parent
    while (root / "__init__.py").is_file() and root != root.parent:
        parts.insert(0, root.name)
        part, root = root, root.parent
    return ModulePlace(name=".".join(parts), root=root, origin=part)


def _origin(name: str, path: Sequence[str]) -> Path | None:
    """Return the file or folder that the first part of a module's name stands for."""
    top = PathFinder.find_spec(name.partition(".")[0], [entry or str(Path.cwd()) for entry in path])
    places = list(top.submodule_search_locations or ()) if top else []
    origin = places[0] if places else top.origin if top else None
    return Path(origin) if origin is not None and Path(origin).exists() else None


def _prefixes(name: str) -> Iterator[str]:
    """Yield `a`, `a.b` and `a.b.c`, all of which are run when `a.b.c` is imported."""
    parts = name.split(".")
    for i in range(len(parts)):
        yield ".".join(parts[: i + 1])


def _files(root: Path, module: str) -> list[Path]:
    base = root.joinpath(*module.split("."))
    candidates = (base / "__init__.py", base.with_name(base.name + ".py"))
    return [file for file in candidates if file.is_file()][:1]


def _parsed(file: Path) -> ast.Module | None:
    try:
        return ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None


def _imports(file: Path, root: Path) -> Iterator[str]:
    """Yield the modules that a file names in its import statements, wherever they stand."""
    tree = _parsed(file)
    if tree is None:
        return
    package = file.relative_to(root).parent.parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _prefixes(alias.name)
        elif isinstance(node, ast.ImportFrom):
            # One dot is this package, each further one the package around it.
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from _prefixes(base)
            for alias in node.names:
                yield f"{base}.{alias.name}" if base else alias.name
