"""Search for the source files of a model module, which is not imported for it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import PathFinder
from pathlib import Path

# The most files of one module; any real one has fewer, and a whole environment would take minutes.
MOST = 500


def source_files(name: str, *, path: Sequence[str] | None = None) -> dict[str, Path]:
    """Return the files of a module and of what it imports from the same place.

    Args:
        name: As in an import statement.
        path: Folders to search; by default those of `python -m trainer`, started here.

    Returns:
        Files by their names below the folder in which the module was found; none if there is no
        such module.
    """
    origin = _origin(name, [str(Path.cwd()), *sys.path] if path is None else path)
    if origin is None:
        return {}
    root, own = origin.parent, name.partition(".")[0]
    # In site-packages every other package lies beside it; hosts compare those by their versions.
    alone = root.name in ("site-packages", "dist-packages")
    found: dict[str, Path] = {}
    waiting = [file for module in _prefixes(name) for file in _files(root, module)]
    if not waiting and origin.is_file():
        # A compiled module.
        waiting = [origin]
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
        name: As in an import statement.
        path: As of `source_files`.
    """
    origin = _origin(name, [str(Path.cwd()), *sys.path] if path is None else path)
    return next(iter(_files(origin.parent, name)), None) if origin else None


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


def _imports(file: Path, root: Path) -> Iterator[str]:
    """Yield the modules that a file names in its import statements, wherever they stand."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
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
