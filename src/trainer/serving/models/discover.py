"""Models of a folder: each `…/<number>/saved_model.pb`, as TensorFlow Serving has them.

DIR/1/saved_model.pb                 one model, named by --model-name
DIR/saved_model.pb                   the same, as version 1
DIR/export/Servo/1/saved_model.pb    the same, as SageMaker's estimators write it
DIR/digits/1/…  DIR/iris/3/…         several models, named by their folders

Two models of one name are refused, as a client could not say which of them it means.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePath

from trainer.config import UserError
from trainer.packaging import GRAPH_FILE, SERVO_FOLDER, find_saved_models, version_of

DEPTH = 5
_SERVO = PurePath(SERVO_FOLDER).parts
_SHARD = re.compile(r"variables\.data-\d{5}-of-(\d{5})")

# Names, sizes and times of a folder's files, which change when a file does.
Fingerprint = tuple[tuple[str, int, int], ...]


def find(folder: Path, *, name: str) -> dict[str, dict[int, Path]]:
    """Return the models of a folder: for each name, the folders of its versions by number.

    Args:
        folder: The folder, which is searched without hidden folders.
        name: Of a model that has no folder of its own.

    Raises:
        UserError: Two models have one name, or two folders are the same version.
    """
    models: dict[str, dict[int, Path]] = {}
    homes: dict[str, Path] = {}
    for path in find_saved_models(folder, depth=DEPTH):
        parts = path.relative_to(folder).parts
        version = version_of(parts[-1]) if parts else 1
        if version is None:
            # No client could ask for a SavedModel that has no version number.
            continue
        home = path.parent if parts else path
        above = home.relative_to(folder).parts if parts else ()
        if above[-2:] == _SERVO:
            above = above[:-2]
        own = above[-1] if above else name
        first = homes.setdefault(own, home)
        if first != home:
            raise UserError(
                subject=f"--model-dir {folder}",
                problem=f"{first} and {home} are both called '{own}'",
                remedy="rename one of the folders, or serve one of them",
            )
        other = models.setdefault(own, {}).setdefault(version, path)
        if other != path:
            raise UserError(
                subject=f"--model-dir {folder}",
                problem=f"{other} and {path} are both version {version} of '{own}'",
                remedy="remove one of them",
            )
    return models


def fingerprint(path: Path, *, partial: bool = False) -> Fingerprint | None:
    """Return the state of a SavedModel's files; None if some are missing.

    A folder that is being copied has its `saved_model.pb` long before it has its weights.

    Args:
        path: The folder.
        partial: Whether weights may be missing. A frozen model of TensorFlow 1 never has any, and
            cannot be distinguished from one that is being copied.
    """
    try:
        files = sorted(p for p in path.rglob("*") if p.is_file())
        stats = [(str(p.relative_to(path)), p.stat()) for p in files]
    except OSError:
        return None
    names = {name for name, _ in stats}
    shards = [m for m in map(_SHARD.fullmatch, (Path(n).name for n in names)) if m]
    index = "variables/variables.index"
    whole = GRAPH_FILE in names and (
        partial
        or (index in names and bool(shards) and len(shards) == int(shards[0][1]))
        # A model without variables has no such folder.
        or not (path / "variables").exists()
    )
    return tuple((name, s.st_size, s.st_mtime_ns) for name, s in stats) if whole else None
