"""A job whose folders are in object stores, run on local disk: fetched before, sent after.

with staged(job) as stage:
    train_and_evaluate(stage.job, destination=stage.destination)
    stage.destination.finish()
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.config import Job, UserError, flag_of as flag_of
from trainer.data import is_description, wanted_among
from trainer.distribution import spec_of
from trainer.models import has_own_reader
from trainer.runtime import Patience, never_stopped
from trainer.storage import (
    NO_OPTIONS,
    RemotePath,
    StorageOptions,
    download_objects,
    globs,
    is_remote,
    local_path,
)
from trainer.training.checkpoint_mirror import CheckpointMirror
from trainer.training.destination import LOCAL, Destination, RemoteDestination

OUTPUTS = ("model_dir", "output_dir", "checkpoint_dir", "log_dir")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A job on local paths, and the way of its results to where they belong.

    Attributes:
        job: The job.
        destination: Copies results to the remote folders.
        refresh: Fetches checkpoints that have been written elsewhere meanwhile.
    """

    job: Job
    destination: Destination = LOCAL
    refresh: Callable[[], None] = lambda: None


@dataclass(frozen=True, kw_only=True)
class _Remote:
    """The remote folders of a job, by its fields.

    Attributes:
        outputs: Urls of the outputs that are remote.
        sent: Those of them that this process sends.
        model: The path that `--import` reads.
        any_input: True if something to read is remote.
    """

    outputs: dict[str, str]
    sent: dict[str, str]
    model: tuple[str, ...]
    any_input: bool


@contextlib.contextmanager
def staged_locally(
    job: Job,
    *,
    host: tuple[int, int] = (0, 1),
    scratch: Path | None = None,
    options: StorageOptions = NO_OPTIONS,
    stopped: Callable[[], bool] = never_stopped,
) -> Iterator[Stage]:
    """Bring a job's remote data and checkpoints to local disk, and let its results follow.

    Only the chief of the job's cluster sends anything, but for an evaluator's log. Where nothing is
    remote, nothing is done.

    Args:
        job: The job.
        host: `(i, n)` brings the i-th of every n objects of the training data, and all of
            the validation and test data.
        scratch: Where the temporary folder is made; by default where the system has such.
        options: Settings of the drivers.
        stopped: Asked every second whether to give up fetching.

    Yields:
        The same job on local paths.

    Raises:
        UserError: Something is not there, not allowed, or not named as expected.
        StorageError: A store failed again and again.
        StoppedError: `stopped` said so.
    """
    remote = _remote_of(job)
    with contextlib.ExitStack() as stack:
        work = Path()
        if remote.outputs or remote.any_input:
            work = Path(stack.enter_context(_scratch_folder(scratch)))
        reading = Patience(stopped=stopped)
        for field, url in remote.sent.items():
            # A folder that cannot be written is found now, not after hours of training.
            place = RemotePath(url, flag=flag_of(field), options=options, patience=reading)
            place.check_writable()
        mirror = _mirror(job, remote, work, options=options, stopped=stopped)
        if mirror:
            mirror.restore()
        local: dict[str, Any] = _local_paths(job, remote, work)
        destination = RemoteDestination(
            local=local,
            remote=remote.outputs,
            sent=remote.sent,
            layout=job.layout,
            mirror=mirror,
            options=options,
            stopped=stopped,
        )
        inputs = _fetch_inputs(job, remote, work, host=host, options=options, stopped=stopped)
        yield Stage(
            job=dataclasses.replace(inputs, **local),
            destination=destination,
            refresh=mirror.restore if mirror else lambda: None,
        )


