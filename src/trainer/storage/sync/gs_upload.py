"""One file on its way to Google Cloud Storage: by one request, or by an upload that goes on."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from trainer.storage.errors import SizeError, store_response
from trainer.storage.sync.checksums import (
    MIB,
    UNKNOWN,
    Checksums,
    Hasher,
    checksum_of,
    hasher_for,
)
from trainer.storage.sync.entries import Entry, SyncFileError
from trainer.storage.sync.notes import UploadNote
from trainer.storage.sync.place import WRONG, Meter, Place, Step, check, read_all, step

if TYPE_CHECKING:
    from trainer.storage.sync.gs import GooglePlace

SMALL = 8 * MIB
# Bytes of one request, of a file on disk and of an object in memory; Google wants a multiple of
# 256 KiB.
STREAMED, PIECE = 32 * MIB, 16 * MIB
BINARY = "application/octet-stream"
_CRC = Checksums(crc32c="?")


class GoogleUpload:
    """A copy of one file to Google, of which nobody sees anything before it is whole.

    Google is sent the CRC32C of a file that lies on disk before its bytes, and refuses any others.

    Args:
        entry: The file.
        source: Where it comes from.
        target: Where it goes.
    """

    def __init__(self, entry: Entry, source: Place, target: GooglePlace) -> None:
        self._entry, self._source, self._target = entry, source, target
        self._meter = target.settings.meter
        self._key = target.prefix + entry.name

    def begin(self) -> Sequence[Step]:
        """Send a small file, or return the step that sends a large one."""
        if self._entry.size <= SMALL:
            self._put()
            return ()
        return [step(self._send)]

    def _put(self) -> None:
        data = read_all(self._source, self._entry, 0, self._entry.size)
        checked = self._source.is_local or check(
            self._source, self._entry, lambda like: checksum_of([data], like)
        )
        md5 = hashlib.md5(data, usedforsecurity=False).digest()
        about = {"name": self._key, "md5Hash": base64.b64encode(md5).decode()}
        mark = f"=={secrets.token_hex(16)}=="
        body = b"".join(
            (
                f"--{mark}\r\nContent-Type: application/json\r\n\r\n".encode(),
                json.dumps(about).encode(),
                f"\r\n--{mark}\r\nContent-Type: {BINARY}\r\n\r\n".encode(),
                data,
                f"\r\n--{mark}--\r\n".encode(),
            )
        )
        headers = {"Content-Type": f"multipart/related; boundary={mark}"}

        def post() -> Any:
            return self._target.session.json(
                "POST", self._target.upload_path(), params={"uploadType": "multipart"},
                headers=headers, data=body,
            )  # fmt: skip

        answer = self._target.retry(post, self._entry.name)
        self._target.check(self._entry, answer, Checksums(md5=md5.hex()))
        self._meter.count(len(data))
        self._meter.end_file(self._entry.name, checked=checked)

    def _send(self) -> None:
        """Send a large file, from where an earlier try has come to."""
        url = f"gs://{self._target.bucket}/{self._key}"
        note = UploadNote(self._target.settings.notes, url, self._entry, self._source.url)
        known = self._entry.checksums
        if self._source.is_local or not known.best:
            known = self._source.checksums(self._entry, _CRC)
        address, at = note.upload, 0
        if address:
            at, made = self._reached(address)
            if made is not None:
                note.remove()
                self._end(made, known, checked=False)
                return
        if not address or at < 0:
            address, at = self._new_upload(known), 0
        self._meter.skip(at)
        # Bytes that arrived before are not read again: there is no checksum of all on the way.
        kind = None if at or self._source.is_local else known.best
        hasher = hasher_for(kind, known.part_size) if kind else None
        answer: Any = None
        try:
            while answer is None:
                stop = min(at + (STREAMED if self._source.is_local else PIECE), self._entry.size)
                body = self._body(at, stop, hasher)
                if stop == self._entry.size and hasher and hasher.hexdigest() != known.value(kind):
                    raise SyncFileError(
                        subject=self._entry.name, problem=WRONG, remedy="run it again"
                    )
                answer = self._send_piece(address, body, at, stop)
                at = stop
                if answer is None:
                    note.write(address)
        except SyncFileError:
            note.remove()
            raise
        note.remove()
        self._end(answer, known, checked=bool(hasher) or self._source.is_local)

    def _body(self, start: int, stop: int, hasher: Hasher | None) -> Callable[[int], Any]:
        """Return what gives the bytes of a request from some offset on."""
        if self._source.is_local:
            counted = _Counted(self._meter, start)
            return lambda at: _Body(self._source, self._entry, at, stop, counted)
        data = read_all(self._source, self._entry, start, stop)
        if hasher:
            hasher.update(data)
        self._meter.count(len(data))
        return lambda at: bytes(memoryview(data)[at - start :])

    def _send_piece(self, address: str, body: Callable[[int], Any], start: int, stop: int) -> Any:
        """Send a piece; return the object's metadata after the last, else None."""
        at = start

        def put() -> Any:
            nonlocal at
            headers = {"Content-Range": f"bytes {at}-{stop - 1}/{self._entry.size}"}
            try:
                answer = self._target.session.send(
                    "PUT", address, headers=headers, data=body(at), accept=(308,)
                )
            except SyncFileError:
                raise
            except Exception as error:
                if store_response(error).status is None:
                    # The connection broke: part of the piece may have arrived.
                    arrived, made = self._reached(address)
                    if made is not None:
                        return made
                    at = max(at, min(arrived, stop))
                    if at == stop < self._entry.size:
                        return None
                raise
            if answer.status_code != 308:
                return answer.json()
            at = _end_of(answer)
            if at < stop:
                raise SizeError(f"{at - start} of {stop - start} bytes")
            return None

        return self._target.retry(put, self._entry.name)

    def _new_upload(self, known: Checksums) -> str:
        about: dict[str, str] = {"name": self._key}
        if known.crc32c and known.crc32c != "?":
            about["crc32c"] = base64.b64encode(bytes.fromhex(known.crc32c)).decode()
        if known.md5:
            about["md5Hash"] = base64.b64encode(bytes.fromhex(known.md5)).decode()
        headers = {
            "Content-Type": "application/json",
            "X-Upload-Content-Type": BINARY,
            "X-Upload-Content-Length": str(self._entry.size),
        }

        def post() -> str:
            answer = self._target.session.send(
                "POST", self._target.upload_path(), params={"uploadType": "resumable"},
                headers=headers, data=json.dumps(about).encode(),
            )  # fmt: skip
            return str(answer.headers["Location"])

        return self._target.retry(post, self._entry.name)

    def _reached(self, address: str) -> tuple[int, Any]:
        """Return how many bytes have arrived, -1 if the upload is no more, and what was made."""

        def put() -> tuple[int, Any]:
            headers = {"Content-Range": f"bytes */{self._entry.size}"}
            accept = (308, 404, 410, 499)
            answer = self._target.session.send("PUT", address, headers=headers, accept=accept)
            if answer.status_code == 308:
                return _end_of(answer), None
            return (-1, None) if answer.status_code >= 400 else (self._entry.size, answer.json())

        return self._target.retry(put, self._entry.name)

    def _end(self, answer: Any, known: Checksums, *, checked: bool) -> None:
        ours = known if known.best in ("md5", "crc32c") else UNKNOWN
        self._target.check(self._entry, answer, ours)
        self._meter.end_file(self._entry.name, checked=checked or ours is not UNKNOWN)


class _Counted:
    """Counts bytes once, however often they are sent."""

    def __init__(self, meter: Meter, start: int) -> None:
        self._meter, self._most = meter, start

    def reach(self, at: int) -> None:
        self._meter.count(max(0, at - self._most))
        self._most = max(self._most, at)


class _Body:
    """The bytes of a request, read from disk as they are sent."""

    def __init__(
        self, source: Place, entry: Entry, start: int, stop: int, counted: _Counted
    ) -> None:
        self._source, self._entry, self._start, self._stop = source, entry, start, stop
        self._counted = counted

    def __len__(self) -> int:
        return self._stop - self._start

    def __iter__(self) -> Iterator[bytes]:
        at = self._start
        for piece in self._source.read(self._entry, self._start, self._stop):
            at += len(piece)
            yield piece
            self._counted.reach(at)


def _end_of(answer: Any) -> int:
    """Return how many bytes the store has, by a response that wants more."""
    match = re.fullmatch(r"bytes=0-(\d+)", answer.headers.get("Range", ""))
    return int(match[1]) + 1 if match else 0
