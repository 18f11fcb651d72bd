"""Local inputs of a job that runs elsewhere: which files they are, and where they are uploaded."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.config import Job, UserError, flag_of
from trainer.models import is_path, module_file, source_files
from trainer.platforms import INPUTS, Submission
from trainer.storage import NO_OPTIONS, StorageOptions, globs, is_remote, local_path, upload_files


@dataclass(frozen=True, kw_only=True)
class Upload:
    """Files that one flag names.

    Attributes:
        flag: The flag and what it names.
        url: The remote folder that they are sent to.
        files: The files by their names in it.
    """

    flag: str
    url: str
    files: Mapping[str, Path]

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(file.stat().st_size for file in self.files.values())

    def send(self, stopped: Callable[[], bool], *, options: StorageOptions = NO_OPTIONS) -> int:
        """Send the files that are not there yet, and return how many these were."""
        flag = self.flag.partition(" ")[0]
        return upload_files(self.files, self.url, options=options, stopped=stopped, flag=flag)


def plan_uploads(
    submission: Submission, bucket: str, *, mounted: Sequence[str] = ()
) -> tuple[Submission, tuple[Upload, ...]]:
    """Return the submission with urls in place of local inputs, and what has to be uploaded.

    Folders there are named after the names, sizes and times of the files, so that the same data is
    sent once. The files of a module are named after their content.

    Args:
        submission: A job, as its submitter describes it.
        bucket: The url below which inputs are kept.
        mounted: Folders that the containers have themselves; what is named there stays as it is.

    Raises:
        UserError: A file is not there.
    """
    uploads: list[Upload] = []
    changed: dict[str, str | tuple[str, ...]] = {}
    for name in INPUTS:
        value = getattr(submission.job, name)
        if name not in submission.given or not value:
            continue
        if name == "module":
            found = None if _is_mounted(value, mounted) else _module(value, bucket)
        elif name == "classes" and value.isdigit():
            continue
        else:
            values = value if isinstance(value, tuple) else (value,)
            pairs = [
                (each, None)
                if _is_mounted(each, mounted)
                else _data(each, bucket, flag=flag_of(name))
                for each in values
            ]
            uploads += [upload for _, upload in pairs if upload]
            urls = tuple(url for url, _ in pairs)
            changed[name] = urls if isinstance(value, tuple) else urls[0]
            continue
        if found:
            changed[name] = found[0]
            uploads.append(found[1])
    return submission.with_inputs(changed), tuple(uploads)


def _is_mounted(path: str, mounted: Sequence[str]) -> bool:
    return any(f"{path}/".startswith(f"{folder.rstrip('/')}/") for folder in mounted)


def _module(name: str, bucket: str) -> tuple[str, Upload] | None:
    """Return the url of a module's file, and the upload of all it imports from the same place."""
    if name == Job.module or is_remote(name):
        return None
    files = source_files(name)
    main = module_file(name) or (Path(name).absolute() if Path(name).is_file() else None)
    if main is None:
        if is_path(name):
            raise UserError(subject=f"--module {name}", problem="no such file")
        # It may be in the image.
        return None
    files = files or {main.name: main}
    if {"site-packages", "dist-packages"} & {*main.parts}:
        return None
    digest = hashlib.sha256()
    for key, file in files.items():
        digest.update(f"{key}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    url = f"{bucket}/code/{digest.hexdigest()[:16]}"
    key = next(key for key, file in files.items() if file == main)
    return f"{url}/{key}", Upload(flag=f"--module {name}", url=url, files=files)


def _data(path: str, bucket: str, *, flag: str) -> tuple[str, Upload | None]:
    """Return the url of a file, a folder or a glob, and its upload; local ones only."""
    if is_remote(path):
        return path, None
    subject = f"{flag} {path}"
    local = Path(local_path(path, flag=flag)).absolute()
    if local.is_dir():
        files = {f.relative_to(local).as_posix(): f for f in _files_in(local)}
    elif local.is_file():
        files = {local.name: local}
    else:
        base = globs.root(local)
        files = {
            file.relative_to(base).as_posix(): file
            for found in globs.find(local)
            for file in (_files_in(found) if found.is_dir() else [found])
        }
    if not files:
        raise UserError(subject=subject, problem="nothing is there")
    digest = hashlib.sha256()
    for key in sorted(files):
        stat = files[key].stat()
        digest.update(f"{key}\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode())
    url = f"{bucket}/data/{digest.hexdigest()[:16]}"
    upload = Upload(flag=subject, url=url, files=files)
    return (f"{url}/{local.name}" if local.is_file() else url), upload


def _files_in(folder: Path) -> Sequence[Path]:
    """Return the files below a folder, without hidden ones."""
    return [
        file
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not any(p.startswith(".") for p in file.relative_to(folder).parts)
    ]