def _remote_of(job: Job) -> _Remote:
    folders = {name: getattr(job, name) for name in OUTPUTS if getattr(job, name)}
    outputs = {name: url.rstrip("/") for name, url in folders.items() if is_remote(url)}
    if "model_dir" in outputs and not job.output_dir:
        parent = outputs["model_dir"].rpartition("/")[0]
        outputs["output_dir"] = outputs["model_dir"] if parent.endswith("/") else parent
    role = job.cluster.role
    own = OUTPUTS if job.cluster.is_chief else ("log_dir",) if role == "evaluator" else ()
    model = (job.input,) if job.import_model and job.input else ()
    return _Remote(
        outputs=outputs,
        sent={name: url for name, url in outputs.items() if name in own},
        model=model,
        any_input=any(map(is_remote, job.train + job.validation + job.test + model)),
    )


def _local_paths(job: Job, remote: _Remote, work: Path) -> dict[str, str]:
    """Return the local folder of each output, by the job's field."""
    folders = {name: getattr(job, name) for name in OUTPUTS if getattr(job, name)}
    return {
        name: str(work / name) if name in remote.outputs else local_path(path, flag=flag_of(name))
        for name, path in (folders | remote.outputs).items()
    }


def _mirror(
    job: Job,
    remote: _Remote,
    work: Path,
    *,
    options: StorageOptions,
    stopped: Callable[[], bool],
) -> CheckpointMirror | None:
    """Return the mirror of remote checkpoints, on hosts that read or write them."""
    evaluates = job.cluster.role == "evaluator"
    if "checkpoint_dir" not in remote.outputs or not (evaluates or "checkpoint_dir" in remote.sent):
        return None
    return CheckpointMirror(
        work / "checkpoint_dir",
        remote.outputs["checkpoint_dir"],
        alone=not evaluates,
        options=options,
        # An evaluator is asked to stop so that it evaluates the last checkpoint, which it has yet
        # to fetch.
        stopped=never_stopped if evaluates else stopped,
    )


def _fetch_inputs(
    job: Job,
    remote: _Remote,
    work: Path,
    *,
    host: tuple[int, int],
    options: StorageOptions,
    stopped: Callable[[], bool],
) -> Job:
    """Fetch the data, or the model to import; return the job with local paths of these."""
    # A parameter server holds variables, and reads nothing.
    train_paths = () if job.cluster.role == "ps" else job.train
    train_folder = work / "train"
    if spec_of(job).coordinated and any(map(is_remote, train_paths)):
        patience = Patience(stopped=stopped)
        train_folder = _folder_on_all_hosts(train_paths, options, patience) / "train"
    # A module of one's own reads what it likes.
    name_filter = None if has_own_reader(job) else wanted_among
    fetch = functools.partial(
        download_objects, name_filter=name_filter, options=options, stopped=stopped
    )
    train = fetch(train_paths, train_folder, shard=host, everywhere=is_description)
    # Often the same folder as --train, which is then not fetched again.
    alone = host[1] == 1
    validation = fetch(
        job.validation, train_folder if alone else work / "validation", flag="--validation"
    )
    test = fetch(job.test, train_folder if alone else work / "test", flag="--test")
    fetched = download_objects(
        remote.model,
        work / "input",
        flag="--input",
        options=options,
        stopped=stopped,
    )
    models = globs.expanded(fetched)
    if len(models) > 1:
        raise UserError(
            subject=f"--input {job.input}",
            problem=f"expected one model, found {len(models)}",
        )
    return dataclasses.replace(
        job,
        train=tuple(train),
        validation=tuple(validation),
        test=tuple(test),
        input=models[0] if models else job.input,
    )


def _folder_on_all_hosts(paths: Sequence[str], options: StorageOptions, patience: Patience) -> Path:
    """Return a folder that has the same path on every host, for the same data.

    The chief of a parameter-server job names the files that workers read, so they must be at the
    same paths there. The folder stays for the next job with the same data; objects that are
    replaced make another.
    """
    tags = [
        RemotePath(path, flag="--train", options=options, patience=patience).identity()
        for path in paths
        if is_remote(path)
    ]
    name = hashlib.sha256("\n".join([*paths, *tags]).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir(), f"trainer-data-{name}")


def _scratch_folder(parent: Path | None) -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="trainer-", dir=parent, ignore_cleanup_errors=True)
