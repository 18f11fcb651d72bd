"""The contents of a data folder: which files may be data, and which only lie beside it.

This is the only place for the rule: folders on disk, objects of stores and matches of globs are all
sorted here.
"""

from __future__ import annotations

import collections
import errno
import functools
import os
import re
import stat
from collections.abc import Collection, Iterable
from pathlib import Path

from trainer.config import Part, part_of
from trainer.data import pictures
from trainer.data.folder_contents import FolderContents
from trainer.data.formats.registry import FORMATS
from trainer.data.formats.set_description import is_description
from trainer.storage import globs

# Endings of files that are no data, in lower case: of tools and of writers at work, texts, code,
# pictures, logs, models and checkpoints.
_EXTENSIONS = (
    r"md|rst|txt|json|jsonl|ya?ml|toml|cfg|ini|xml|csv|tsv|html?|pdf|crc|md5|sha\d+|sum|log|out|"
    r"err|py|pyc|ipynb|sh|png|jpe?g|gif|svg|parquet|avro|orc|arrow|feather|mat|pkl|pickle|joblib|"
    r"pb|pbtxt|cpb|ckpt|index|meta|h5|hdf5|keras|tflite|onnx|pt|pth|safetensors|tgz|tar|tar\.gz|zip|"
    r"manifest|tmp|temp|part|partial|inprogress|crdownload|lock|swp|bak"
)
# Names of such files, in lower case; the events of TensorBoard are TFRecords too.
_NO_DATA = re.compile(
    rf"[._].*|.*\.({_EXTENSIONS})|.*~|.*\$folder\$|.*\.tfevents\..*|"
    r"(readme|license|licence|notice|authors|changelog|manifest|makefile|dockerfile)(\..*)?|"
    r"(md5|sha\d+)sums?|checksums?|checkpoint|thumbs\.db"
)
# Folders that hold no data: hidden ones, those of writers at work, and a disk's own.
_NO_FOLDER = re.compile(
    r"[._].*|beam-temp-.*|temp-beam-.*|lost\+found|\$recycle\.bin|system volume information|@eadir",
    re.IGNORECASE,
)
# Names in a folder that holds a SavedModel.
_MODEL = ("saved_model.pb", "saved_model.pbtxt", "saved_model.cpb")
_MODEL_FOLDERS = ("variables", "assets", "assets.extra")
# Names of checkpoints: the trainer's own, and the values of one of TensorFlow's.
_CHECKPOINT, _STATE = re.compile(r"ckpt-\d+"), "state.json"
_VALUES = re.compile(r"(.*)\.data-\d{5}-of-\d{5}")
# A run looks through its folders a dozen times, which takes seconds each where every example is a
# file: the contents of folders with so many files are kept as long as nothing changes there.
KEPT_FILES = 1000


_known: dict[tuple[str, str], FolderContents] = {}


def data_among(names: Iterable[str]) -> set[str]:
    """Return those of the names of the files in a folder, to any depth, that may be data."""
    names = list(names)
    held: dict[str, set[str]] = collections.defaultdict(set)
    for name in names:
        folder, _, last = name.rpartition("/")
        held[folder].add(last)
        while folder:
            folder, _, last = folder.rpartition("/")
            held[folder].add(last)

    def passed(name: str) -> bool:
        parts = name.split("/")
        for i, part in enumerate(parts[:-1]):
            beside, inside = held["/".join(parts[:i])], held["/".join(parts[: i + 1])]
            if _passes_folder(part, beside=beside, is_checkpoint=_STATE in inside):
                return True
        return _passes_file(parts[-1], beside=held["/".join(parts[:-1])])

    found = {name for name in names if not passed(name)}
    return found | pictures.lists_among(names, found)


def wanted_among(names: Iterable[str]) -> set[str]:
    """Return those of the names in a folder, to any depth, that are fetched to train on them.

    That is data, and what describes it, such as `features.json` of TensorFlow Datasets.
    """
    names = list(names)
    found = data_among(names)
    folders = {name.rpartition("/")[0] for name in found}
    return found | {
        name for name in names if name.rpartition("/")[0] in folders and is_description(name)
    }


