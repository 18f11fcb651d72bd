"""The local paths of a job, as a container sees them: inputs read-only, outputs writable.

    --train data/mnist          /input/train        read-only
    --module nets/mine.py       /input/module/…     read-only, with what lies beside it
    --model-dir runs/a/model    /outputs/model-dir/model, as the report goes beside it

A job that names no folder for its model writes below `/output`, its working folder there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from trainer.backends.engine.container import Mount, absolute
from trainer.config import Job, UserError, class_count, flag_of
from trainer.models import find_module, is_path
from trainer.platforms import Submission
from trainer.storage import globs, is_remote, local_path

INPUT, OUTPUT, OUTPUTS = "/input", "/output", "/outputs"
DATA = ("train", "validation", "test")
FOLDERS = ("job_dir", "model_dir", "output_dir", "checkpoint_dir", "log_dir")
FILES = ("timeline", "autotune_log")
RESULTS_HERE = "runs"


@dataclass(frozen=True, kw_only=True)
class ContainerPaths:
    """A job with a container's paths.

    Attributes:
        submission: The job, its paths those in the container.
        mounts: The folders and files of this machine behind them.
        folders: The folders here that have to be made before, as the engine would make them root's.
        working_folder: The container's working folder, or None for the image's own.
        model: The folder of the model in the container, or its url.
        report: The folder of metrics.json there, or its url.
    """

    submission: Submission
    mounts: tuple[Mount, ...]
    folders: tuple[Path, ...]
    working_folder: str | None
    model: str
    report: str


@dataclass
class _Mounts:
    """Mounts as they are collected, each folder of this machine once."""

    found: dict[tuple[str, bool], Mount] = field(default_factory=dict)

    def add(
        self, source: Path, *, top: str, name: str, below: str = "", write: bool = False
    ) -> str:
        """Mount a folder or file, and return its path in the container.

        Args:
            source: It.
            top: The folder of the container that it is mounted in.
            name: The field that names it.
            below: Its name in a folder of its own.
            write: True if the job writes there.
        """
        key = (str(source), write)
        if key not in self.found:
            targets = {str(PurePosixPath(m.target)) for m in self.found.values()}
            numbers = [f"{top}/{name}", *(f"{top}/{name}-{n}" for n in range(2, 1000))]
            used = {target for target in numbers if any(_in(t, target) for t in targets)}
            target = next(t for t in numbers if t not in used)
            self.found[key] = Mount(
                source=key[0], target=f"{target}/{below}" if below else target, read_only=not write
            )
        return self.found[key].target


def container_paths(submission: Submission, *, elsewhere: bool = False) -> ContainerPaths:
    """Return a job as a container of this machine's engine is given it.

    Args:
        submission: The job, with paths of this machine and urls.
        elsewhere: True if the container runs on another machine, whose data this one need not have.

    Raises:
        UserError: A path is not there.
    """
    mounts, given, job = _Mounts(), {*submission.given}, submission.job
    changed: dict[str, object] = {}
    for name in DATA:
        paths = getattr(job, name)
        changed[name] = tuple(_data(path, name, mounts, elsewhere) for path in paths)
    changed["module"] = _module(job.module, mounts)
    for name in ("input", "classes"):
        text = getattr(job, name)
        if text and (name == "input" or class_count(text) is None):
            changed[name] = _data(text, name, mounts, elsewhere)
    folders: list[Path] = []
    for name in (*FOLDERS, *FILES, "mlflow_uri"):
        if name in given and getattr(job, name):
            changed[name] = _output(name, job, given, mounts, folders)
    working = None
    if not given & {"job_dir", "model_dir"}:
        base = f"{submission.output or RESULTS_HERE}/{submission.name}"
        if is_remote(base):
            changed["job_dir"] = base
            given.add("job_dir")
        else:
            working = OUTPUT
            folders.append(absolute(local_path(base, flag="--output")))
            mount = Mount(source=str(folders[-1]), target=OUTPUT, read_only=False)
            mounts.found[mount.source, True] = mount
    job = dataclasses.replace(job, **changed)  # type: ignore[arg-type]
    model, report = _results(job, given)
    return ContainerPaths(
        submission=dataclasses.replace(submission, job=job, given=frozenset(given)),
        mounts=tuple(mounts.found.values()),
        folders=tuple(folders),
        working_folder=working,
        model=model,
        report=report,
    )


def _data(text: str, name: str, mounts: _Mounts, elsewhere: bool) -> str:
    """Mount what a path or glob names, and return its path in the container."""
    flag = flag_of(name)
    if is_remote(text):
        return text
    path = absolute(local_path(text, flag=flag))
    top = globs.root(path)
    if not top.exists() and elsewhere:
        return mounts.add(path, top=INPUT, name=name, below=path.name)
    if not top.exists():
        raise UserError(subject=f"{flag} {text}", problem="does not exist on this machine")
    if top.is_dir():
        target = mounts.add(top, top=INPUT, name=name)
        return str(PurePosixPath(target, path.relative_to(top)))
    # Labels, names of classes and pictures that a file lists lie beside it, so its folder is
    # mounted. A link may lie anywhere, and a container need not see a whole home.
    if path.is_symlink() or path.parent in (Path.home(), Path(path.anchor)):
        return mounts.add(path, top=INPUT, name=name, below=path.name)
    return str(PurePosixPath(mounts.add(path.parent, top=INPUT, name=name), path.name))


def _module(name: str, mounts: _Mounts) -> str:
    """Mount the folder of a module of the user's own, and return its path in the container.

    A module that is installed here has to be installed in the image, under the same name.
    """
    place = None if name == Job.module else find_module(name)
    if place is None or any(p in ("site-packages", "dist-packages") for p in place.root.parts):
        if place is None and is_path(name):
            raise UserError(subject=f"--module {name}", problem="does not exist on this machine")
        return name
    if place.origin.suffix == ".keras":
        return mounts.add(place.origin, top=INPUT, name="module", below=place.origin.name)
    top = mounts.add(place.root, top=INPUT, name="module")
    file = place.root.joinpath(*place.name.split("."))
    return str(PurePosixPath(top, *place.name.split("."))) + ("" if file.is_dir() else ".py")


def _output(name: str, job: Job, given: set[str], mounts: _Mounts, folders: list[Path]) -> str:
    """Mount the folder that a job writes to, and return the path in the container."""
    text: str = getattr(job, name)
    if is_remote(text) or (name == "mlflow_uri" and not _is_folder(text)):
        return text
    path = absolute(local_path(text, flag=flag_of(name)))
    beside = name in FILES or (name == "model_dir" and not given & {"job_dir", "output_dir"})
    # The report goes beside the model.
    folder = path.parent if beside else path
    folders.append(folder)
    target = mounts.add(folder, top=OUTPUTS, name=name.replace("_", "-"), write=True)
    return str(PurePosixPath(target, path.relative_to(folder)))


def _is_folder(uri: str) -> bool:
    """Return whether MLflow's address is a folder of this machine, not a server's."""
    return uri.startswith("file:") or not (
        ":" in uri or uri.startswith("databricks") or uri == "uc"
    )


def _results(job: Job, given: set[str]) -> tuple[str, str]:
    """Return the folders of the model and of the report in the container."""
    base = job.job_dir if "job_dir" in given else None
    model = job.model_dir if "model_dir" in given or not base else f"{base}/model"
    report = job.output_dir if "output_dir" in given else base
    report = report or str(PurePosixPath(model).parent)
    there = (model, report)
    return tuple(p if is_remote(p) else str(PurePosixPath(OUTPUT, p)) for p in there)  # type: ignore[return-value]


def _in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def with_users_mounts(found: Sequence[Mount], users: Sequence[Mount]) -> tuple[Mount, ...]:
    """Return all mounts, those that the user names last.

    Raises:
        UserError: Two have the same place in the container.
    """
    taken = {mount.target for mount in found}
    for mount in users:
        if mount.target in taken:
            raise UserError(
                subject=f"--mount {mount.source}:{mount.target}",
                problem="something else is mounted there already",
                remedy="name another path in the container",
            )
        if not Path(mount.source).exists():
            raise UserError(subject=f"--mount {mount.source}", problem="does not exist")
        taken.add(mount.target)
    return (*found, *users)
