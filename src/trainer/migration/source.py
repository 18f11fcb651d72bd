"""A script or a notebook as Python's syntax trees, without what only a notebook understands."""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.config import UserError

# The largest file that is read; notebooks keep pictures in them.
MOST_BYTES = 64 * 2**20
# The largest piece of Python that is parsed.
MOST_TEXT = 2 * 2**20
# Cells of these kinds are Python; those of any other magic, such as %%bash, are not.
_PYTHON_CELLS = ("time", "timeit", "capture", "prun", "python", "python3")
_SHELL_CELLS = ("bash", "sh", "shell", "script")
# The function that stands for lines of a shell; its second argument marks a notebook's `!`.
SHELL = "__shell__"
_SYSTEM = re.compile(r"^(\s*)((?:[\w., ]+=)?\s*)!+(.*)$", re.DOTALL)
_SETTING = re.compile(r"^(\s*)%(?:env|set_env)\s+(\w+)[=\s]\s*(.*)$")
_MAGIC = re.compile(r"^(\s*)(?:[%!]|.*\?\??\s*$|[\w., ]+=\s*[%!])")
_BASH = re.compile(r"#!\S*(?:/env )?\s*\S*\b(?:ba|z|k)?sh\b")
_WRITTEN = re.compile(r"%%(?:writefile|file)\s+(?:-a\s+)?(\S+)\s*$")


@dataclass(frozen=True, kw_only=True)
class Script:
    """The statements of a file, in their order.

    Attributes:
        path: The file.
        body: Its statements, whose lines are counted over all cells.
        places: For each of these lines, where it stands: `task.py:3`, `mnist.ipynb cell 2:3`.
        files: Files that cells of a notebook write, by their paths.
        unread: Cells that are no Python of this version, with the reason.
    """

    path: Path
    body: tuple[ast.stmt, ...]
    places: tuple[str, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    unread: tuple[tuple[str, str], ...] = ()

    def place(self, line: int) -> str:
        """Return where a line stands."""
        return self.places[line - 1] if 0 < line <= len(self.places) else self.path.name


def read_script(path: Path) -> Script:
    """Read a Python script or a notebook, without running or importing anything.

    Raises:
        UserError: It cannot be read, or is neither.
    """
    text = _text(path)
    if path.suffix == ".ipynb" or text.lstrip().startswith("{"):
        return _notebook(path, text)
    lines = text.count("\n") + 1
    places = tuple(f"{path.name}:{number + 1}" for number in range(lines))
    if path.suffix in (".sh", ".bash") or _BASH.match(text):
        return Script(path=path, body=tuple(_parsed(f"{SHELL}({text!r})").body), places=places)
    try:
        tree = _parsed(text)
    except SyntaxError as error:
        raise UserError(
            subject=f"{path.name}:{error.lineno or 1}",
            problem=f"is no Python {'of this version ' if text else ''}({error.msg})",
            remedy="correct the line; 2to3 converts a script of Python 2",
        ) from None
    return Script(path=path, body=tuple(tree.body), places=places)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            # Pipes and devices do not say how long they are.
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise UserError(subject=path, problem=f"has more than {MOST_BYTES >> 20} MiB")
        return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        raise UserError(subject=path, problem="is no text in UTF-8") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise UserError(subject=path, problem=f"cannot be read: {why}") from None


def _parsed(text: str) -> ast.Module:
    """Parse Python; whatever its parser makes of hostile text is a SyntaxError."""
    if len(text) > MOST_TEXT:
        raise SyntaxError(f"more than {MOST_TEXT >> 20} MiB")
    try:
        with warnings.catch_warnings():
            # A script's own "\d" is none of the reader's business.
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (ValueError, RecursionError, MemoryError) as error:
        raise SyntaxError(str(error) or "nested too deep") from None


def _notebook(path: Path, text: str) -> Script:
    body: list[ast.stmt] = []
    places: list[str] = []
    files: dict[str, str] = {}
    unread: list[tuple[str, str]] = []
    for number, source in _cells(path, text):
        where = f"{path.name} cell {number}"
        written = _WRITTEN.match(source.partition("\n")[0])
        if written:
            files[written[1]] = source.partition("\n")[2]
            continue
        try:
            tree = _parsed_cell(source)
        except SyntaxError as error:
            unread.append((f"{where}:{error.lineno or 1}", str(error.msg)))
            continue
        ast.increment_lineno(tree, len(places))
        body += tree.body
        places += [f"{where}:{line + 1}" for line in range(source.count("\n") + 1)]
    return Script(
        path=path, body=tuple(body), places=tuple(places), files=files, unread=tuple(unread)
    )


def _cells(path: Path, text: str) -> Iterator[tuple[int, str]]:
    """Yield number and text of each cell of code; cells are counted from 1, as people do."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise UserError(subject=path, problem="is neither Python nor a notebook") from None
    cells: Any = found.get("cells") if isinstance(found, dict) else None
    if cells is None and isinstance(found, dict) and isinstance(found.get("worksheets"), list):
        # Version 3 of the format.
        sheets = [sheet for sheet in found["worksheets"] if isinstance(sheet, dict)]
        cells = [cell for sheet in sheets for cell in sheet.get("cells") or ()]
    if not isinstance(cells, list):
        raise UserError(subject=path, problem="is no notebook: it has no cells")
    for number, cell in enumerate(cells, 1):
        if isinstance(cell, dict) and cell.get("cell_type") == "code":
            source = cell.get("source", cell.get("input", ""))
            lines = source if isinstance(source, list) else [source]
            yield number, "".join(line for line in lines if isinstance(line, str))


def _parsed_cell(source: str) -> ast.Module:
    first, _, rest = source.partition("\n")
    if first.startswith("%%"):
        if first[2:].split(" ")[0].strip() in _SHELL_CELLS:
            return ast.parse(f"{SHELL}({chr(10) + rest!r})")
        if first[2:].split(" ")[0] not in _PYTHON_CELLS:
            return ast.Module(body=[], type_ignores=[])
        source = f"\n{rest}"
    try:
        return _parsed(source)
    except SyntaxError:
        return _parsed(_without_magics(source))


def _without_magics(source: str) -> str:
    """Return a cell with calls in the place of what only a notebook understands."""
    lines: list[str] = []
    rest = source.split("\n")
    while rest:
        line = rest.pop(0)
        magic = _MAGIC.match(line)
        if not magic:
            lines.append(line)
            continue
        more = 0
        while line.rstrip().endswith("\\") and rest:
            line, more = f"{line}\n{rest.pop(0)}", more + 1
        system, setting = _SYSTEM.match(line), _SETTING.match(line)
        if system:
            lines.append(f"{system[1]}{system[2]}{SHELL}({system[3]!r}, True)")
        elif setting:
            lines.append(f"{setting[1]}os.environ[{setting[2]!r}] = {setting[3]!r}")
        else:
            lines.append(f"{magic[1]}pass")
        lines += [""] * more
    return "\n".join(lines)
