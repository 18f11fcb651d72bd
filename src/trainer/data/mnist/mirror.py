"""One file of a mirror over HTTP, read piece by piece so that its time and its size are bounded."""

from __future__ import annotations

import http
import queue
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import requests

# Bytes asked for at a time.
PIECE = 2**16
# Statuses of a mirror that is there, but busy: it is asked again.
BUSY = (429, 500, 502, 503, 504)


@dataclass(frozen=True, kw_only=True)
class DownloadLimits:
    """Times and sizes that bound a download.

    Attributes:
        timeout: Seconds without a byte after which a mirror is given up.
        deadline: Seconds for one file at all mirrors together, however it trickles.
        progress: Seconds between two lines about one file.
        largest: Bytes of one file; the largest of the four has 9.9 MB, a mirror may send anything.
    """

    timeout: float = 30.0
    deadline: float = 600.0
    progress: float = 5.0
    largest: int = 64 * 2**20


DEFAULTS = DownloadLimits()


class MirrorError(Exception):
    """A mirror did not give a file; the text is the reason, in half a line."""


class StartOverError(MirrorError):
    """A failure that the bytes of an earlier download may have caused: worth a second try."""


@dataclass(frozen=True)
class ResponseHead:
    """The beginning of a response, before its body.

    Attributes:
        status: Of HTTP.
        length: Of the body in this response, in bytes, if it says so.
        content_range: The header of this name.
    """

    status: int
    length: int | None
    content_range: str | None


class MirrorResponse:
    """A response of a mirror, read in a thread of its own so that a deadline holds.

    A socket's timeout bounds each wait, but not their sum, nor the look-up of a name. Whoever takes
    from the thread waits no longer than the deadline, whatever the thread hangs in, and hears
    signals meanwhile.

    Args:
        url: The file's address.
        start: The byte to begin with.
        limits: For the timeout and the largest size.
        until: The deadline, a value of `time.monotonic`.
    """

    def __init__(self, url: str, start: int, *, limits: DownloadLimits, until: float) -> None:
        self._start, self._limits, self._until = start, limits, until
        self._closed = threading.Event()
        self._read_ahead: queue.SimpleQueue[ResponseHead | bytes | Exception] = queue.SimpleQueue()
        threading.Thread(target=self._read, args=(url,), name="download", daemon=True).start()

    def head(self) -> ResponseHead:
        """Wait for the status line and the headers.

        Raises:
            MirrorError: They do not come, or the mirror refuses.
        """
        head = self._take()
        assert isinstance(head, ResponseHead)
        return head

    def piece(self) -> bytes:
        """Wait for some bytes of the body; return none at its end.

        Raises:
            MirrorError: They do not come.
        """
        piece = self._take()
        assert isinstance(piece, bytes)
        return piece

    def close(self) -> None:
        """Let the thread end after its current wait."""
        self._closed.set()

    def _take(self) -> ResponseHead | bytes:
        try:
            taken = self._read_ahead.get(timeout=max(self._until - time.monotonic(), 0))
        except queue.Empty:
            raise MirrorError("was too slow to give the file before the deadline") from None
        if isinstance(taken, Exception):
            raise taken
        return taken

    def _read(self, url: str) -> None:
        """Put the head, the pieces and an empty piece into the queue, or the error."""
        try:
            with _session() as session:
                headers = {"Range": f"bytes={self._start}-"} if self._start else {}
                timeout = self._limits.timeout
                with session.get(url, headers=headers, stream=True, timeout=timeout) as response:
                    self._read_response(response)
        except MirrorError as error:
            self._read_ahead.put(error)
        except Exception as error:
            # Pass on any error: the thread that waits for pieces must go on to another mirror.
            self._read_ahead.put(self._reason(error))

    def _read_response(self, response: requests.Response) -> None:
        if not response.ok:
            text = " ".join(f"answered {response.status_code} {response.reason}".split())
            unsatisfiable = response.status_code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
            raise StartOverError(text) if unsatisfiable and self._start else MirrorError(text)
        length = response.headers.get("Content-Length", "")
        head = ResponseHead(
            status=response.status_code,
            length=int(length) if length.isdecimal() else None,
            content_range=response.headers.get("Content-Range"),
        )
        self._read_ahead.put(head)
        total = 0
        # The reader compares the length with that in the head, and asks for the rest.
        response.raw.enforce_content_length = False
        while not self._closed.is_set():
            # read1 returns what one wait brought; iter_content would wait for a whole piece.
            piece: bytes = response.raw.read1(PIECE)
            total += len(piece)
            if total > self._limits.largest:
                raise MirrorError(f"gave more than {self._limits.largest} bytes")
            self._read_ahead.put(piece)
            if not piece:
                break

    def _reason(self, error: Exception) -> MirrorError:
        """Return in half a line what went wrong; the innermost error says it without addresses."""
        cause: BaseException = error
        while inner := cause.__cause__ or cause.__context__:
            cause = inner
        if isinstance(cause, TimeoutError):
            return MirrorError(f"gave no byte for {self._limits.timeout:g} s")
        return MirrorError(" ".join(f"could not be read ({cause or type(cause).__name__})".split()))


def _session() -> requests.Session:
    """Return a session that asks a busy mirror again, and takes files as they are."""
    # Only here, as it takes long to import.
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    retry = Retry(
        connect=1,
        read=False,
        status=2,
        status_forcelist=BUSY,
        backoff_factor=0.5,
        raise_on_status=False,
    )
    session = requests.Session()
    # Ask for the file itself: the checksum does not fit one compressed on the way.
    session.headers["Accept-Encoding"] = "identity"
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    return session
