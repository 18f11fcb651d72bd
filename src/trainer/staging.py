"""A job whose folders are in object stores, run on local disk: fetched before, sent after.

with staged(job) as stage:
    hooks = Hooks(saved=stage.on_checkpoint, exported=stage.on_export)
    train_and_evaluate(stage.job, reporter, hooks)
    stage.finish()
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import json
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer import storage
from trainer.errors import UserError
from trainer.job import Job
from trainer.job import flag as flag_of
from trainer.storage import LAST, NO_OPTIONS, WORKERS, Options, Place, is_remote, local_path

TELL_EVERY = 5.0  # seconds between lines of progress
TICK = 1.0  # seconds between looks at what runs
Tell = Callable[[str], None]
OUTPUTS = ("model_dir", "output_dir", "checkpoint_dir", "log_dir")


class StoppedError(Exception):
    """The run was told to stop while its files were on their way."""


def never() -> bool:
    """What is asked whether to stop, where nobody is."""
    return False


def fetch(
    paths: Sequence[str],
    into: Path,
    *,
    shard: tuple[int, int] = (0, 1),
    options: Options = NO_OPTIONS,
    tell: Tell = print,
    stopped: Callable[[], bool] = never,
    flag: str = "--train",
) -> list[str]:
    """Bring what urls name to local disk; a file that is there with its size is not brought again.

    Args:
        paths: Urls of objects, folders (to any depth) and globs; local paths stay as they are.
        into: Gets `s3/<bucket>/<name>` or `gs/<bucket>/<name>` for each object.
        shard: `(i, n)` takes the i-th of every n objects, counted over all paths.
        options: Settings of the drivers.
        tell: Gets a line every few seconds.
        stopped: Asked every second whether to give up.
        flag: What named the paths, for errors.

    Returns:
        A folder for a folder, a file for an object and for each one that a glob matches.

    Raises:
        UserError: Nothing is there, access is denied, or the disk is too small.
        StorageError: The store failed again and again.
        StoppedError: `stopped` said so.
    """
    stop, number = threading.Event(), itertools.count()
    local: list[str] = []
    jobs: dict[Path, tuple[Place, str, int]] = {}
    for path in paths:
        if not is_remote(path):
            local.append(local_path(path, flag=flag))
            continue
        place = Place(path, flag=flag, options=options, stop=stop)
        root = into / place.scheme / place.bucket
        found, is_folder = place.find()
        mine = [key for key in found if next(number) % shard[1] == shard[0]]
        jobs |= {root / key: (place, key, found[key]) for key in mine}
        local += [str(root / key) for key in ([place.key] if is_folder and mine else mine)]
    if paths and not local:
        raise UserError(
            f"{flag} {' '.join(paths)}: {next(number)} objects for {shard[1]} hosts leave none for "
            f"host {shard[0]}; take fewer hosts, or do not share the objects out by host"
        )
    jobs = {to: job for to, job in jobs.items() if not _is_there(to, job[2])}
    for folder in {to.parent for to in jobs}:
        folder.mkdir(parents=True, exist_ok=True)
    need = sum(size for _, _, size in jobs.values())
    free = shutil.disk_usage(into).free if jobs else 0
    if need > free:
        raise UserError(
            f"{flag} {' '.join(paths)}: takes {need / 1e6:.0f} MB of disk, but {into} has "
            f"{free / 1e6:.0f} MB left; take a larger disk"
        )
    calls = [functools.partial(p.download, key, size, to) for to, (p, key, size) in jobs.items()]
    _transfer([calls], {p for p, *_ in jobs.values()}, f"{flag} fetched", tell, stopped)
    return local


def push(
    folder: Path,
    url: str,
    *,
    last: Sequence[str] = LAST,
    options: Options = NO_OPTIONS,
    tell: Tell = print,
    flag: str = "--model-dir",
) -> None:
    """Send the files of a folder, to any depth, into the remote folder `url`; or one file.

    Args:
        folder: A folder, whose unfinished `.*.part` are left out, or a file.
        url: The remote folder; objects of the same names are replaced.
        last: Names of files that make a folder whole: they are sent when all others have arrived,
            and older ones are taken away before.
        options: Settings of the drivers.
        tell: Gets a line every few seconds.
        flag: What named the url, for errors.

    Raises:
        UserError: There is no such bucket, or access is denied.
        StorageError: The store failed again and again, or does not keep what it is sent.
    """
    place = Place(url, flag=flag, options=options)
    base = folder if folder.is_dir() else folder.parent
    files = sorted(folder.rglob("*")) if folder.is_dir() else [folder]
    names = {file.relative_to(base).as_posix(): file for file in files if file.is_file()}
    names = {n: f for n, f in names.items() if not re.search(r"(^|/)\.[^/]*\.part(/|$)", n)}
    final = [name for name in names if name.split("/")[-1] in last]
    if final:
        for name in place.contents().keys() & set(final):
            place.delete(name)
    groups = [[name for name in names if name not in final], final]
    calls = [[functools.partial(place.upload, names[name], name) for name in g] for g in groups]
    _transfer(calls, {place}, f"{flag} sent", tell)


class Mirror:
    """Keeps a local folder of checkpoints and a remote one alike.

    Args:
        folder: The local one, as `trainer.checkpoint` fills it.
        url: The remote one.
        options: Settings of the drivers.
        tell: Gets lines of progress.
        stopped: Asked every second whether to give up restoring.
    """

    def __init__(
        self,
        folder: Path,
        url: str,
        *,
        options: Options = NO_OPTIONS,
        tell: Tell = print,
        stopped: Callable[[], bool] = never,
    ) -> None:
        self._folder, self._url = folder, url.rstrip("/")
        self._more: dict[str, Any] = {"options": options, "flag": "--checkpoint-dir"}
        self._tell, self._stopped = tell, stopped
        # Those that are, or have been, on both sides: one that goes here goes there as well.
        self._known: set[str] = set()

    def restore(self) -> None:
        """Fetch the checkpoints that are whole; others are passed over, and left as they are."""
        names = Place(self._url, **self._more).contents()
        there = {n.split("/")[0] for n in names if re.fullmatch(r"ckpt-\d+/state\.json", n)}
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", suffix=".part", dir=self._folder) as part:
            urls = [f"{self._url}/{name}" for name in sorted(there - self._here())]
            more = self._more | {"tell": self._tell, "stopped": self._stopped}
            for folder in map(Path, fetch(urls, Path(part), **more)):
                if _is_whole(folder):
                    folder.rename(self._folder / folder.name)
        self._known = there & self._here()

    def sync(self) -> None:
        """Send what is new here, then delete there what has been deleted here."""
        for name in sorted(self._here() - self._known):
            push(self._folder / name, f"{self._url}/{name}", tell=self._tell, **self._more)
            self._known.add(name)
        for name in sorted(self._known - self._here()):
            storage.remove(f"{self._url}/{name}", **self._more)
            self._known.remove(name)

    def _here(self) -> set[str]:
        return {path.name for path in self._folder.glob("ckpt-*") if path.name[5:].isdecimal()}


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A job on local paths, and what to call for the remote ones to follow.

    Attributes:
        job: The job.
        on_checkpoint: Call it after each checkpoint.
        on_export: Call it with the exported model's folder; returns where the model finally is.
        finish: Call it at the end, before success is told.
    """

    job: Job
    on_checkpoint: Callable[[], None]
    on_export: Callable[[Path], str]
    finish: Callable[[], None]


