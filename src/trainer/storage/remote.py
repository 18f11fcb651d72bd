"""One url of an object store: listed, read, written and deleted, with retries and clear errors.

s3fs and gcsfs do the talking, and find credentials, region and endpoint where their users expect
it. They are imported when the first url is used. Their own errors may tell signed addresses or
tokens, so that no more than the short code of an error is ever passed on.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from trainer.config import UserError
from trainer.runtime import ALWAYS_PATIENT, Patience, StoppedError, install_command
from trainer.storage import globs, unfinished
from trainer.storage.errors import (
    NO_BUCKET,
    SizeError,
    StorageError,
    permanent_problem,
    response_of,
)
from trainer.storage.local import MARKERS
from trainer.storage.urls import URL, is_remote

T = TypeVar("T")
# Settings of the drivers, by `s3` and `gs`, beyond what they find for themselves.
DriverOptions = Mapping[str, Mapping[str, Any]]
NO_OPTIONS: DriverOptions = {}
# Chooses some of the names in a folder.
Among = Callable[[Iterable[str]], set[str]]

# What tells a reader that its folder is whole: the last to come, and the first to go.
LAST = MARKERS

WORKERS = 8  # transfers at a time
PIECE = 2**23  # bytes; larger files travel in pieces, some at a time
TRIES = 4
BACKOFF = 1.0  # seconds before the second try, twice as long before each further one
ANSWER, LISTING = 60.0, 600.0  # seconds for one answer, and for a list of all that is there
SLOWEST = 2**16  # bytes a second; a transfer that is slower is given up

S3 = {
    "default_block_size": PIECE,
    "max_concurrency": 4,
    "config_kwargs": {"max_pool_connections": 4 * WORKERS},
}
DRIVERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "s3": ("s3fs", "S3FileSystem", S3),
    # Not the class that gcsfs registers: it asks for each bucket's kind over gRPC first, and hangs
    # for a minute where only HTTP gets through.
    "gs": ("gcsfs.core", "GCSFileSystem", {}),
}


def children(
    url: str,
    *,
    options: DriverOptions = NO_OPTIONS,
    flag: str = "--model-dir",
    patience: Patience = ALWAYS_PATIENT,
) -> list[str]:
    """The names of the folders directly in a remote folder."""
    names = RemotePath(url, flag=flag, options=options, patience=patience).contents()
    return sorted({name.split("/")[0] for name in names if "/" in name})


def versions(
    url: str,
    *,
    options: DriverOptions = NO_OPTIONS,
    flag: str = "--model-dir",
    patience: Patience = ALWAYS_PATIENT,
) -> list[int]:
    """The numbers among the names of a remote folder's folders."""
    names = children(url, options=options, flag=flag, patience=patience)
    return sorted(int(name) for name in names if name.isdecimal())


def read_file(
    path: str, *, options: DriverOptions = NO_OPTIONS, patience: Patience = ALWAYS_PATIENT
) -> bytes | None:
    """Return what a small object or local file holds, or None if it is not there."""
    if not is_remote(path):
        file = Path(path)
        return file.read_bytes() if file.is_file() else None
    folder, _, name = path.rpartition("/")
    place = RemotePath(folder, flag="--output-dir", options=options, patience=patience)
    return place.read_small(name)


def is_file(
    path: str, *, options: DriverOptions = NO_OPTIONS, patience: Patience = ALWAYS_PATIENT
) -> bool:
    """Return whether there is an object or a local file."""
    if not is_remote(path):
        return Path(path).is_file()
    folder, _, name = path.rpartition("/")
    place = RemotePath(folder, flag="--model-dir", options=options, patience=patience)
    return name in place.contents()


def remove(
    url: str,
    *,
    options: DriverOptions = NO_OPTIONS,
    flag: str = "--model-dir",
    patience: Patience = ALWAYS_PATIENT,
) -> None:
    """Delete all that is in a remote folder, first what says that it is whole."""
    place = RemotePath(url, flag=flag, options=options, patience=patience)
    if not place.key:
        raise ValueError(f"{url}: a whole bucket is not removed")
    for name in sorted(place.contents(), key=lambda n: PurePosixPath(n).name not in LAST):
        place.delete(name)


