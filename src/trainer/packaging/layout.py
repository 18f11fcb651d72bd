"""Put a model into its folder, in one of several layouts, whole or not at all.

    version   DIR/3/saved_model.pb                 TensorFlow Serving, SageMaker
    servo     DIR/export/Servo/3/saved_model.pb    SageMaker's TensorFlow container of old
    flat      DIR/saved_model.pb                   Vertex AI
    tar       DIR/model.tar.gz, with 1/ in it      to be uploaded for SageMaker

The first column is the value of `--layout`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from trainer.packaging.contents import files_below
from trainer.packaging.locate import CODE_FOLDER, GRAPH_FILE, version_of
from trainer.packaging.tarball import write_tarball
from trainer.storage import local, unfinished

# The layouts that add a version to those in the folder.
VERSIONED_LAYOUTS = ("version", "servo")
SERVO_FOLDER = "export/Servo"
ARCHIVE_NAME = "model.tar.gz"
# The folders in a SavedModel.
PARTS = ("variables", "assets", "assets.extra")


def place_model(
    model_dir: Path, layout: str, write: Callable[[Path], None], *, code: Path | None = None
) -> Path:
    """Write a model and put it where the layout wants it; leave nothing if that fails.

    Args:
        model_dir: The model folder.
        layout: The value of `--layout`.
        write: Fills a folder with a SavedModel.
        code: A folder to put beside the model as `code`, in place of the one there.

    Returns:
        The model's folder, or the archive. That of a new version has one more than the highest
        number there; `flat` and `tar` replace the model there.

    Raises:
        OSError: The folder cannot be written.
    """
    model_dir.mkdir(parents=True, exist_ok=True)
    local.remove_leftovers(model_dir)
    if layout == "tar":
        with (
            local.naming_full_disk(model_dir / ARCHIVE_NAME),
            unfinished.temporary_folder(model_dir) as work,
        ):
            write(Path(work))
            found = {f"1/{name}": file for name, file in files_below(Path(work)).items()}
            if code:
                found |= {f"{CODE_FOLDER}/{name}": file for name, file in files_below(code).items()}
            return write_tarball(model_dir / ARCHIVE_NAME, found)
    base = model_dir / versions_in(layout)
    base.mkdir(parents=True, exist_ok=True)
    if base != model_dir:
        local.remove_leftovers(base)
    path = base / str(next_version(base))
    if layout == "flat":
        with local.part_folder(path) as part, local.naming_full_disk(model_dir):
            _fill(part, write, model_dir, code)
            local.sync(part)
            _flatten(part, model_dir)
        return model_dir
    with local.new_folder(path) as part:
        _fill(part, write, model_dir, code)
    return path


def versions_in(layout: str) -> str:
    """Return the folder of versions, relative to the model folder; empty for that folder itself."""
    return SERVO_FOLDER if layout == "servo" else ""


def next_version(folder: Path) -> int:
    """Return the version after the highest in a folder, or 1."""
    there = (version_of(path.name) for path in folder.iterdir())
    return max((number for number in there if number is not None), default=0) + 1


def copy_files(found: dict[str, Path], to: Path) -> None:
    """Copy files into a folder, each under its name in there."""
    for name, file in found.items():
        place = to / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)


def _fill(part: Path, write: Callable[[Path], None], model_dir: Path, code: Path | None) -> None:
    write(part)
    # Before the model appears, so that no server loads it without its code.
    if code:
        _put_code(code, model_dir / CODE_FOLDER)


def _put_code(code: Path, place: Path) -> None:
    if place.exists():
        local.remove_folder(place)
    with local.new_folder(place) as part:
        copy_files(files_below(code), part)


def _flatten(part: Path, model_dir: Path) -> None:
    """Move a model's files up into the model folder, the one that makes it a model last."""
    # First, so that no server loads the old graph with the new variables.
    (model_dir / GRAPH_FILE).unlink(missing_ok=True)
    for name in PARTS:
        shutil.rmtree(model_dir / name, ignore_errors=True)
    found = [file for file in part.rglob("*") if file.is_file()]
    for file in sorted(found, key=lambda file: file.name == GRAPH_FILE):
        place = model_dir / file.relative_to(part)
        place.parent.mkdir(parents=True, exist_ok=True)
        local.move_file(file, place)