@contextlib.contextmanager
def staged(
    job: Job,
    *,
    host: tuple[int, int] = (0, 1),
    scratch: Path | None = None,
    options: Options = NO_OPTIONS,
    tell: Tell = print,
    stopped: Callable[[], bool] = never,
) -> Iterator[Stage]:
    """Bring a job's remote data and checkpoints to local disk, and let its results follow.

    Only the chief of the job's cluster sends anything. Where nothing is remote, nothing is done.

    Args:
        job: The job.
        host: `(i, n)` brings the i-th of every n objects of the training data.
        scratch: Where the temporary folder is made; by default where the system has such.
        options: Settings of the drivers.
        tell: Gets lines of progress.
        stopped: Asked every second whether to give up fetching.

    Yields:
        The same job on local paths.

    Raises:
        UserError: Something is not there, not allowed, or not named as expected.
        StorageError: A store failed again and again.
        StoppedError: `stopped` said so.
    """
    folders = {name: getattr(job, name) for name in OUTPUTS if getattr(job, name)}
    remote = {name: url.rstrip("/") for name, url in folders.items() if is_remote(url)}
    if "model_dir" in remote and not job.output_dir:
        parent = remote["model_dir"].rpartition("/")[0]
        remote["output_dir"] = remote["model_dir"] if parent.endswith("/") else parent
    data_is_remote = any(map(is_remote, job.train + job.test))
    if host[1] > 1 and data_is_remote and not job.test:
        raise UserError("--test: not given, and one host's share of --train holds no test split")
    sent = remote if job.cluster.is_chief else {}
    mirror: Mirror | None = None
    more: dict[str, Any] = {"options": options, "tell": tell}
    with _folder(scratch) if remote or data_is_remote else contextlib.nullcontext("") as name:
        work = Path(name)
        for field, url in sent.items():
            # Now rather than after hours of training.
            Place(url, flag=flag_of(field), options=options).check_writable()
        if "checkpoint_dir" in remote:
            url = remote["checkpoint_dir"]
            mirror = Mirror(work / "checkpoint_dir", url, stopped=stopped, **more)
            mirror.restore()
        train = fetch(job.train, work / "train", shard=host, stopped=stopped, **more)
        # Often the same folder as --train, which is then not fetched again.
        data = work / ("train" if host[1] == 1 else "test")
        test = fetch(job.test, data, stopped=stopped, flag="--test", **more)
        paths: dict[str, Any] = {
            k: str(work / k) if k in remote else local_path(v, flag=flag_of(k))
            for k, v in (folders | remote).items()
        }

        def send(field: str) -> None:
            if field in sent and (work / field).is_dir():
                push(work / field, sent[field], flag=flag_of(field), **more)

        def on_checkpoint() -> None:
            if mirror and sent:
                mirror.sync()
            send("log_dir")

        def on_export(path: Path) -> str:
            url = sent.get("model_dir")
            if url is None:
                return str(path)
            if job.layout == "version":
                url += f"/{max(storage.versions(url, options=options), default=0) + 1}"
            push(path, url, **more)
            return url

        def finish() -> None:
            on_checkpoint()
            send("output_dir")

        yield Stage(
            job=dataclasses.replace(job, train=tuple(train), test=tuple(test), **paths),
            on_checkpoint=on_checkpoint,
            on_export=on_export,
            finish=finish,
        )


