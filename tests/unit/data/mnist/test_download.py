"""The download of MNIST, against real servers on loopback that behave and misbehave."""

import hashlib
import http.server
import logging
import random
import socket
import threading
import time

import pytest

from trainer.config.errors import DataError, UserError
from trainer.data.mnist import download as mnist
from trainer.data.mnist.download import download_mnist
from trainer.data.mnist.mirror import DownloadLimits

pytestmark = pytest.mark.slow

BODIES = {
    "images.gz": random.Random(0).randbytes(300_000),
    "labels.gz": random.Random(1).randbytes(5_000),
}
FILES = {name: hashlib.sha256(body).hexdigest() for name, body in BODIES.items()}
WHOLE = BODIES["images.gz"]
ONE = {"images.gz": FILES["images.gz"]}


class Mirror(http.server.ThreadingHTTPServer):
    """A mirror whose behaviour is a switch, and which counts what it is asked and sends."""

    def __init__(self, behaviour):
        self.behaviour = behaviour
        self.asked = []
        self.encodings = []
        self.sent = 0
        self.reached = threading.Event()
        self.closing = threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/mnist/"

    def handle_error(self, request, client_address):
        """Says nothing when a client has gone: some tests are about that."""


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        name = self.path.removeprefix("/mnist/")
        asked = self.headers["Range"]
        self.server.asked.append((name, asked))
        self.server.encodings.append(self.headers["Accept-Encoding"])
        self.server.reached.set()
        body, behaviour = BODIES[name], self.server.behaviour
        if behaviour == "missing":
            self.send_error(404)
        elif behaviour == "busy once" and len(self.server.asked) == 1:
            self.send_error(503)
        elif behaviour == "silent":
            self.server.closing.wait(30)
        elif behaviour == "trickle head":
            self.trickle(b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 60_000)
        elif behaviour == "trickle":
            self.head(200, len(body))
            self.trickle(body)
        elif behaviour == "truncated":
            self.head(200, len(body))
            self.send(body[: len(body) // 2])
        elif behaviour == "wrong":
            self.head(200, len(body))
            self.send(b"?" + body[1:])
        elif behaviour == "endless":
            self.head(200, None)
            while not self.server.closing.is_set():
                self.send(bytes(2**16))
        elif behaviour == "ignores ranges" or not asked:
            self.head(200, len(body))
            self.send(body)
        else:
            self.range(body, int(asked.removeprefix("bytes=").removesuffix("-")))

    def range(self, body, start):
        if start >= len(body):
            self.send_error(416)
            return
        if self.server.behaviour == "other range":
            start += 1
        self.head(206, len(body) - start, f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send(body[start:])

    def head(self, status, length, content_range=None):
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()

    def send(self, body):
        self.wfile.write(body)
        self.server.sent += len(body)

    def trickle(self, body):
        for at in range(len(body)):
            if self.server.closing.wait(0.02):
                return
            self.send(body[at : at + 1])


@pytest.fixture
def mirror(monkeypatch):
    """Makes mirrors of a given behaviour, and closes them after the test."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    made = []

    def make(behaviour="good"):
        made.append(Mirror(behaviour))
        # A short poll, as each mirror's shutdown waits for one.
        threading.Thread(target=made[-1].serve_forever, args=(0.01,), daemon=True).start()
        return made[-1]

    yield make
    for server in made:
        server.closing.set()
        server.shutdown()
        server.server_close()


@pytest.fixture
def refusing():
    """Gives an address at which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return f"http://127.0.0.1:{port}/"


class Lines(logging.Handler):
    """Keeps what is logged."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


def get(out, *mirrors, files=ONE, **limits):
    """Downloads and returns the lines that were logged."""
    handler = Lines()
    mnist.logger.addHandler(handler)
    urls = [getattr(mirror, "url", mirror) for mirror in mirrors]
    try:
        limits = DownloadLimits(**{"timeout": 5, **limits})
        download_mnist(out, mirrors=urls, files=files, limits=limits)
    finally:
        mnist.logger.removeHandler(handler)
    assert all("\n" not in line and "\r" not in line for line in handler.lines)
    return handler.lines


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_all_files_arrive_whole_under_their_own_names(tmp_path, mirror):
    out = tmp_path / "made" / "here"
    paths = download_mnist(out, mirrors=[mirror().url], files=FILES)
    assert paths == [out / name for name in FILES]
    assert [path.read_bytes() for path in paths] == list(BODIES.values())
    assert names(out) == sorted(FILES)


def test_the_table_names_the_four_files_and_their_sha256():
    assert len(mnist.FILES) == 4
    assert all(name.endswith("-ubyte.gz") for name in mnist.FILES)
    assert all(len(bytes.fromhex(checksum)) == 32 for checksum in mnist.FILES.values())


def test_a_mirror_without_a_final_slash_will_do(tmp_path, mirror):
    get(tmp_path, mirror().url.rstrip("/"))
    assert (tmp_path / "images.gz").read_bytes() == WHOLE


def test_a_whole_file_is_not_fetched_again(tmp_path, mirror):
    server = mirror()
    (tmp_path / "images.gz").write_bytes(WHOLE)
    assert get(tmp_path, server) == ["images.gz: already there"]
    assert server.asked == []


def test_whole_files_need_no_mirror(tmp_path):
    (tmp_path / "images.gz").write_bytes(WHOLE)
    get(tmp_path)


def test_a_damaged_file_is_fetched_again(tmp_path, mirror):
    (tmp_path / "images.gz").write_bytes(WHOLE[:-1] + b"?")
    lines = get(tmp_path, mirror())
    assert "images.gz: there, but damaged" in lines
    assert (tmp_path / "images.gz").read_bytes() == WHOLE


def test_a_part_is_resumed_and_only_the_rest_travels(tmp_path, mirror):
    server = mirror()
    (tmp_path / "images.gz.part").write_bytes(WHOLE[:200_000])
    lines = get(tmp_path, server)
    assert server.asked == [("images.gz", "bytes=200000-")]
    assert server.sent == 100_000
    assert "images.gz: going on after 200000 bytes" in lines
    assert (tmp_path / "images.gz").read_bytes() == WHOLE
    assert names(tmp_path) == ["images.gz"]


def test_a_whole_part_is_renamed_without_a_request(tmp_path, mirror):
    server = mirror()
    (tmp_path / "images.gz.part").write_bytes(WHOLE)
    get(tmp_path, server)
    assert server.asked == []
    assert names(tmp_path) == ["images.gz"]


@pytest.mark.parametrize(
    ("behaviour", "part"),
    [
        ("ignores ranges", WHOLE[:1000]),
        ("ignores ranges", WHOLE + b"more"),
        ("good", WHOLE + b"more"),
        ("good", b"?" * len(WHOLE)),
        ("good", b"?" * 1000),
        ("other range", WHOLE[:1000]),
    ],
    ids=["ignored", "ignored, longer", "longer", "as long", "damaged", "other range"],
)
def test_a_part_of_no_use_is_started_over(tmp_path, mirror, behaviour, part):
    (tmp_path / "images.gz.part").write_bytes(part)
    get(tmp_path, mirror(behaviour))
    assert (tmp_path / "images.gz").read_bytes() == WHOLE
    assert names(tmp_path) == ["images.gz"]


def test_a_busy_mirror_is_asked_again(tmp_path, mirror):
    server = mirror("busy once")
    lines = get(tmp_path, server)
    assert len(server.asked) == 2
    assert lines[-1] == "images.gz: 300000 bytes, checksum right"


def test_a_file_travels_as_it_is_and_not_packed_by_the_mirror(tmp_path, mirror):
    server = mirror()
    get(tmp_path, server)
    assert server.encodings == ["identity"]


@pytest.mark.parametrize("behaviour", ["missing", "truncated", "wrong", "silent", "other range"])
def test_the_next_mirror_helps_out(tmp_path, mirror, behaviour):
    good = mirror()
    get(tmp_path, mirror(behaviour), good, timeout=0.3)
    assert (tmp_path / "images.gz").read_bytes() == WHOLE
    assert names(tmp_path) == ["images.gz"]


def test_the_next_mirror_helps_out_when_one_refuses(tmp_path, mirror, refusing):
    lines = get(tmp_path, refusing, mirror())
    assert any("Connection refused" in line for line in lines)
    assert (tmp_path / "images.gz").read_bytes() == WHOLE


def test_the_next_mirror_goes_on_where_a_truncated_one_ended(tmp_path, mirror):
    good = mirror()
    get(tmp_path, mirror("truncated"), good)
    assert good.asked == [("images.gz", "bytes=150000-")]
    assert good.sent == 150_000


def test_the_next_mirror_starts_clean_after_a_wrong_checksum(tmp_path, mirror):
    good = mirror()
    get(tmp_path, mirror("wrong"), good)
    assert good.asked == [("images.gz", None)]


def test_the_mirror_that_helped_is_asked_first_for_the_next_file(tmp_path, mirror):
    bad, good = mirror("missing"), mirror()
    get(tmp_path, bad, good, files=FILES)
    assert [name for name, _ in bad.asked] == ["images.gz"]
    assert [name for name, _ in good.asked] == ["images.gz", "labels.gz"]


def test_when_all_mirrors_fail_one_line_names_the_file_and_each_reason(tmp_path, mirror, refusing):
    missing, short, wrong = mirror("missing"), mirror("truncated"), mirror("wrong")
    with pytest.raises(DataError) as caught:
        get(tmp_path, refusing, missing, wrong, short)
    said = str(caught.value)
    assert "\n" not in said
    assert said.startswith("images.gz could not be downloaded: ")
    assert f"{refusing} could not be read ([Errno 111] Connection refused)" in said
    assert f"{missing.url} answered 404 Not Found" in said
    assert f"{wrong.url} gave 300000 bytes with the wrong SHA-256" in said
    assert f"{short.url} broke off after 150000 of 300000 bytes" in said
    assert "--train" in said
    assert names(tmp_path) == ["images.gz.part"]


def test_a_failed_download_leaves_nothing_but_what_can_be_resumed(tmp_path, mirror):
    with pytest.raises(DataError):
        get(tmp_path, mirror("missing"), mirror("wrong"))
    assert names(tmp_path) == []


def test_a_failed_download_leaves_a_damaged_file_as_it_was(tmp_path, mirror):
    (tmp_path / "images.gz").write_bytes(b"damaged")
    with pytest.raises(DataError):
        get(tmp_path, mirror("truncated"))
    assert (tmp_path / "images.gz").read_bytes() == b"damaged"


def test_without_mirrors_the_error_says_so(tmp_path):
    with pytest.raises(DataError, match="no mirror was given"):
        get(tmp_path)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "file:///etc/", "127.0.0.1/mnist"])
def test_an_address_that_is_not_http_is_refused(tmp_path, url):
    with pytest.raises(UserError, match=r"mirror '.*': expected .* https://"):
        get(tmp_path, url)


def test_an_address_that_makes_no_sense_is_a_reason_like_others(tmp_path, mirror):
    get(tmp_path, "http://127.0.0.1:port/", mirror())
    assert (tmp_path / "images.gz").read_bytes() == WHOLE


def test_a_folder_that_cannot_be_made_is_named(tmp_path, mirror):
    (tmp_path / "file").write_text("in the way")
    out = tmp_path / "file" / "mnist"
    with pytest.raises(UserError) as caught:
        get(out, mirror())
    assert not isinstance(caught.value, DataError)
    assert str(caught.value).startswith(f"folder {out}: cannot be written (Not a directory)")


def test_a_file_where_the_folder_should_be_is_named(tmp_path, mirror):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"file: cannot be written \(File exists\)"):
        get(tmp_path / "file", mirror())


@pytest.mark.parametrize("behaviour", ["trickle", "trickle head", "silent"])
def test_a_mirror_that_trickles_meets_the_deadline(tmp_path, mirror, behaviour):
    begin = time.monotonic()
    with pytest.raises(DataError, match="too slow to give the file before the deadline"):
        get(tmp_path, mirror(behaviour), deadline=0.5)
    assert 0.4 < time.monotonic() - begin < 4


def test_a_trickling_mirror_leaves_time_and_its_bytes_to_the_next(tmp_path, mirror):
    good = mirror()
    get(tmp_path, mirror("trickle"), good, deadline=2)
    ((_, asked),) = good.asked
    assert asked is not None
    assert good.sent == len(WHOLE) - int(asked.removeprefix("bytes=").removesuffix("-"))
    assert (tmp_path / "images.gz").read_bytes() == WHOLE


def test_a_silent_mirror_meets_the_timeout(tmp_path, mirror):
    with pytest.raises(DataError, match=r"gave no byte for 0\.2 s"):
        get(tmp_path, mirror("silent"), timeout=0.2)


def test_a_body_without_end_is_cut_off(tmp_path, mirror):
    with pytest.raises(DataError, match="gave more than 1048576 bytes"):
        get(tmp_path, mirror("endless"), largest=2**20)


def test_two_downloads_into_one_folder_fetch_each_file_once(tmp_path, mirror):
    server = mirror()
    both = [
        threading.Thread(target=get, args=(tmp_path, server), kwargs={"files": FILES})
        for _ in range(2)
    ]
    for one in both:
        one.start()
    for one in both:
        one.join(20)
    assert sorted(name for name, _ in server.asked) == sorted(FILES)
    assert names(tmp_path) == sorted(FILES)


@pytest.mark.slow
def test_waiting_for_another_download_ends(tmp_path, mirror):
    slow = mirror("trickle")
    other = threading.Thread(target=lambda: _ignore(tmp_path, slow), daemon=True)
    other.start()
    assert slow.reached.wait(10)
    with pytest.raises(UserError, match="another program has been downloading into it"):
        get(tmp_path, mirror(), deadline=0.2)
    other.join(20)


def _ignore(out, server):
    with pytest.raises(DataError):
        get(out, server, deadline=2)


def test_progress_is_logged_in_lines(tmp_path, mirror):
    lines = get(tmp_path, mirror(), progress=0)
    assert lines[0].startswith("images.gz: from http://127.0.0.1:")
    assert any(line.endswith(" bytes of 300000") for line in lines[1:-1])
    assert lines[-1] == "images.gz: 300000 bytes, checksum right"