def scan_path(path: Path) -> FolderContents:
    """Sort the files in a folder, to any depth, or among the matches of a glob.

    Links are followed. A folder that several of them lead to is looked through once, or once for
    each part of the data that it is linked as.

    Args:
        path: A file, which is data whatever its name, a folder or a glob.

    Raises:
        OSError: A folder cannot be read, or a link leads nowhere.
    """
    if path.is_file():
        return FolderContents(files=[path])
    key = (str(Path.cwd()), str(path))
    if (known := _known.get(key)) and known.is_current:
        return known
    held = FolderContents()
    if path.is_dir():
        _walk([path], held, top=path)
    else:
        _walk(_matching(path, held), held, top=globs.root(path))
    # By their parts; as text that takes half the time, and is asked for again.
    held.files[:] = sorted(dict.fromkeys(held.files), key=lambda file: str(file).replace("/", "\0"))
    # Of a file that is there both gzipped and unpacked, the gzipped one is left out.
    if any(file.name.endswith(".gz") for file in held.files):
        unpacked = set(held.files)
        held.files[:] = [
            f for f in held.files if not (f.name.endswith(".gz") and f.with_suffix("") in unpacked)
        ]
    pictures.set_apart(held.files, held.beside)
    held.empty.sort()
    held.beside.sort()
    if path.is_dir() and len(held.files) >= KEPT_FILES:
        _known[key] = held
    return held


def _matching(glob: Path, held: FolderContents) -> list[Path]:
    """Return the folders that a glob matches; the files go into `held`."""
    folders = []
    beside: dict[Path, list[str]] = {}
    for path in globs.find(glob):
        if path.parent not in beside:
            beside[path.parent] = [file.name for file in path.parent.iterdir()]
        names = beside[path.parent]
        if not path.is_dir():
            _sort_in(path, names, held)
        elif path.name != glob.name and _passes(path, beside=names):
            held.beside.append(path.name)
        else:
            folders.append(path)
    return folders


def _walk(folders: Iterable[Path], held: FolderContents, *, top: Path) -> None:
    queue = collections.deque(
        (folder, part_of(folder.relative_to(top).parts), folder.is_symlink()) for folder in folders
    )
    visited: set[tuple[int, int, Part | None]] = set()
    while queue:
        folder, part, linked = queue.popleft()
        here = folder.stat()
        # Some mounts give all folders one number, so that only folders behind links are compared.
        if linked and (here.st_dev, here.st_ino, part) in visited:
            continue
        visited.add((here.st_dev, here.st_ino, part))
        held.folders.append((folder, here.st_mtime_ns))
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        names = [entry.name for entry in found]
        for entry in found:
            path, is_link = folder / entry.name, entry.is_symlink()
            # For a link that leads to itself, `Path` says that it is no folder; the entry raises.
            if not (path if is_link else entry).is_dir():
                _sort_in(path, names, held, entry)
            elif _passes(path, beside=names):
                held.beside.append(entry.name)
            else:
                step = (path, part_of([entry.name]) or part, linked or is_link)
                # Folders that lie here come before folders behind links.
                (queue.append if is_link else queue.appendleft)(step)


def _passes(folder: Path, *, beside: Collection[str]) -> bool:
    is_checkpoint = bool(_CHECKPOINT.fullmatch(folder.name)) and (folder / _STATE).exists()
    return _passes_folder(folder.name, beside=beside, is_checkpoint=is_checkpoint)


def _passes_folder(name: str, *, beside: Collection[str], is_checkpoint: bool) -> bool:
    """Return whether to pass over a folder: of a tool, a writer, a model or a checkpoint."""
    if name in _MODEL_FOLDERS and any(model in beside for model in _MODEL):
        return True
    return bool(_NO_FOLDER.fullmatch(name) or (is_checkpoint and _CHECKPOINT.fullmatch(name)))


def _passes_file(name: str, *, beside: Collection[str]) -> bool:
    """Return whether to pass over a file of a folder by its name and those beside it."""
    values = _VALUES.fullmatch(name) if ".data-" in name else None
    stem = name.rpartition(".")
    # An index is a checkpoint's, or a list of where the records of a file begin, for other readers.
    is_index = stem[2] == "idx" and stem[0] in beside
    is_values = values is not None and f"{values[1]}.index" in beside
    if is_index or is_values:
        return True
    lower = name.lower()
    return not _is_of_a_format(lower) and bool(_NO_DATA.fullmatch(lower))


def _is_of_a_format(name: str) -> bool:
    """Return whether a name in lower case, not a hidden one, has a suffix that a format claims."""
    return name.endswith(_suffixes(tuple(FORMATS))) and not name.startswith(globs.HIDDEN)


@functools.cache
def _suffixes(formats: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(suffix for name in formats for suffix in FORMATS[name].suffixes)


def _sort_in(
    path: Path,
    beside: Collection[str],
    held: FolderContents,
    entry: os.DirEntry[str] | None = None,
) -> None:
    if _passes_file(path.name, beside=beside):
        held.beside.append(path.name)
        return
    try:
        found = (entry or path).stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            held.beside.append(path.name)
            return
        if error.errno == errno.ENOENT and path.is_symlink():
            raise OSError(errno.ENOENT, "a link that leads nowhere", str(path)) from None
        raise
    if not stat.S_ISREG(found.st_mode):
        held.beside.append(path.name)
    else:
        (held.files if found.st_size else held.empty).append(path)