def _folder(scratch: Path | None) -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="trainer-", dir=scratch, ignore_cleanup_errors=True)


def _is_there(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _is_whole(folder: Path) -> bool:
    """Whether a checkpoint has all that its state lists."""
    try:
        sizes = json.loads((folder / "state.json").read_text())["files"]
        return all(_is_there(folder / name, size) for name, size in sizes.items())
    except (OSError, ValueError, KeyError):
        return False


def _transfer(
    groups: Iterable[Sequence[Callable[[], None]]],
    places: Iterable[Place],
    what: str,
    tell: Tell,
    stopped: Callable[[], bool] = never,
) -> None:
    """Run transfers side by side, group after group; one that fails ends them all."""
    begun = told = time.monotonic()
    total, done = sum(map(len, groups)), 0
    for group in groups:
        with ThreadPoolExecutor(WORKERS) as pool:
            pending = {pool.submit(call) for call in group}
            try:
                while pending:
                    ended, pending = wait(pending, timeout=TICK, return_when=FIRST_EXCEPTION)
                    for future in ended:
                        future.result()
                    if stopped():
                        raise StoppedError(f"{what} {done} of {total} files when told to stop")
                    done, now = done + len(ended), time.monotonic()
                    if done == total or now - told > TELL_EVERY:
                        told, moved = now, sum(sum(list(p.moved.values())) for p in places) / 1e6
                        rate = moved / max(now - begun, 1e-3)
                        files = f"files={done} of={total}"
                        tell(f"{what} {files} mb={moved:.1f} mb_per_second={rate:.1f}")
            except BaseException:
                for place in places:
                    place.stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
