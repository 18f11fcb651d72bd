"""One file on its way to S3: small ones by one request, large ones in parts."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from trainer.config import UserError
from trainer.storage.sync.checksums import (
    Checksums,
    Hasher,
    are_equal,
    checksum_of,
    etag_of_parts,
    hasher_for,
    part_size_for,
)
from trainer.storage.sync.entries import Entry, SyncFileError
from trainer.storage.sync.notes import UploadNote
from trainer.storage.sync.place import WRONG, Place, Step, check, read_all, step

if TYPE_CHECKING:
    from trainer.storage.sync.s3 import S3Place

# Errors of an upload that the store no longer has.
_ENDED = "(NoSuchUpload)"


class S3Upload:
    """A copy of one file to S3, of which nobody sees anything before it is whole.

    The store checks each request by the MD5 that comes with it. The parts of an upload that was
    broken off stay there; those that have the MD5 of what is to be sent are not sent again.

    Args:
        entry: The file.
        source: Where it comes from.
        target: Where it goes.
    """

    def __init__(self, entry: Entry, source: Place, target: S3Place) -> None:
        self._entry, self._source, self._target = entry, source, target
        self._meter = target.settings.meter
        self._part = part_size_for(entry.size)
        self._parts = -(-entry.size // self._part)
        self._tags: dict[int, str] = {}
        self._md5s: dict[int, bytes] = {}
        self._lock = threading.Lock()
        self._resumed = False

    def begin(self) -> Sequence[Step]:
        """Send a small file, or return the steps of a large one."""
        if self._parts <= 1:
            self._put()
            return ()
        url = f"s3://{self._target.bucket}/{self._target.key_of(self._entry.name)}"
        folder = self._target.settings.notes
        self._note = UploadNote(folder, url, self._entry, self._source.url)
        if self._note.outdated:
            self._abort(self._note.outdated)
        self._there = self._uploaded(self._note.upload) if self._note.upload else None
        if self._there is None:
            answer = self._call("create_multipart_upload")
            self._note.write(answer["UploadId"])
            self._there = {}
        if self._source.is_local:
            return [step(self._send, number) for number in range(1, self._parts + 1)]
        return [step(self._send_in_order)]

    def _put(self) -> None:
        data = read_all(self._source, self._entry, 0, self._entry.size)
        checked = self._check_source(lambda like: checksum_of([data], like))
        md5 = hashlib.md5(data, usedforsecurity=False)
        tag = base64.b64encode(md5.digest()).decode()
        self._call("put_object", Body=data, ContentMD5=tag, md5=md5.hexdigest())
        self._meter.count(len(data))
        self._meter.end_file(self._entry.name, checked=checked)

    def _send_in_order(self) -> Sequence[Step]:
        """Send all parts of an object of another store, and compute its checksum on the way."""
        known = self._entry.checksums
        if not known.best or known.best == "parts_md5":
            known = self._source.checksums(self._entry, known)
        hasher = hasher_for(known.best, known.part_size) if known.best else None
        for number in range(1, self._parts + 1):
            self._send(number, hasher)
        if hasher and known.best and not self._resumed:
            ours = Checksums(**{known.best: hasher.hexdigest()}, part_size=known.part_size)
            if are_equal(known, ours) is False:
                self._give_up()
                raise SyncFileError(subject=self._entry.name, problem=WRONG, remedy="run it again")
        else:
            hasher = None
        return [step(self._complete, hasher is not None)]

    def _send(self, number: int, hasher: Hasher | None = None) -> Sequence[Step]:
        """Send one part, unless it is there; return the step that follows the last."""
        start = (number - 1) * self._part
        stop = min(start + self._part, self._entry.size)
        there = self._there or {}
        if there.get(number, ("", 0))[1] == stop - start and not self._source.is_local:
            # Not read again: its checksum is that of what was read then.
            self._resumed = True
            self._meter.skip(stop - start)
            return self._end_part(number, there[number][0], b"")
        try:
            data = read_all(self._source, self._entry, start, stop)
        except SyncFileError:
            self._give_up()
            raise
        md5 = hashlib.md5(data, usedforsecurity=False)
        if hasher:
            hasher.update(data)
        if there.get(number) == (md5.hexdigest(), len(data)):
            self._meter.skip(len(data))
            return self._end_part(number, md5.hexdigest(), md5.digest())
        tag = base64.b64encode(md5.digest()).decode()
        answer = self._upload_call(
            "upload_part", PartNumber=number, Body=data, ContentMD5=tag, md5=md5.hexdigest()
        )
        self._meter.count(len(data))
        return self._end_part(number, answer["ETag"].strip('"'), md5.digest())

    def _end_part(self, number: int, tag: str, md5: bytes) -> Sequence[Step]:
        with self._lock:
            self._tags[number], self._md5s[number] = tag, md5
            is_last = len(self._tags) == self._parts
        return [step(self._complete, True)] if is_last and self._source.is_local else ()

    def _complete(self, checked: bool) -> None:
        """Make the object of its parts: only now others see it."""
        parts = [{"PartNumber": n, "ETag": self._tags[n]} for n in sorted(self._tags)]
        md5s = [self._md5s[n] for n in sorted(self._md5s)]
        # With a key of KMS the ETags of parts are no MD5s either.
        plain = all(self._tags[n] == md5.hex() for n, md5 in sorted(self._md5s.items()))
        ours = etag_of_parts(md5s)
        made = self._made(parts, ours).strip('"')
        if plain and made != ours:
            raise SyncFileError(
                subject=f"{self._target.url}/{self._entry.name}",
                problem=f"the store made {made} of parts that make {ours}",
                remedy="run it again",
            )
        self._note.remove()
        self._meter.end_file(self._entry.name, checked=checked)

    def _made(self, parts: list[dict[str, Any]], ours: str) -> str:
        """End the upload; return the object's ETag."""
        try:
            answer = self._upload_call(
                "complete_multipart_upload", MultipartUpload={"Parts": parts}
            )
        except SyncFileError:
            # An earlier try may have ended it, whose answer was lost.
            made = str(self._call("head_object").get("ETag", ""))
            if made.strip('"') == ours:
                return made
            raise
        return str(answer.get("ETag", ours))

    def _check_source(self, computed: Callable[[Checksums], Checksums]) -> bool:
        """Return whether the source, if it is a store, vouches for what was read."""
        return self._source.is_local or check(self._source, self._entry, computed)

    def _uploaded(self, upload: str) -> dict[int, tuple[str, int]] | None:
        """Return ETag and size of each part that is there; None if the upload is no more."""
        found: dict[int, tuple[str, int]] = {}
        after: dict[str, Any] = {}
        while True:
            try:
                answer = self._call("list_parts", UploadId=upload, **after)
            except UserError as error:
                if _ENDED in error.problem or "(404)" in error.problem:
                    return None
                raise
            for part in answer.get("Parts", ()):
                found[part["PartNumber"]] = (part["ETag"].strip('"'), part["Size"])
            if not answer.get("IsTruncated"):
                return found
            after = {"PartNumberMarker": answer["NextPartNumberMarker"]}

    def _upload_call(self, operation: str, **arguments: Any) -> Any:
        try:
            return self._call(operation, UploadId=self._note.upload, **arguments)
        except UserError as error:
            if _ENDED not in error.problem:
                raise
            self._note.remove()
            raise SyncFileError(
                subject=f"{self._target.url}/{self._entry.name}",
                problem="somebody has ended its upload",
                remedy="run it again",
            ) from None

    def _call(self, operation: str, **arguments: Any) -> Any:
        return self._target.call(operation, self._entry.name, **arguments)

    def _give_up(self) -> None:
        """End an upload whose source has changed."""
        if upload := self._note.upload:
            self._note.remove()
            self._abort(upload)

    def _abort(self, upload: str) -> None:
        try:
            self._call("abort_multipart_upload", UploadId=upload)
        except UserError:
            # It has ended already.
            return
