"""A job whose folders are in object stores, run on local disk: fetched before, sent after.

with staged(job) as stage:
    hooks = Hooks(saved=stage.on_checkpoint, exported=stage.on_export)
    train_and_evaluate(stage.job, reporter, hooks)
    stage.finish()
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.config import Job, UserError, flag as flag_of
from trainer.data import data_among
from trainer.packaging import CODE, NUMBERED, versions_in
from trainer.runtime import Patience, Tell, never, output
from trainer.storage import (
    NO_OPTIONS,
    SENDING,
    Options,
    Place,
    StorageError,
    fetch,
    globs,
    is_remote,
    local,
    local_path,
    push,
    remote as storage,
)
from trainer.training import checkpoint_state, earlier_run
from trainer.training.checkpoint_state import DamagedError

OUTPUTS = ("model_dir", "output_dir", "checkpoint_dir", "log_dir")


class Mirror:
    """Keeps a local folder of checkpoints and a remote one alike.

    Args:
        folder: The local one, as `trainer.training.checkpoint` fills it.
        url: The remote one.
        options: Settings of the drivers.
        tell: Gets lines of progress.
        stopped: Asked every second whether to give up restoring.
        alone: Whether no other process writes there.
    """

    def __init__(
        self,
        folder: Path,
        url: str,
        *,
        options: Options = NO_OPTIONS,
        tell: Tell = output.out,
        stopped: Callable[[], bool] = never,
        alone: bool = True,
    ) -> None:
        self._folder, self._url = folder, url.rstrip("/")
        self._more: dict[str, Any] = {"options": options, "flag": "--checkpoint-dir"}
        self._reading = self._more | {"patience": Patience(tell=tell, stopped=stopped)}
        sending = Patience(tell=tell, stopped=stopped, seconds=SENDING)
        self._removing = self._more | {"patience": sending}
        self._told: dict[str, Any] = {"tell": tell, "stopped": stopped}
        self._tell, self._alone = tell, alone
        # Damaged ones over there, by the tags of their objects: others in their place may be whole.
        self._damaged: dict[str, str] = {}
        # Those that are, or have been, on both sides: one that goes here goes there as well.
        self._known: set[str] = set()

    def restore(self) -> None:
        """Fetch the checkpoints that are whole; others are passed over, and left as they are.

        Raises:
            UserError: All are damaged, which only who writes them is to know.
        """
        while True:
            there = self._there()
            try:
                newest = self._fetch(there)
                break
            except (UserError, StorageError):
                # Whoever writes them keeps the newest only: one may go while it is fetched.
                if there <= self._there():
                    raise
        for name in self._known - there:
            local.remove_folder(self._folder / name)
        self._known = there & self._here()
        if self._alone and newest and not self._known:
            raise checkpoint_state.all_damaged(self._url, len(there), newest)

    def _fetch(self, there: set[str]) -> str:
        """Fetch what is new; return what is wrong with the newest that is damaged, if one is."""
        newest = ""
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", suffix=".part", dir=self._folder) as part:
            names = [name for name in sorted(there - self._here()) if not self._is_passed(name)]
            urls = [f"{self._url}/{name}" for name in names]
            more = self._more | self._told | {"patterns": False}
            for folder in map(Path, fetch(urls, Path(part), **more)):
                try:
                    checkpoint_state.read(folder)
                except DamagedError as error:
                    self._damaged[folder.name] = self._tags(folder.name)
                    newest = f"{folder.name}: {error}"
                    self._tell(f"warning: --checkpoint-dir {self._url}: passed over {newest}")
                else:
                    local.move_folder(folder, self._folder / folder.name)
        return newest

    def _is_passed(self, name: str) -> bool:
        return name in self._damaged and self._damaged[name] == self._tags(name)

    def _tags(self, name: str) -> str:
        return Place(f"{self._url}/{name}", **self._reading).identity()

    def sync(self) -> None:
        """Send what is new here, then delete there what has been deleted here, or is damaged."""
        for name in sorted(self._here() - self._known):
            if self._damaged.pop(name, None):
                # Not to be seen with files of both.
                storage.remove(f"{self._url}/{name}", **self._removing)
            push(self._folder / name, f"{self._url}/{name}", **self._told, **self._more)
            self._known.add(name)
            for older in [other for other in self._damaged if other < name]:
                storage.remove(f"{self._url}/{older}", **self._removing)
                del self._damaged[older]
        for name in sorted(self._known - self._here()):
            storage.remove(f"{self._url}/{name}", **self._removing)
            self._known.remove(name)

    def _there(self) -> set[str]:
        names = Place(self._url, **self._reading).contents()
        return {n.split("/")[0] for n in names if re.fullmatch(r"ckpt-\d+/state\.json", n)}

    def _here(self) -> set[str]:
        return {path.name for path in self._folder.glob("ckpt-*") if path.name[5:].isdecimal()}


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A job on local paths, and what to call for the remote ones to follow.

    Attributes:
        job: The job.
        refresh: Brings checkpoints that have been written elsewhere meanwhile.
        on_checkpoint: Call it after each checkpoint.
        on_export: Call it with the exported model's folder; returns where the model finally is.
        exported_before: See `Hooks`.
        finish: Call it at the end, before success is told.
    """

    job: Job
    refresh: Callable[[], None]
    on_checkpoint: Callable[[], None]
    on_export: Callable[[Path], str]
    exported_before: Callable[[Job], dict[str, Any] | None]
    finish: Callable[[], None]


