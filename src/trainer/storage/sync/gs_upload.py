"""One file on its way to Google Cloud Storage: by one request, or by an upload that goes on."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from trainer.storage.errors import SizeError, store_response
from trainer.storage.sync.checksums import MIB, UNKNOWN, Checksums, checksum_of, hasher_for
from trainer.storage.sync.entries import Entry, SyncFileError
from trainer.storage.sync.notes import UploadNote
from trainer.storage.sync.place import WRONG, Place, Step, check, read_all, step

if TYPE_CHECKING:
    from trainer.storage.sync.gs import GooglePlace

SMALL = 8 * MIB
# Bytes of one request; Google wants a multiple of 256 KiB.
PIECE = 16 * MIB
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
            at, answer = self._reached(address)
            if answer is not None:
                note.remove()
                self._end(answer, known, checked=False)
                return
        if not address or at < 0:
            address, at = self._new_upload(known), 0
        self._meter.skip(at)
        # What is sent again is not read again: no checksum of all of it is computed on the way.
        kind = None if at or self._source.is_local else known.best
        hasher = hasher_for(kind, known.part_size) if kind else None
        while True:
            stop = min(at + PIECE, self._entry.size)
            try:
                data = read_all(self._source, self._entry, at, stop)
            except SyncFileError:
                note.remove()
                raise
            if hasher:
                hasher.update(data)
            if (
                stop == self._entry.size
                and hasher
                and hasher.hexdigest() != getattr(known, kind or "")
            ):
                note.remove()
                raise SyncFileError(subject=self._entry.name, problem=WRONG, remedy="run it again")
            answer = self._send_piece(address, data, at)
            self._meter.count(len(data))
            at = stop
            if answer is not None:
                break
            note.write(address)
        note.remove()
        self._end(answer, known, checked=bool(hasher) or self._source.is_local)

    def _send_piece(self, address: str, data: bytes, start: int) -> Any:
        """Send a piece; return the object's metadata after the last, else None."""
        view, at = memoryview(data), start

        def put() -> Any:
            nonlocal at
            rest = view[at - start :]
            last = at + len(rest) - 1
            headers = {"Content-Range": f"bytes {at}-{last}/{self._entry.size}"}
            try:
                answer = self._target.session.send(
                    "PUT", address, headers=headers, data=bytes(rest), accept=(308,)
                )
            except Exception as error:
                if store_response(error).status is None:
                    # The connection broke: part of the piece may have arrived.
                    arrived, made = self._reached(address)
                    if made is not None:
                        return made
                    at = max(at, min(arrived, start + len(data)))
                    if at == start + len(data) < self._entry.size:
                        return None
                raise
            if answer.status_code != 308:
                return answer.json()
            at = _end_of(answer)
            if at < start + len(data):
                raise SizeError(f"{at - start} of {len(data)} bytes")
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


def _end_of(answer: Any) -> int:
    """Return how many bytes the store has, by a response that wants more."""
    match = re.fullmatch(r"bytes=0-(\d+)", answer.headers.get("Range", ""))
    return int(match[1]) + 1 if match else 0
