"""The script of a user's own that an estimator runs, and what of it a module of the trainer needs.

Sources: the functions that SageMaker's TensorFlow containers asked for (`keras_model_fn`,
`train_input_fn`, …), and those of `tf.estimator`; docs/your-model.md has the trainer's.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from trainer.config import UserError
from trainer.migration.commands import LeftOut
from trainer.migration.source import Script, read_script

WANTED = "keras_model"
_MODEL = "write keras_model(hparams), which returns the Keras model before it is compiled"
_DATA = (
    "leave it out where the data is TFRecords, images, arrays or tables: --train and --test are "
    "read; else write input_fn(paths, mode, batch_size, shard)"
)
# The functions that Estimator projects have, and what the user does with each.
FUNCTIONS: Mapping[str, str] = {
    "keras_estimator": f"{_MODEL} and handed to model_to_estimator",
    "keras_model_fn": _MODEL,
    "build_model": _MODEL,
    "create_model": _MODEL,
    "estimator_fn": _MODEL,
    "model_fn": f"{_MODEL}; loss_fn and metrics() take the place of the EstimatorSpec",
    "train_input_fn": _DATA,
    "eval_input_fn": _DATA,
    "serving_input_fn": "leave it out: the SavedModel gets a signature of the model's inputs; or "
    "write serving_input_fn(model), which returns functions by name",
}
# The arguments that the trainer's own functions of these names have.
_OURS = {"input_fn": "paths", "serving_input_fn": "model"}
_MOST_FILES = 200


@dataclass(frozen=True, kw_only=True)
class ScriptModule:
    """A user's script as a module of the trainer.

    Attributes:
        module: The path for `--module`.
        is_ready: True if it has what the trainer asks of a module.
        notes: What is to be changed in it.
    """

    module: str
    is_ready: bool
    notes: tuple[tuple[str, str, str], ...] = ()


def is_there(script: Script, name: str) -> bool:
    """Return whether a script has a file beside it, or writes it from a cell."""
    try:
        return name in script.files or (script.path.parent / name).is_file()
    except (OSError, ValueError):
        return False


def find_code(script: Script, entry_point: str, source_dir: str | None) -> ScriptModule:
    """Return the module that takes the place of an estimator's script.

    Args:
        script: The script that makes the estimator; paths are relative to its folder.
        entry_point: The script that the estimator runs.
        source_dir: The folder of it and of what it imports, or None.
    """
    entry = PurePosixPath(source_dir or "", entry_point).as_posix().removeprefix("./")
    files = dict(_files(script, entry, source_dir))
    functions = {name: _functions(file) for name, file in files.items()}
    for name, found in functions.items():
        if WANTED in found:
            return ScriptModule(module=_shown(script, name), is_ready=True)
    notes: list[tuple[str, str, str]] = []
    module = entry
    for name, found in functions.items():
        known = [each for each in found if each in FUNCTIONS or each in _OURS]
        if any(FUNCTIONS.get(each, "").startswith(_MODEL[:20]) for each in known):
            module = name
        for each in known:
            remedy = FUNCTIONS.get(each, _DATA)
            if remedy and _OURS.get(each) not in found[each].arguments[:1]:
                notes.append((found[each].place, each, remedy))
    return ScriptModule(module=_shown(script, module), is_ready=False, notes=tuple(notes))


@dataclass(frozen=True, kw_only=True)
class _Function:
    place: str
    arguments: tuple[str, ...]


def _shown(script: Script, name: str) -> str:
    """Return a path as it is from the folder that the command is run in."""
    folder = script.path.parent
    return name if folder == Path() else (folder / name).as_posix()


def _files(script: Script, entry: str, source_dir: str | None) -> Iterator[tuple[str, Script]]:
    """Yield the script of an estimator, and those beside it in its source_dir."""
    names = [entry]
    if source_dir and "://" not in source_dir:
        folder = script.path.parent / source_dir
        try:
            beside = sorted(folder.glob("*.py"))[:_MOST_FILES] if folder.is_dir() else []
        except (OSError, ValueError):
            beside = []
        names += [PurePosixPath(source_dir, file.name).as_posix() for file in beside]
    for name in dict.fromkeys(each.removeprefix("./") for each in names):
        if name in script.files:
            yield name, _written(script, name)
            continue
        path = script.path.parent / name
        try:
            if path.suffix == ".py" and path.is_file():
                yield name, read_script(path)
        except (OSError, ValueError, UserError):
            # It may be of another version of Python; the command names it all the same.
            continue


def _written(script: Script, name: str) -> Script:
    """Return a file that a cell of the notebook writes."""
    text = script.files[name]
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        tree = ast.Module(body=[], type_ignores=[])
    places = tuple(f"{name}:{number + 1}" for number in range(text.count("\n") + 1))
    return Script(path=Path(name), body=tuple(tree.body), places=places)


def _functions(script: Script) -> dict[str, _Function]:
    """Return the functions at the top of a file, by name."""
    return {
        node.name: _Function(
            place=script.place(node.lineno), arguments=tuple(a.arg for a in node.args.args)
        )
        for node in script.body
        if isinstance(node, ast.FunctionDef)
    }


def note_of(place: str, name: str, remedy: str) -> LeftOut:
    """Return the note of a function that has to be changed."""
    return LeftOut(line=0, name=name, remedy=remedy, place=place)
