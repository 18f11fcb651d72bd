"""A folder of an S3 bucket as SRC or DST of a synchronisation, by botocore."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from trainer.config import UserError
from trainer.runtime import install_command
from trainer.storage.errors import NO_BUCKET, SizeError, store_response
from trainer.storage.retries import request_logged, request_retried
from trainer.storage.sync.checksums import PIECE, UNKNOWN, Checksums, are_equal, of_etag
from trainer.storage.sync.entries import Entry, SyncFileError
from trainer.storage.sync.place import CHANGED, Place, Step, SyncSettings, step
from trainer.storage.sync.s3_upload import S3Upload

T = TypeVar("T")

# Bytes of an object that S3 copies by one request.
MOST_COPIED = 5 * 2**30
GONE = ("NoSuchKey", "NoSuchVersion", "PreconditionFailed", "404", "412")


def client_for(settings: SyncSettings, subject: str) -> Any:
    """Return a client of S3, which finds credentials, region and endpoint by itself.

    Raises:
        UserError: botocore is not installed, or what it reads is malformed.
    """
    try:
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
        from botocore.session import Session
    except ImportError:
        raise UserError(
            subject=subject, problem=f"needs the package botocore; {install_command('cloud')}"
        ) from None
    config = Config(
        max_pool_connections=settings.workers,
        connect_timeout=10,
        read_timeout=settings.limits.answer,
        tcp_keepalive=True,
        # We try again ourselves, and send and check an MD5 of all bytes: every store knows that.
        retries={"total_max_attempts": 1},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    try:
        return Session().create_client("s3", config=config)
    except (BotoCoreError, ValueError) as error:
        raise UserError(subject=subject, problem=str(error)) from None


class S3Place:
    """A folder of a bucket, or one object as SRC.

    Args:
        url: As it was given.
        bucket: The bucket.
        prefix: The key of the folder with a slash at its end; empty for the whole bucket.
        flag: SRC or DST, for errors.
        settings: What all transfers share.
        client: A client of botocore.
    """

    is_local = False

    def __init__(
        self, url: str, bucket: str, prefix: str, *, flag: str, settings: SyncSettings, client: Any
    ) -> None:
        self.url, self.subject = url, f"{flag} {url}"
        self.bucket, self.prefix = bucket, prefix
        self.settings, self.client = settings, client
        self._flag = flag

    def key_of(self, name: str) -> str:
        """Return the key of an object."""
        return self.prefix + name

    def entries(self) -> dict[str, Entry]:
        """See `Place.entries`."""
        found: dict[str, Entry] = {}
        token: dict[str, str] = {}
        while True:
            listed = self._retry_list(token)
            for each in listed.get("Contents", ()):
                name = each["Key"][len(self.prefix) :]
                # A key that ends in a slash is a folder that somebody made in a console.
                if name and not name.endswith("/"):
                    found[name] = _entry(name, each["Size"], each)
            if not listed.get("IsTruncated"):
                return found
            token = {"ContinuationToken": listed["NextContinuationToken"]}

    def single(self) -> Entry | None:
        """Return the one object that the url names, if it names one and no folder."""
        key = self.prefix.rstrip("/")

        def head() -> Entry | None:
            try:
                answer = self.client.head_object(Bucket=self.bucket, Key=key)
            except Exception as error:
                if store_response(error).status == 404:
                    return None
                raise
            return _entry(key.rpartition("/")[2], answer["ContentLength"], answer)

        return self.retry(head, "") if key else None

    def checksums(self, entry: Entry, like: Checksums) -> Checksums:
        """See `Place.checksums`."""
        names = {"Bucket": self.bucket, "Key": self.key_of(entry.name)}

        def head() -> Checksums:
            answer = self.client.head_object(**names, ChecksumMode="ENABLED")
            known = checksums_of(answer, entry.size)
            if known.parts_md5:
                first = self.client.head_object(**names, PartNumber=1)
                size, count = first["ContentLength"], int(known.parts_md5.split("-")[1])
                known = dataclasses.replace(
                    known, part_size=size if -(-entry.size // size) == count else None
                )
            return known

        return self.retry(head, entry.name)

    def read(self, entry: Entry, start: int, stop: int) -> Iterator[bytes]:
        """See `Place.read`."""
        names: dict[str, Any] = {"Bucket": self.bucket, "Key": self.key_of(entry.name)}
        if entry.version:
            names["IfMatch"] = entry.version
        if start or stop < entry.size:
            names["Range"] = f"bytes={start}-{stop - 1}"
        try:
            body = self.client.get_object(**names)["Body"]
            with contextlib.closing(body):
                while data := body.read(PIECE):
                    yield data
        except Exception as error:
            if store_response(error).code in GONE:
                raise SyncFileError(
                    subject=self._object(entry.name), problem=CHANGED, remedy="run it again"
                ) from None
            raise

    def retry(self, call: Callable[[], T], name: str) -> T:
        """See `Place.retry`."""
        return request_retried(
            call,
            subject=f"{self._flag} {self._object(name)}" if name else self.subject,
            if_missing=NO_BUCKET,
            limits=self.settings.limits,
            stop=self.settings.meter.stop,
            explain=self._with_body,
        )

    def delete(self, name: str) -> None:
        """See `Place.delete`."""
        self.call("delete_object", name)

    def receive(self, entry: Entry, source: Place) -> Sequence[Step]:
        """See `Place.receive`."""
        if isinstance(source, S3Place) and entry.size <= MOST_COPIED:
            return [step(self._copy, entry, source)]
        return S3Upload(entry, source, self).begin()

    def call(self, operation: str, name: str, *, md5: str | None = None, **arguments: Any) -> Any:
        """Make a request for one object, with retries, and return the answer.

        Args:
            operation: A method of the client.
            name: The object.
            md5: What the answer's ETag is to be, if it is an MD5.
            arguments: Those of the method.
        """
        key = self.key_of(name)

        def once() -> Any:
            answer = getattr(self.client, operation)(Bucket=self.bucket, Key=key, **arguments)
            made = checksums_of(answer, 0).md5 if md5 else None
            if made and made != md5:
                raise SizeError("another checksum")
            return answer

        def logged() -> Any:
            verb = operation.partition("_")[0].upper()
            return request_logged(verb, self._object(name), once, lambda _: "done")

        return self.retry(logged, name)

    def _copy(self, entry: Entry, source: S3Place) -> None:
        """Let the store copy an object."""
        names: dict[str, Any] = {
            "CopySource": {"Bucket": source.bucket, "Key": source.key_of(entry.name)}
        }
        if entry.version:
            names["CopySourceIfMatch"] = entry.version
        try:
            answer = self.call("copy_object", entry.name, **names)
        except UserError as error:
            if any(f"({code})" in error.problem for code in GONE):
                raise SyncFileError(
                    subject=self._object(entry.name), problem=CHANGED, remedy="run it again"
                ) from None
            raise
        now = of_etag(answer["CopyObjectResult"].get("ETag", ""), entry.size)
        self.settings.meter.count(entry.size)
        # The store checks its own copies; an ETag may change with the parts or the key.
        checked = are_equal(entry.checksums, now) is True
        self.settings.meter.end_file(entry.name, checked=checked)

    def _retry_list(self, token: dict[str, str]) -> Any:
        def once() -> Any:
            return self.client.list_objects_v2(Bucket=self.bucket, Prefix=self.prefix, **token)

        def logged() -> Any:
            url = self._object("*")
            return request_logged("LIST", url, once, lambda a: f"{a.get('KeyCount')} objects")

        return self.retry(logged, "")

    def _object(self, name: str) -> str:
        return f"s3://{self.bucket}/{self.key_of(name)}"

    def _with_body(self, error: Exception) -> Exception:
        """Return an error that has the store's own code: responses to HEAD have no body."""
        if not store_response(error).is_bare:
            return error
        try:
            self.client.list_objects_v2(Bucket=self.bucket, Prefix=self.prefix, MaxKeys=1)
        except Exception as other:
            return other if store_response(other).status == store_response(error).status else error
        return error


def checksums_of(answer: Any, size: int) -> Checksums:
    """Return what an answer of S3 says of an object's bytes."""
    encrypted = str(answer.get("ServerSideEncryption", "")).startswith("aws:kms")
    is_md5 = not encrypted and not answer.get("SSECustomerAlgorithm")
    tag = of_etag(answer.get("ETag", ""), size) if is_md5 else UNKNOWN
    whole = answer.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT"

    def of(name: str) -> str | None:
        value = answer.get(name)
        # Of an object that was sent in parts: a checksum of checksums.
        return base64.b64decode(value).hex() if value and whole and "-" not in value else None

    return Checksums(
        md5=tag.md5,
        parts_md5=tag.parts_md5,
        part_size=tag.part_size,
        sha256=of("ChecksumSHA256"),
        crc32c=of("ChecksumCRC32C"),
        crc32=of("ChecksumCRC32"),
        crc64nvme=of("ChecksumCRC64NVME"),
    )


def _entry(name: str, size: int, answer: Any) -> Entry:
    etag = answer.get("ETag", "")
    return Entry(
        name=name,
        size=size,
        mtime=answer["LastModified"].timestamp(),
        checksums=of_etag(etag, size),
        version=etag,
    )
