"""One url of an object store: an object, a folder, a glob or a whole bucket."""

from __future__ import annotations

import contextlib
import re
import threading
from pathlib import Path

from trainer.config import UserError
from trainer.runtime import ALWAYS_PATIENT, Patience
from trainer.storage import globs, listing
from trainer.storage.bucket import Bucket
from trainer.storage.errors import StorageError
from trainer.storage.listing import NameFilter
from trainer.storage.store_options import NO_OPTIONS, StorageOptions
from trainer.storage.urls import URL

_PROBE = ".trainer-probe"


class RemotePath:
    """An object, a folder or a glob of a store, or a whole bucket.

    Args:
        url: Begins with `s3://`, `gs://` or `gcs://`.
        flag: The flag that named it, for errors.
        options: Arguments of the drivers, and limits.
        stop: Once set, transfers are given up.
        patience: How long to wait for answers; `bucket.patience` may be set anew.

    Attributes:
        bucket: The bucket, through which all requests go.
        key: The path in it, without a slash at its end.

    Raises:
        UserError: The url is malformed, or the driver is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        flag: str,
        options: StorageOptions = NO_OPTIONS,
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
        scheme, name, path = match.groups("")
        self.url, self._subject = url, f"{flag} {url}"
        self.key, self._must_be_folder = path.rstrip("/"), path.endswith("/") or not path
        self.bucket = Bucket(
            "s3" if scheme == "s3" else "gs",
            name,
            subject=self._subject,
            flag=flag,
            options=options,
            stop=stop,
            patience=patience,
        )

    @property
    def top(self) -> str:
        """The folder that the url names, or that a glob looks through."""
        return listing.folder_of(self.key)

    def find(
        self, *, patterns: bool = True, name_filter: NameFilter | None = None
    ) -> dict[str, int]:
        """Return the objects that the url names, with their sizes in bytes.

        Args:
            patterns: True if the url may be a glob.
            name_filter: Chooses, of the names in a folder or below a glob, those that are wanted.

        Raises:
            UserError: There are none, or one that cannot be a local file.
        """
        size = None if self._must_be_folder else self.bucket.size(self.key)
        if size is not None:
            found = {self.key: size}
        elif patterns and globs.WILD.search(self.key):
            found = listing.matching(self.bucket.sizes(listing.prefix_of(self.key)), self.key)
        else:
            found = self.bucket.sizes(self._below(""))
        if not found:
            expected = "an object, a folder or a glob" if patterns else "a folder"
            raise self._mistake(f"nothing is there; expected {expected}")
        if size is None:
            found = self._filtered(listing.without_folder_marks(found), name_filter)
        if (key := listing.without_local_name(found)) is not None:
            raise self._mistake(f"{key!r} cannot be a local file")
        return found

    def identity(self) -> str:
        """Return a text that changes when others replace the objects that the url names."""
        found = self.find()
        listed = self.bucket.details(listing.prefix_of(self.key))
        # An object deleted meanwhile has no details; the error comes when it is fetched.
        details = [(key, listed.get(key, {})) for key in found]
        return repr([(key, of.get("ETag") or of.get("etag")) for key, of in details])

    def contents(self) -> dict[str, int]:
        """Return the sizes of the objects in this folder, to any depth, by their names in it."""
        start = len(self._below(""))
        return {key[start:]: size for key, size in self.bucket.sizes(self._below("")).items()}

    def upload(self, path: Path, name: str) -> None:
        """Send a file to this folder, and ask for the size that has arrived."""
        self.bucket.upload(path, self._below(name))

    def delete(self, name: str) -> None:
        """Delete an object of this folder; that it has gone already is no error."""
        self.bucket.delete(self._below(name))

    def read_small(self, name: str) -> bytes | None:
        """Return the bytes of an object of this folder, or None if it is not there."""
        return self.bucket.read(self._below(name))

    def write_small(self, name: str, data: bytes) -> None:
        """Write an object of this folder at once."""
        self.bucket.write(self._below(name), data)

    def check_there(self) -> None:
        """Raise a UserError if the bucket is missing or may not be listed; change nothing."""
        # List a name that no object begins with: a list of all objects could be long.
        self.bucket.details(self._below(_PROBE))

    def check_writable(self) -> None:
        """Raise a UserError unless objects can be written; a permission to delete is not needed."""
        self.bucket.check_writable(self._below(_PROBE))
        with contextlib.suppress(UserError, StorageError):
            self.delete(_PROBE)

    def _below(self, name: str) -> str:
        return f"{self.key}/{name}" if self.key else name

    def _filtered(self, found: dict[str, int], name_filter: NameFilter | None) -> dict[str, int]:
        if name_filter is None:
            return found
        start = len(self.top) + 1 if self.top else 0
        names = name_filter([key[start:] for key in found])
        if not names:
            shown = ", ".join(sorted(key[start:] for key in found)[:3])
            more = ", …" if len(found) > 3 else ""
            raise self._mistake(f"holds only {shown}{more}, of which nothing is read")
        return {key: size for key, size in found.items() if key[start:] in names}

    def _mistake(self, problem: str) -> UserError:
        return UserError(subject=self._subject, problem=problem)