@contextlib.contextmanager
def staged(
    job: Job,
    *,
    host: tuple[int, int] = (0, 1),
    scratch: Path | None = None,
    options: Options = NO_OPTIONS,
    tell: Tell = output.out,
    stopped: Callable[[], bool] = never,
) -> Iterator[Stage]:
    """Bring a job's remote data and checkpoints to local disk, and let its results follow.

    Only the chief of the job's cluster sends anything, but for an evaluator's log. Where nothing is
    remote, nothing is done.

    Args:
        job: The job.
        host: `(i, n)` brings the i-th of every n objects of the training data, and all of the test
            data.
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
    model = (job.input,) if job.import_model and job.input else ()
    data_is_remote = any(map(is_remote, job.train + job.test + model))
    role = job.cluster.role
    own = OUTPUTS if job.cluster.is_chief else ("log_dir",) if role == "evaluator" else ()
    sent = {name: url for name, url in remote.items() if name in own}
    mirror: Mirror | None = None
    reading = Patience(tell=tell, stopped=stopped)
    sending = Patience(tell=tell, stopped=stopped, seconds=SENDING)
    more: dict[str, Any] = {"options": options, "tell": tell, "stopped": stopped}
    with _folder(scratch) if remote or data_is_remote else contextlib.nullcontext("") as name:
        work = Path(name)
        for field, url in sent.items():
            # Now rather than after hours of training.
            place = Place(url, flag=flag_of(field), options=options, patience=reading)
            place.check_writable()
        if "checkpoint_dir" in sent or ("checkpoint_dir" in remote and role == "evaluator"):
            # An evaluator is told to stop so that it looks at the last one.
            asked = never if role == "evaluator" else stopped
            url = remote["checkpoint_dir"]
            alone = role != "evaluator"
            mirror = Mirror(work / "checkpoint_dir", url, alone=alone, **more | {"stopped": asked})
            mirror.restore()
        # A parameter server holds variables, and reads nothing.
        read = () if role == "ps" else job.train
        common = job.distribution == "parameter_server" and any(map(is_remote, read))
        into = (_common(read, options, reading) if common else work) / "train"
        # A module of one's own reads what it likes.
        among = data_among if job.module == Job.module else None
        train = fetch(read, into, shard=host, among=among, **more)
        # Often the same folder as --train, which is then not fetched again.
        data = into if host[1] == 1 else work / "test"
        test = fetch(job.test, data, flag="--test", among=among, **more)
        found = globs.expanded(fetch(model, work / "input", flag="--input", **more))
        if len(found) > 1:
            raise UserError(
                subject=f"--input {job.input}",
                problem=f"expected one model, found {len(found)}",
            )
        paths: dict[str, Any] = {
            k: str(work / k) if k in remote else local_path(v, flag=flag_of(k))
            for k, v in (folders | remote).items()
        }

        def send(field: str) -> None:
            if field in sent and (work / field).is_dir():
                push(work / field, sent[field], flag=flag_of(field), **more)

        def on_checkpoint() -> None:
            if mirror and "checkpoint_dir" in sent:
                mirror.sync()
            send("log_dir")

        def on_export(path: Path) -> str:
            url = sent.get("model_dir")
            if url is None:
                return str(path)
            code = Path(paths["model_dir"], CODE)
            if code.is_dir():
                push(code, f"{url}/{CODE}", **more)
            if job.layout in NUMBERED:
                url = f"{url}/{versions_in(job.layout)}".rstrip("/")
                there = storage.versions(url, options=options, patience=sending)
                url += f"/{max(there, default=0) + 1}"
            push(path, url, **more)
            return f"{url}/{path.name}" if path.is_file() else url

        def exported_before(job: Job) -> dict[str, Any] | None:
            if not {"model_dir", "output_dir"} & remote.keys():
                return earlier_run.find(job)
            folder = remote.get("output_dir") or str(earlier_run.output_dir(job))
            text = storage.read_file(f"{folder}/metrics.json", options=options, patience=sending)
            return earlier_run.checked(
                text or b"",
                model_dir=remote.get("model_dir", job.model_dir),
                layout=job.layout,
                is_there=lambda path: storage.is_file(path, options=options, patience=sending),
            )

        def finish() -> None:
            on_checkpoint()
            send("output_dir")

        yield Stage(
            job=dataclasses.replace(
                job,
                train=tuple(train),
                test=tuple(test),
                input=found[0] if found else job.input,
                **paths,
            ),
            refresh=mirror.restore if mirror else lambda: None,
            on_checkpoint=on_checkpoint,
            on_export=on_export,
            exported_before=exported_before,
            finish=finish,
        )


def _common(paths: Sequence[str], options: Options, patience: Patience) -> Path:
    """A folder that every host names alike: what the chief says to read, workers read there.

    It stays for the next job with the same data; objects that are replaced make another.
    """
    more: dict[str, Any] = {"flag": "--train", "options": options, "patience": patience}
    tags = [Place(path, **more).identity() for path in paths if is_remote(path)]
    told = "\n".join([*paths, *tags])
    name = hashlib.sha256(told.encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir(), f"trainer-data-{name}")


def _folder(scratch: Path | None) -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="trainer-", dir=scratch, ignore_cleanup_errors=True)
