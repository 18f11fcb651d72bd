"""One HTTP answer, read piece by piece so that neither its time nor its size is without bound."""

import http.client
import queue
import threading
import time
import urllib.error
import urllib.request
from typing import NamedTuple

LARGEST = 64 * 2**20  # bytes; the largest of the four has 9.9 MB, a mirror may send anything


class FailedError(Exception):
    """One mirror's reason for not giving a file."""


class StartOverError(FailedError):
    """A reason that may lie in the .part file; the same mirror is worth a second try."""


class Head(NamedTuple):
    """What an answer says before its body."""

    status: int
    length: int | None  # of the body in this answer, in bytes
    range: str | None  # the Content-Range


class Answer:
    """A mirror's answer, read in a thread of its own so that a deadline holds.

    A socket's timeout bounds each wait, but not their sum, nor the look-up of a name;
    whoever takes from the thread waits no longer than the deadline, whatever it hangs in.
    """

    def __init__(self, url: str, had: int, *, timeout: float, until: float) -> None:
        """Asks `url` for its bytes from `had` on, to be taken before the time `until`."""
        self._had = had
        self._timeout = timeout
        self._until = until
        self._stopped = threading.Event()
        self._found: queue.SimpleQueue[Head | bytes | Exception] = queue.SimpleQueue()
        threading.Thread(target=self._read, args=(url,), daemon=True).start()

    def head(self) -> Head:
        """Waits for the status line and headers."""
        head = self._take()
        assert isinstance(head, Head)
        return head

    def piece(self) -> bytes:
        """Waits for some bytes of the body; none at its end."""
        piece = self._take()
        assert isinstance(piece, bytes)
        return piece

    def stop(self) -> None:
        """Lets the thread end after its current wait."""
        self._stopped.set()

    def _take(self) -> Head | bytes:
        try:
            found = self._found.get(timeout=max(self._until - time.monotonic(), 0))
        except queue.Empty:
            raise FailedError("was too slow to give the file before the deadline") from None
        if isinstance(found, Exception):
            raise self._reason(found) from found
        return found

    def _read(self, url: str) -> None:
        """Puts the head, the pieces and an empty piece into the queue, or the error."""
        total = 0
        try:
            request = urllib.request.Request(url)
            if self._had:
                request.add_header("Range", f"bytes={self._had}-")
            with urllib.request.urlopen(request, timeout=self._timeout) as answer:
                self._found.put(Head(answer.status, answer.length, answer.headers["Content-Range"]))
                while not self._stopped.is_set():
                    # read1 gives what one wait brought; read would wait for all it was asked.
                    piece = answer.read1(2**16)
                    total += len(piece)
                    if total > LARGEST:
                        raise FailedError(f"gave more than {LARGEST} bytes")
                    self._found.put(piece)
                    if not piece:
                        break
        except Exception as error:
            # Whatever went wrong, the one who waits must learn of it and try another mirror.
            self._found.put(error)

    def _reason(self, error: Exception) -> FailedError:
        """Says in half a line what a mirror did wrong."""
        if isinstance(error, FailedError):
            return error
        if isinstance(error, urllib.error.HTTPError):
            said = f"answered {error.code} {error.reason}"
            error.close()
            if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and self._had:
                return StartOverError(said)
        else:
            cause = error.reason if isinstance(error, urllib.error.URLError) else error
            if isinstance(cause, TimeoutError):
                said = f"gave no byte for {self._timeout:g} s"
            else:
                said = f"could not be read ({cause or type(cause).__name__})"
        return FailedError(" ".join(said.split()))
