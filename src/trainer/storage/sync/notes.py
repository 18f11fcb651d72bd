"""Notes of unfinished uploads, by which the next process goes on with them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path

from trainer.storage import local
from trainer.storage.sync.entries import Entry


class UploadNote:
    """The name of one unfinished upload, in a file of its own that others cannot read.

    Whoever knows the address of an upload to Google may go on with it, without credentials.

    Args:
        folder: Where notes lie.
        url: The object that is being written.
        entry: The file that it is a copy of.
        place: The url that the file comes from.
    """

    def __init__(self, folder: Path, url: str, entry: Entry, place: str) -> None:
        self._path = folder / f"{hashlib.sha256(os.fsencode(url)).hexdigest()[:40]}.json"
        self._source = [place, entry.name, entry.size, entry.version]
        self.upload: str | None = None
        self.outdated: str | None = None
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            note = json.loads(self._path.read_text())
            same = note["source"] == self._source
            self.upload, self.outdated = (note["upload"], None) if same else (None, note["upload"])

    def write(self, upload: str) -> None:
        """Note an upload; where nothing can be written, it cannot be resumed."""
        self.upload = upload
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            text = json.dumps({"source": self._source, "upload": upload})
            local.write_text(self._path, text)
            self._path.chmod(0o600)

    def remove(self) -> None:
        """Forget the upload: it has ended."""
        self.upload = self.outdated = None
        with contextlib.suppress(OSError):
            self._path.unlink()
