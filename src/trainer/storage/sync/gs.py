"""A folder of a bucket of Google Cloud Storage as SRC or DST of a synchronisation."""

from __future__ import annotations

import base64
import datetime
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

from trainer.config import UserError
from trainer.storage.errors import NO_BUCKET, store_response
from trainer.storage.retries import request_logged, request_retried
from trainer.storage.sync.checksums import Checksums, are_equal
from trainer.storage.sync.entries import Entry, SyncFileError
from trainer.storage.sync.gs_session import GoogleStorageSession, object_path
from trainer.storage.sync.gs_upload import GoogleUpload
from trainer.storage.sync.place import CHANGED, Place, Step, SyncSettings, step

T = TypeVar("T")

FIELDS = "items(name,size,updated,md5Hash,crc32c,generation),nextPageToken"


class GooglePlace:
    """A folder of a bucket, or one object as SRC.

    Args:
        url: As it was given.
        bucket: The bucket.
        prefix: The key of the folder with a slash at its end; empty for the whole bucket.
        flag: SRC or DST, for errors.
        settings: What all transfers share.
    """

    is_local = False

    def __init__(
        self, url: str, bucket: str, prefix: str, *, flag: str, settings: SyncSettings
    ) -> None:
        self.url, self.subject = url, f"{flag} {url}"
        self.bucket, self.prefix = bucket, prefix
        self.settings = settings
        self._flag = flag
        self.session: GoogleStorageSession = self.retry(
            lambda: GoogleStorageSession(settings, self.subject), ""
        )

    def entries(self) -> dict[str, Entry]:
        """See `Place.entries`."""
        found: dict[str, Entry] = {}
        params: dict[str, Any] = {"prefix": self.prefix, "fields": FIELDS, "maxResults": 1000}
        while True:
            listed = self._call("LIST", "GET", "*", self._objects(), params=dict(params)) or {}
            for each in listed.get("items", ()):
                name = each["name"][len(self.prefix) :]
                # A key that ends in a slash is a folder that somebody made in a console.
                if name and not name.endswith("/"):
                    found[name] = entry_of(name, each)
            if not listed.get("nextPageToken"):
                return dict(sorted(found.items()))
            params["pageToken"] = listed["nextPageToken"]

    def single(self) -> Entry | None:
        """Return the one object that the url names, if it names one and no folder."""
        key = self.prefix.rstrip("/")

        def get() -> Entry | None:
            try:
                answer = self.session.json("GET", object_path(self.bucket, key))
            except Exception as error:
                if store_response(error).status == 404:
                    return None
                raise
            return entry_of(key.rpartition("/")[2], answer)

        return self.retry(get, "") if key else None

    def checksums(self, entry: Entry, like: Checksums) -> Checksums:
        """See `Place.checksums`: a list has all that Google knows."""
        return entry.checksums

    def read(self, entry: Entry, start: int, stop: int) -> Iterator[bytes]:
        """See `Place.read`."""
        headers = {}
        if start or stop < entry.size:
            headers["Range"] = f"bytes={start}-{stop - 1}"
        path = "/download" + object_path(self.bucket, self.prefix + entry.name)
        params = {"alt": "media", "generation": entry.version}
        try:
            yield from self.session.pieces(path, headers, params)
        except Exception as error:
            if store_response(error).status in (404, 412):
                raise SyncFileError(
                    subject=self._object(entry.name), problem=CHANGED, remedy="run it again"
                ) from None
            raise

    def retry(self, call: Callable[[], T], name: str) -> T:
        """See `Place.retry`."""

        def none_is_there() -> T:
            try:
                return call()
            except Exception as error:
                if not name and store_response(error).status == 404:
                    raise UserError(subject=self.subject, problem=NO_BUCKET) from None
                raise

        return request_retried(
            none_is_there,
            subject=f"{self._flag} {self._object(name)}" if name else self.subject,
            if_missing=NO_BUCKET,
            limits=self.settings.limits,
            stop=self.settings.meter.stop,
            explain=lambda error: error,
        )

    def delete(self, name: str) -> None:
        """See `Place.delete`."""
        path = object_path(self.bucket, self.prefix + name)
        self._call("DELETE", "DELETE", name, path, accept=(404,))

    def receive(self, entry: Entry, source: Place) -> Sequence[Step]:
        """See `Place.receive`."""
        if isinstance(source, GooglePlace):
            return [step(self._copy, entry, source)]
        return GoogleUpload(entry, source, self).begin()

    def upload_path(self) -> str:
        """Return the path of requests that send objects."""
        return f"/upload{self._objects()}"

    def check(self, entry: Entry, answer: Any, ours: Checksums) -> None:
        """Compare what Google has made of a file with what was sent.

        Raises:
            SyncFileError: It differs; the object is deleted again.
        """
        made = entry_of(entry.name, answer)
        if made.size == entry.size and are_equal(made.checksums, ours) is not False:
            return
        self.delete(entry.name)
        raise SyncFileError(
            subject=self._object(entry.name),
            problem="the store made something else of it, which was deleted again",
            remedy="run it again",
        )

    def _copy(self, entry: Entry, source: GooglePlace) -> None:
        """Let the store copy an object, by as many requests as that takes."""
        start = object_path(source.bucket, source.prefix + entry.name)
        target = object_path(self.bucket, self.prefix + entry.name)
        path = f"{start}/rewriteTo/{target.removeprefix('/storage/v1/')}"
        params = {"sourceGeneration": entry.version}
        while True:
            answer = self._call("COPY", "POST", entry.name, path, params=dict(params))
            if answer["done"]:
                break
            self.settings.meter.count(0)
            params["rewriteToken"] = answer["rewriteToken"]
        self.settings.meter.count(entry.size)
        made = entry_of(entry.name, answer["resource"])
        checked = are_equal(entry.checksums, made.checksums) is True
        self.settings.meter.end_file(entry.name, checked=checked)

    def _call(self, verb: str, method: str, name: str, path: str, **more: Any) -> Any:
        def logged() -> Any:
            return request_logged(
                verb, self._object(name), lambda: self.session.json(method, path, **more),
                lambda _: "done",
            )  # fmt: skip

        return self.retry(logged, "" if name == "*" else name)

    def _objects(self) -> str:
        return f"/storage/v1/b/{quote(self.bucket, safe='')}/o"

    def _object(self, name: str) -> str:
        return f"gs://{self.bucket}/{self.prefix}{name}"


def entry_of(name: str, answer: Any) -> Entry:
    """Return the entry of an object, from its metadata."""
    updated = datetime.datetime.fromisoformat(answer["updated"])
    return Entry(
        name=name,
        size=int(answer["size"]),
        mtime=updated.timestamp(),
        checksums=Checksums(md5=_hex(answer.get("md5Hash")), crc32c=_hex(answer.get("crc32c"))),
        version=str(answer.get("generation", "")),
    )


def _hex(text: str | None) -> str | None:
    return base64.b64decode(text).hex() if text else None
