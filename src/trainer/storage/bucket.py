"""One bucket of an object store: requests for its objects, each with retries, bounds and a log."""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from trainer.runtime import Patience, StoppedError
from trainer.storage import unfinished
from trainer.storage.drivers import PIECE, driver_for
from trainer.storage.errors import NO_BUCKET, SizeError, StorageError, store_response
from trainer.storage.retries import request_logged, request_retried
from trainer.storage.store_options import StorageOptions

T = TypeVar("T")


class Bucket:
    """A bucket, as it is reached by one url.

    Args:
        scheme: `s3` or `gs`.
        name: The bucket's name.
        subject: The flag and url that named it, for errors.
        flag: The flag alone.
        options: Arguments of the drivers, and limits.
        stop: Once set, transfers are given up.
        patience: How long to wait for answers; may be set anew.

    Attributes:
        moved: Bytes that each transfer has moved, by key.

    Raises:
        UserError: The driver is not installed.
    """

    def __init__(
        self,
        scheme: str,
        name: str,
        *,
        subject: str,
        flag: str,
        options: StorageOptions,
        stop: threading.Event | None,
        patience: Patience,
    ) -> None:
        self.scheme, self.name, self._subject, self._flag = scheme, name, subject, flag
        self.stop, self.patience = stop or threading.Event(), patience
        self.moved: dict[str, int] = {}
        self._limits = options.limits
        self._driver: Any = None
        connect = driver_for(scheme, subject=subject, options=options)
        self._driver = self._wait_for(lambda: self._retry(connect))

    def size(self, key: str) -> int | None:
        """Return the size of an object in bytes, or None if it is not there."""
        return self._wait_for(lambda: self._head(key))

    def sizes(self, prefix: str) -> dict[str, int]:
        """Return the sizes of objects whose keys have a prefix, by key, in order."""
        return {key: detail["size"] for key, detail in self.details(prefix).items()}

    def details(self, prefix: str) -> dict[str, dict[str, Any]]:
        """Return the store's metadata of objects whose keys have a prefix, by key, in order."""

        def list_all() -> dict[str, dict[str, Any]]:
            found: dict[str, dict[str, Any]] = self._driver.find(
                self.name, prefix=prefix, detail=True, timeout=self._limits.listing
            )
            return found

        def once() -> dict[str, dict[str, Any]]:
            url = self._url(f"{prefix}*")
            return request_logged("LIST", url, list_all, lambda found: f"{len(found)} objects")

        found = self._wait_for(lambda: self._retry(once, if_missing=NO_BUCKET))
        start = len(self.name) + 1
        # An object whose key ends in a slash is a folder that somebody made in a console.
        keys = sorted(name[start:] for name in found if not name.endswith("/"))
        return {key: found[self._path(key)] for key in keys}

    def download(self, key: str, size: int, to: Path) -> None:
        """Bring an object of `size` bytes to a file, which appears when it is whole."""
        part = unfinished.short_name_in(to.parent)

        def get() -> int:
            self._driver.get_file(self._path(key), str(part), **self._transfer(key, size))
            return part.stat().st_size

        def once() -> None:
            _compare(request_logged("GET", self._url(key), get, _bytes), size)
            part.replace(to)

        try:
            self._retry(once, key, if_missing="it was removed meanwhile")
        finally:
            part.unlink(missing_ok=True)

    def upload(self, path: Path, key: str) -> None:
        """Send a file, and ask for the size that has arrived."""

        def put() -> int:
            size = path.stat().st_size
            bounds = self._transfer(key, size)
            self._driver.put_file(str(path), self._path(key), chunksize=PIECE, **bounds)
            return size

        def once() -> None:
            size = request_logged("PUT", self._url(key), put, _bytes)
            _compare(self._head(key), size)

        self._retry(once, key, if_missing=NO_BUCKET)

    def read(self, key: str) -> bytes | None:
        """Return the bytes of a small object, or None if it is not there."""

        def get() -> bytes | None:
            with contextlib.suppress(FileNotFoundError):
                data: bytes = self._driver.cat_file(self._path(key), timeout=self._limits.answer)
                return data
            return None

        def once() -> bytes | None:
            return request_logged(
                "GET", self._url(key), get, lambda d: _bytes(None if d is None else len(d))
            )

        return self._wait_for(lambda: self._retry(once, key))

    def write(self, key: str, data: bytes) -> None:
        """Write a small object at once."""
        self._wait_for(lambda: self._retry(lambda: self._put(key, data), key, if_missing=NO_BUCKET))

    def delete(self, key: str) -> None:
        """Delete an object; that it has gone already is no error."""

        def delete() -> bool:
            with contextlib.suppress(FileNotFoundError):
                self._driver.rm_file(self._path(key), timeout=self._limits.answer)
                return True
            return False

        def once() -> bool:
            result = {True: "done", False: "was not there"}
            return request_logged("DELETE", self._url(key), delete, result.__getitem__)

        self._wait_for(lambda: self._retry(once, key))

    def check_writable(self, key: str) -> None:
        """Raise a UserError unless an empty object can be made, which is left there."""

        def once() -> None:
            self._put(key, b"")
            _compare(self._head(key), 0)

        self._wait_for(lambda: self._retry(once, if_missing=NO_BUCKET))

    def _path(self, key: str) -> str:
        """Return an object's name as drivers have it."""
        return f"{self.name}/{key}"

    def _url(self, key: str) -> str:
        return f"{self.scheme}://{self.name}/{key}"

    def _head(self, key: str) -> int | None:
        def head() -> int | None:
            with contextlib.suppress(FileNotFoundError):
                info = self._driver.info(self._path(key), timeout=self._limits.answer)
                return info["size"] if info["type"] == "file" else None
            return None

        return self._retry(lambda: request_logged("HEAD", self._url(key), head, _bytes), key)

    def _put(self, key: str, data: bytes) -> None:
        def put() -> int:
            self._driver.pipe_file(self._path(key), data, timeout=self._limits.answer)
            return len(data)

        request_logged("PUT", self._url(key), put, _bytes)

    def _transfer(self, key: str, size: int) -> dict[str, Any]:
        """Return the arguments of a driver that bound and count a transfer of `size` bytes."""

        def count(size: int, value: int, **_: Any) -> None:
            if self.stop.is_set():
                raise InterruptedError
            self.moved[key] = value

        callback = importlib.import_module("fsspec.callbacks").Callback(hooks={"": count})
        return {"callback": callback, "timeout": self._limits.answer + size / self._limits.slowest}

    def _wait_for(self, call: Callable[[], T]) -> T:
        """Wait for an answer or a stop; for transfers, `transfer` does that for all at once."""
        try:
            return self.patience.call(call, self._subject)
        except StoppedError as error:
            if self.patience.seconds:
                raise StorageError(str(error), problem="no answer") from None
            raise

    def _retry(
        self, call: Callable[[], T], key: str = "", *, if_missing: str = "is not there"
    ) -> T:
        return request_retried(
            call,
            subject=f"{self._flag} {self._url(key)}" if key else self._subject,
            if_missing=if_missing,
            limits=self._limits,
            stop=self.stop,
            explain=lambda error: self._with_body(error, key),
        )

    def _with_body(self, error: Exception, key: str) -> Exception:
        """Return an error that has the store's own code, if the response had no body.

        Sizes are asked for by HEAD, to which S3 answers no more than 400, 403 or 301.
        """
        if self.scheme != "s3" or not store_response(error).is_bare:
            return error
        names = {"Bucket": self.name, "Key": key or "-"}
        try:
            self._driver.call_s3(
                "get_object", **names, Range="bytes=0-0", timeout=self._limits.answer
            )
        except Exception as other:
            return other if store_response(other).status == store_response(error).status else error
        return error


def _compare(size: int | None, expected: int) -> None:
    if size != expected:
        raise SizeError(f"{size} of {expected} bytes")


def _bytes(size: int | None) -> str:
    return "was not there" if size is None else f"{size} bytes"
