"""The writing of a data set's files: in parallel, all or none, and gone on with after a kill."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

import msgspec

from trainer.data.formats.table import Table
from trainer.data.shard_file import ShardFile, write_shard
from trainer.storage import local, move_file, unfinished

logger = logging.getLogger(__name__)

# Beside the files while they are written: which of them are whole.
JOURNAL = f".create{unfinished.SUFFIX}"
# Seconds between two lines of progress.
PACE = 2.0


@dataclass(frozen=True, kw_only=True)
class PlannedShard:
    """A file that is to be written.

    Attributes:
        name: Its path in the data set's folder.
        tables: The split that it is a part of.
        bounds: The number of its first example there, and one past its last.
    """

    name: str
    tables: Sequence[Table]
    bounds: tuple[int, int]

    def part_in(self, folder: Path) -> Path:
        """Return the name under which any process writes it."""
        path = folder / self.name
        return path.with_name(f".{path.name}{unfinished.SUFFIX}")


class _Journal(msgspec.Struct):
    """Files that are whole, of one plan."""

    plan: str
    files: dict[str, ShardFile]


class Creation:
    """The writing of one data set's files, under names of unfinished files first.

    Args:
        folder: The data set's folder.
        shards: Its files.
        identity: Text that differs if the same files would have other contents.
        packed: True to pack them with gzip.
        workers: Files written at a time.
    """

    def __init__(
        self,
        folder: Path,
        shards: Sequence[PlannedShard],
        *,
        identity: str,
        packed: bool,
        workers: int,
    ) -> None:
        self._folder, self._shards = folder, shards
        self._packed, self._workers = packed, workers
        names = repr([(shard.name, shard.bounds) for shard in shards])
        self._plan = hashlib.sha256(f"{identity}{names}".encode()).hexdigest()
        self._progress = CreationProgress(sum(b - a for a, b in (shard.bounds for shard in shards)))
        self._lock, self._stopped = threading.Lock(), threading.Event()
        self._whole: dict[str, ShardFile] = {}

    def run(self) -> list[ShardFile]:
        """Write the files, and give them their names once all are whole.

        Returns:
            What was written, in the order of the shards.

        Raises:
            DataError: A record cannot be read; nothing is left of the files.
            OSError: A file cannot be written; nothing is left of them.
        """
        for shard in self._shards:
            (self._folder / shard.name).parent.mkdir(parents=True, exist_ok=True)
        self._whole = self._written_before()
        try:
            self._write([s for s in self._shards if s.name not in self._whole])
            for shard in self._shards:
                part = shard.part_in(self._folder)
                if part.exists():
                    move_file(part, self._folder / shard.name)
        except Exception:
            # A killed process leaves the parts for the one that goes on.
            self._remove()
            raise
        (self._folder / JOURNAL).unlink(missing_ok=True)
        return [self._whole[shard.name] for shard in self._shards]

    def _written_before(self) -> dict[str, ShardFile]:
        """Return the files that an earlier process of the same plan left whole; remove others."""
        journal = self._folder / JOURNAL
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            found = msgspec.json.decode(journal.read_bytes(), type=_Journal)
            if found.plan == self._plan:
                whole = {s.name: found.files[s.name] for s in self._shards if s.name in found.files}
                whole = {name: f for name, f in whole.items() if self._is_there(name, f)}
                if whole:
                    logger.info("%d of %d files are there", len(whole), len(self._shards))
                    self._progress.add(sum(f.examples for f in whole.values()), measured=False)
                return whole
        self._remove()
        return {}

    def _is_there(self, name: str, file: ShardFile) -> bool:
        path = self._folder / name
        part = path.with_name(f".{path.name}{unfinished.SUFFIX}")
        return any(p.is_file() and p.stat().st_size == file.bytes for p in (part, path))

    def _write(self, shards: Iterable[PlannedShard]) -> None:
        with ThreadPoolExecutor(self._workers, thread_name_prefix="create") as pool:
            futures = [pool.submit(self._write_one, shard) for shard in shards]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
                for future in futures:
                    if future.done():
                        future.result()
            finally:
                self._stopped.set()
                pool.shutdown(cancel_futures=True)

    def _write_one(self, shard: PlannedShard) -> None:
        file = write_shard(
            shard.tables,
            shard.bounds,
            shard.part_in(self._folder),
            name=shard.name,
            packed=self._packed,
            count=self._count,
        )
        with self._lock:
            self._whole[shard.name] = file
            state = msgspec.json.encode(_Journal(plan=self._plan, files=self._whole))
            local.write_bytes(self._folder / JOURNAL, state)

    def _count(self, examples: int) -> None:
        if self._stopped.is_set():
            raise InterruptedError("another file failed")
        with self._lock:
            self._progress.add(examples)

    def _remove(self) -> None:
        for shard in self._shards:
            with contextlib.suppress(OSError):
                shard.part_in(self._folder).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            (self._folder / JOURNAL).unlink(missing_ok=True)


class CreationProgress:
    """Logs how far the writing is, at most every `PACE` seconds.

    Args:
        total: Examples in all.
        clock: Returns seconds.
    """

    def __init__(self, total: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._total, self._clock = total, clock
        self._done = self._new = 0
        self._begun = self._last = clock()

    def add(self, examples: int, *, measured: bool = True) -> None:
        """Count examples.

        Args:
            examples: Their number.
            measured: False if they were there before.
        """
        self._done += examples
        if not measured:
            return
        self._new += examples
        now = self._clock()
        if now - self._last < PACE:
            return
        self._last = now
        speed = self._new / (now - self._begun)
        fields = {
            "examples": self._done,
            "of": self._total,
            "examples_per_second": speed,
            "eta": (self._total - self._done) / speed,
        }
        logger.info(
            "examples=%d of=%d examples_per_second=%.0f eta=%.0fs",
            *fields.values(),
            extra={"fields": fields},
        )