class RemotePath:
    """An object, a folder or a glob of a store, or a whole bucket.

    Args:
        url: Begins with `s3://`, `gs://` or `gcs://`.
        flag: What named it, for errors.
        options: Settings of the drivers.
        stop: Once set, transfers are given up.
        patience: How answers are waited for; may be set anew.

    Raises:
        UserError: The url is malformed, or what it needs is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        flag: str,
        options: DriverOptions = NO_OPTIONS,
        stop: threading.Event | None = None,
        patience: Patience = ALWAYS_PATIENT,
    ) -> None:
        match = URL.fullmatch(url)
        if match is None or re.search(r"\?[^/]*=", url):
            # Not repeated where it may hold a password or a token.
            shown = "" if re.search("[@=]", url) else f" {url}"
            raise UserError(
                subject=f"{flag}{shown}",
                problem="expected s3://BUCKET/PATH or gs://BUCKET/PATH, no more",
            )
        scheme, self.bucket, path = match.groups("")
        self.url, self.flag, self.scheme = url, flag, "s3" if scheme == "s3" else "gs"
        self.key, self._must_be_folder = path.rstrip("/"), path.endswith("/") or not path
        self.stop, self.patience = stop or threading.Event(), patience
        # Bytes that each transfer has moved.
        self.moved: dict[str, int] = {}
        self.fs: Any = None
        self.fs = self._driver(options.get(self.scheme, {}))

    def find(self, *, patterns: bool = True, among: Among | None = None) -> dict[str, int]:
        """Return the objects that the url names, with their sizes.

        Args:
            patterns: Whether the url may be a glob.
            among: Chooses, of the names in a folder or below a glob, those that are wanted.

        Raises:
            UserError: There are none, or one that cannot be a local file.
        """
        size = None
        if not self._must_be_folder:
            size = self._wait_for(lambda: self._size(self.key))
        if size is not None:
            found = {self.key: size}
        elif patterns and globs.WILD.search(self.key):
            found = self._matching()
        else:
            found = self._list(self._below(""))
        if not found:
            expected = "an object, a folder or a glob" if patterns else "a folder"
            raise UserError(
                subject=f"{self.flag} {self.url}",
                problem=f"nothing is there; expected {expected}",
            )
        if size is None:
            found = self._wanted(found, among)
        for key in found:
            parents = map(str, PurePosixPath(key).parents)
            if not {"", ".", ".."}.isdisjoint(key.split("/")) or any(p in found for p in parents):
                raise UserError(
                    subject=f"{self.flag} {self.url}",
                    problem=f"{key!r} cannot be a local file",
                )
        return found

    @property
    def top(self) -> str:
        """The folder that the url names, or that a glob looks through."""
        wild = globs.WILD.search(self.key)
        return self.key[: wild.start()].rpartition("/")[0] if wild else self.key

    def _wanted(self, found: dict[str, int], among: Among | None) -> dict[str, int]:
        """Return objects without those that mark a folder, and without what is not wanted."""
        folders = {str(up) for key in found for up in PurePosixPath(key).parents}
        left = {key: size for key, size in found.items() if size or key not in folders}
        if among is None:
            return left
        top = self.top
        start = len(top) + 1 if top else 0
        names = among([key[start:] for key in left])
        if not names:
            shown = ", ".join(sorted(key[start:] for key in left)[:3])
            raise UserError(
                subject=f"{self.flag} {self.url}",
                problem=f"holds only {shown}"
                f"{', …' if len(left) > 3 else ''}, of which nothing is read",
            )
        return {key: size for key, size in left.items() if key[start:] in names}

    def _matching(self) -> dict[str, int]:
        """Return the objects that match the key, or lie in a folder that does."""
        listed = self._list(self._listed_for_pattern())
        names = {str(up) for key in listed for up in (key, *PurePosixPath(key).parents)}
        top, pattern = globs.split(self.key, names.__contains__)
        start = len(top) + 1 if top else 0
        return {
            key: size
            for key, size in listed.items()
            if key.startswith(top + "/" if top else "")
            and globs.matches(key[start:].split("/"), pattern)
        }

    def _listed_for_pattern(self) -> str:
        wild = globs.WILD.search(self.key)
        return self.key[: wild.start()] if wild else self.key

    def identity(self) -> str:
        """What tells the objects that the url names from those that replace them: their tags."""
        found = self.find()
        told = self._details(self._listed_for_pattern())
        # One that goes meanwhile is missed by whoever fetches it.
        details = [(key, told.get(key, {})) for key in found]
        return repr([(key, of.get("ETag") or of.get("etag")) for key, of in details])

    def contents(self) -> dict[str, int]:
        """The sizes of the objects in this folder, to any depth, by their names in it."""
        start = len(self._below(""))
        return {key[start:]: size for key, size in self._list(self._below("")).items()}

    def download(self, key: str, size: int, to: Path) -> None:
        """Bring an object to a file, which appears when it is whole."""
        part = unfinished.short_name_in(to.parent)

        def once() -> None:
            self.fs.get_file(f"{self.bucket}/{key}", str(part), **self._transfer(key, size))
            _compare(part.stat().st_size, size)
            part.replace(to)

        try:
            self._retry(once, key, lost="it was removed meanwhile")
        finally:
            part.unlink(missing_ok=True)

    def upload(self, path: Path, name: str) -> None:
        """Send a file to this folder, and ask for the size that has arrived."""
        key = self._below(name)

        def once() -> None:
            size = path.stat().st_size
            remote = f"{self.bucket}/{key}"
            self.fs.put_file(str(path), remote, chunksize=PIECE, **self._transfer(key, size))
            _compare(self._size(key), size)

        self._retry(once, key, lost=NO_BUCKET)

    def delete(self, name: str) -> None:
        """Delete an object of this folder; that it has gone already is no error."""
        key = self._below(name)

        def once() -> None:
            with contextlib.suppress(FileNotFoundError):
                self.fs.rm_file(f"{self.bucket}/{key}", timeout=ANSWER)

        self._wait_for(lambda: self._retry(once, key))

    def read_small(self, name: str) -> bytes | None:
        """Return what an object of this folder holds, or None if it is not there."""
        key = self._below(name)

        def once() -> bytes | None:
            with contextlib.suppress(FileNotFoundError):
                data: bytes = self.fs.cat_file(f"{self.bucket}/{key}", timeout=ANSWER)
                return data
            return None

        return self._wait_for(lambda: self._retry(once, key))

    def write_small(self, name: str, data: bytes) -> None:
        """Write an object of this folder at once."""
        key = self._below(name)
        path = f"{self.bucket}/{key}"

        def once() -> None:
            self.fs.pipe_file(path, data, timeout=ANSWER)

        self._wait_for(lambda: self._retry(once, key, lost=NO_BUCKET))

    def check_there(self) -> None:
        """Raise a UserError if there is no such bucket, or nobody may look; nothing is changed."""
        # A name that nothing begins with, as a list of all could be long.
        self._details(self._below(".trainer-probe"))

    def check_writable(self) -> None:
        """Raise a UserError unless objects can be made; not all who may make them may delete."""
        probe = self._below(".trainer-probe")

        def once() -> None:
            self.fs.pipe_file(f"{self.bucket}/{probe}", b"", timeout=ANSWER)
            _compare(self._size(probe), 0)

        self._wait_for(lambda: self._retry(once, lost=NO_BUCKET))
        with contextlib.suppress(UserError, StorageError):
            self.delete(".trainer-probe")

    def _driver(self, options: Mapping[str, Any]) -> Any:
        module, name, settings = DRIVERS[self.scheme]
        package = module.split(".")[0]
        try:
            driver = getattr(importlib.import_module(module), name)
        except ImportError:
            needs = f"needs {package}: {install_command('cloud')}"
            raise UserError(
                subject=f"{self.flag} {self.url}",
                problem=needs,
            ) from None
        # It logs whole addresses; all that matters comes as an exception as well.
        logging.getLogger(package).setLevel(logging.CRITICAL)
        settings = {"use_listings_cache": False, **settings, **options}
        return self._wait_for(lambda: self._retry(lambda: driver(**settings)))

    def _below(self, name: str) -> str:
        return f"{self.key}/{name}" if self.key else name

    def _size(self, key: str) -> int | None:
        def once() -> int | None:
            with contextlib.suppress(FileNotFoundError):
                info = self.fs.info(f"{self.bucket}/{key}", timeout=ANSWER)
                return info["size"] if info["type"] == "file" else None
            return None

        return self._retry(once, key)

    def _list(self, prefix: str) -> dict[str, int]:
        """The sizes of all objects whose names begin so, in their order."""
        return {key: detail["size"] for key, detail in self._details(prefix).items()}

    def _details(self, prefix: str) -> dict[str, dict[str, Any]]:
        """What the store says of them."""

        def once() -> dict[str, dict[str, Any]]:
            return self.fs.find(self.bucket, prefix=prefix, detail=True, timeout=LISTING)

        found = self._wait_for(lambda: self._retry(once, lost=NO_BUCKET))
        start = len(self.bucket) + 1
        # What ends in a slash is a folder that was made in a console.
        keys = sorted(name[start:] for name in found if not name.endswith("/"))
        return {key: found[f"{self.bucket}/{key}"] for key in keys}

    def _transfer(self, key: str, size: int) -> dict[str, Any]:
        """What bounds and counts a transfer."""

        def moving(size: int, value: int, **_: Any) -> None:
            if self.stop.is_set():
                raise InterruptedError
            self.moved[key] = value

        callback = importlib.import_module("fsspec.callbacks").Callback(hooks={"": moving})
        return {"callback": callback, "timeout": ANSWER + size / SLOWEST}

    def _wait_for(self, call: Callable[[], T]) -> T:
        """Wait for an answer, and hear of a stop meanwhile; transfers see to that themselves."""
        try:
            return self.patience.call(call, f"{self.flag} {self.url}")
        except StoppedError as error:
            if self.patience.seconds:
                raise StorageError(str(error), problem="no answer") from None
            raise

    def _retry(self, call: Callable[[], T], key: str = "", *, lost: str = "is not there") -> T:
        url = f"{self.scheme}://{self.bucket}/{key}" if key else self.url
        for tried in range(1, TRIES + 1):
            try:
                return call()
            except (UserError, StorageError):
                raise
            except Exception as error:
                if self.stop.is_set():
                    raise
                error = self._with_body(error, key)
                code = response_of(error).code
                mistake = permanent_problem(error, lost)
                if mistake:
                    raise UserError(
                        subject=f"{self.flag} {url}",
                        problem=mistake,
                    ) from None
            if tried < TRIES:
                self.stop.wait(BACKOFF * 2 ** (tried - 1))
        problem = f"failed {TRIES} times, at last with {code}"
        raise StorageError(f"{self.flag} {url}: {problem}", problem=problem)

    def _with_body(self, error: Exception, key: str) -> Exception:
        """Return an error that has the store's own code, where one came without a body.

        S3 is asked for sizes by HEAD, and says no more than 400, 403 or 301 to that.
        """
        if self.scheme != "s3" or not response_of(error).is_bare:
            return error
        names = {"Bucket": self.bucket, "Key": key or self.key or "-"}
        try:
            self.fs.call_s3("get_object", **names, Range="bytes=0-0", timeout=ANSWER)
        except Exception as other:
            return other if response_of(other).status == response_of(error).status else error
        return error


def _compare(size: int | None, expected: int) -> None:
    if size != expected:
        raise SizeError(f"{size} of {expected} bytes")
