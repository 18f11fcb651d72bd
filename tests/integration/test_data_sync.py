"""`trainer data sync` between disk and real servers of S3's and Google's protocols."""

# ruff: noqa: E402

from __future__ import annotations

import itertools
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytest.register_assert_rewrite("object_stores")

import buckets
from object_stores import Proxy, files, serving, write
from processes import environment

from trainer.cli import command_line
from trainer.storage.errors import StorageError
from trainer.storage.store_options import StorageLimits
from trainer.storage.sync.run import Synchronisation, SyncRequest

pytest.importorskip("botocore")
pytest.importorskip("google.auth")
pytest.importorskip("moto")
pytest.importorskip("gcp_storage_emulator")

PART = 8 * 2**20
BIG = random.Random(0).randbytes(2 * PART + 12_345)
LARGER = random.Random(1).randbytes(5 * PART)
_numbers = itertools.count()


@dataclass
class Bucket:
    """A folder of a bucket, reached through a proxy.

    Attributes:
        scheme: `s3` or `gs`.
        url: Of the folder.
        env: What leads to the server through the proxy.
        proxy: The proxy.
        fs: A driver that goes past it.
    """

    scheme: str
    url: str
    env: dict[str, str]
    proxy: Proxy
    fs: Any

    def put(self, objects: dict[str, bytes]) -> None:
        for name, data in objects.items():
            self.fs.pipe_file(f"{self.url}/{name}", data)

    def all(self) -> dict[str, bytes]:
        """What others see there."""
        top = self.url.partition("://")[2] + "/"
        self.fs.invalidate_cache()
        found = self.fs.find(top)
        return {name.removeprefix(top): self.fs.cat_file(name) for name in found}

    def asked(self, method: str) -> list[str]:
        """The paths of requests of a method."""
        return [
            urllib.parse.unquote(path) for asked, path in self.proxy.requests if asked == method
        ]

    def reset(self) -> None:
        """Let everything pass again."""
        self.proxy.spoil = lambda method, path: None

    def spoil(self, how: str, when: Callable[[str, str], bool]) -> None:
        self.proxy.spoil = lambda method, path: how if when(method, path) else None


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, tuple[Any, Proxy]]]:
    """One server of each kind, behind a proxy."""
    with buckets.s3() as (_, s3, env), buckets.gs() as (_, gs, google):
        ports = [
            int(url.rpartition(":")[2])
            for url in (env["AWS_ENDPOINT_URL"], google["STORAGE_EMULATOR_HOST"])
        ]
        with serving(ports[0]) as first, serving(ports[1]) as second:
            yield {"s3": (s3, first), "gs": (gs, second)}


@pytest.fixture
def buckets_of(servers, monkeypatch, tmp_path) -> Iterator[Callable[[str], Bucket]]:
    """Makes folders of buckets, with the environment that leads to them."""
    env = {
        "AWS_ENDPOINT_URL": servers["s3"][1].url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "STORAGE_EMULATOR_HOST": servers["gs"][1].url,
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    for name, value in env.items():
        monkeypatch.setenv(name, value)

    def make(scheme: str) -> Bucket:
        fs, proxy = servers[scheme]
        proxy.requests.clear()
        return Bucket(scheme, f"{scheme}://bucket/sync-{next(_numbers)}", env, proxy, fs)

    yield make
    for _, proxy in servers.values():
        proxy.spoil = lambda method, path: None


@pytest.fixture(params=["s3", "gs"])
def bucket(request, buckets_of) -> Bucket:
    return buckets_of(request.param)


@pytest.fixture
def sync(capsys):
    """Runs the command, and returns its code and its lines of both streams."""

    def run(*argv: Any) -> tuple[int, list[str], list[str]]:
        code = command_line.main(["data", "sync", *map(str, argv)])
        out, err = capsys.readouterr()
        return code, out.splitlines(), err.splitlines()

    return run


def count(line: str, name: str) -> int:
    """A number of the last line."""
    found = re.search(rf"\b{name}=(\d+)", line)
    assert found, line
    return int(found[1])


TREE = {
    "a": b"1",
    "empty": b"",
    "d/ü é+%.txt": b"umlaut",
    "d/E/x": b"\r\n--==\r\n" * 100,
    "d/e/x": b"lower",
    "e\u0301": b"decomposed",
    "\u00e9": b"composed",
    "big": BIG,
}


def test_a_folder_goes_there_and_comes_back(bucket, sync, tmp_path):
    here = write(tmp_path / "here", TREE)
    write(here, {".x.part": b"unfinished"})
    code, out, err = sync(here, bucket.url)
    assert (code, err) == (0, [])
    size = sum(map(len, TREE.values()))
    assert out[-1].startswith(f"synced copied=8 deleted=0 same=0 bytes={size} seconds=")
    assert bucket.all() == TREE
    code, out, _ = sync(bucket.url, tmp_path / "back")
    assert code == 0
    assert files(tmp_path / "back") == TREE
    assert "not checked" not in "".join(out)
    for source, target in ((here, bucket.url), (bucket.url, tmp_path / "back")):
        code, out, _ = sync(source, target)
        assert out[-1].startswith("synced copied=0 deleted=0 same=8 bytes=0 ")
    assert not (tmp_path / "cache/trainer/sync").exists() or not files(tmp_path / "cache")


@pytest.mark.parametrize("pair", list(itertools.product(["s3", "gs"], repeat=2)), ids="-".join)
def test_from_store_to_store(buckets_of, sync, pair):
    one, other = map(buckets_of, pair)
    one.put(TREE)
    # S3 keeps whole seconds, so that a copy within the second of its source looks older than that.
    threading.Event().wait(1 - time.time() % 1)
    code, _, err = sync(one.url, other.url)
    assert (code, err) == (0, [])
    assert other.all() == TREE
    if pair[0] == pair[1]:
        # The store copies by itself: nothing comes here.
        assert [path for path in one.asked("GET") if "/big" in path] == []
    assert sync(one.url, other.url)[1][-1].startswith("synced copied=0 deleted=0 same=8 ")
    one.put({"a": b"2"})
    assert sync(one.url, other.url)[1][-1].startswith("synced copied=1 deleted=0 same=7 ")
    assert other.all() == {**TREE, "a": b"2"}


def test_from_disk_to_disk(sync, tmp_path):
    here = write(tmp_path / "here", TREE)
    assert sync(here, tmp_path / "there")[0] == 0
    assert files(tmp_path / "there") == TREE
    (here / "a").write_bytes(b"2")
    assert sync(here, tmp_path / "there")[1][-1].startswith("synced copied=1 deleted=0 same=7 ")
    os.utime(here / "big", ns=(5, 5))
    assert sync(here, tmp_path / "there")[1][-1].startswith("synced copied=0 deleted=0 same=8 ")


def test_only_what_changed_is_sent(bucket, sync, tmp_path):
    here = write(tmp_path / "here", {"a": b"1", "b": b"22", "big": BIG})
    sync(here, bucket.url)
    bucket.proxy.requests.clear()
    write(here, {"b": b"33"})
    assert sync(here, bucket.url)[1][-1].startswith("synced copied=1 deleted=0 same=2 bytes=2 ")
    sent = bucket.asked("PUT") + bucket.asked("POST")
    assert len(sent) == 1
    assert bucket.all()["b"] == b"33"


def test_one_file_goes_into_the_folder(bucket, sync, tmp_path):
    here = write(tmp_path / "here", {"a": b"1", "b": b"2"})
    assert sync(here / "a", bucket.url)[0] == 0
    assert bucket.all() == {"a": b"1"}
    assert sync(f"{bucket.url}/a", tmp_path / "back")[0] == 0
    assert files(tmp_path / "back") == {"a": b"1"}
    code, _, err = sync(here / "a", bucket.url, "--delete")
    assert (code, len(err)) == (2, 1)
    assert "SRC is one file" in err[0]


def test_deletes_only_what_is_asked_for_and_only_in_dst(bucket, sync, tmp_path):
    here = write(tmp_path / "here", {"a": b"1"})
    bucket.put({"old": b"1", "d/old": b"2", "keep/x": b"3"})
    beside = Bucket(bucket.scheme, f"{bucket.url}-beside", {}, bucket.proxy, bucket.fs)
    beside.put({"old": b"1"})
    _, out, _ = sync(here, bucket.url)
    assert out[-1].endswith("; DST has 3 more, which --delete would delete")
    assert len(bucket.all()) == 4
    _, out, _ = sync(here, bucket.url, "--delete", "--exclude", "keep")
    assert out[-1].startswith("synced copied=0 deleted=2 same=1 ")
    assert bucket.all() == {"a": b"1", "keep/x": b"3"}
    assert beside.all() == {"old": b"1"}


@pytest.mark.parametrize("source", ["missing", "empty"])
def test_nothing_is_deleted_for_an_src_that_holds_nothing(bucket, sync, tmp_path, source):
    (tmp_path / "empty").mkdir()
    bucket.put({"a": b"1"})
    there = write(tmp_path / "there", {"a": b"1"})
    wrong = f"{bucket.url}/{source}"
    for src, dst in ((tmp_path / source, bucket.url), (wrong, there)):
        code, _, err = sync(src, dst, "--delete")
        assert code == 2
        assert err == [
            f"trainer: error: SRC {src}: nothing is there; DST stays as it is; check the path"
        ]
    code, _, err = sync(there, bucket.url, "--delete", "--include", "*.txt")
    assert code == 2
    assert "leave none of its files" in err[0]
    assert bucket.all() == {"a": b"1"}
    assert files(there) == {"a": b"1"}


def test_a_file_that_cannot_be_read_is_named_and_then_nothing_is_deleted(bucket, sync, tmp_path):
    here = write(tmp_path / "here", {"a": b"1"})
    (here / "broken").symlink_to("nowhere")
    bucket.put({"old": b"1"})
    code, out, err = sync(here, bucket.url, "--delete")
    assert code == 1
    assert err == [f"trainer: {here}/broken: cannot be looked at: No such file or directory"]
    assert out[-2] == "1 files were not copied; nothing was deleted; run it again for them"
    assert " failed=1 " in out[-1]
    assert bucket.all() == {"a": b"1", "old": b"1"}


def test_a_dry_run_lists_and_changes_nothing(bucket, sync, tmp_path):
    here = write(tmp_path / "here", {"a": b"1", "b": b"22", "c": b"3"})
    bucket.put({"b": b"xx", "c": b"3", "old": b"1234"})
    before = bucket.all()
    code, out, _ = sync(here, bucket.url, "--delete", "--dry-run")
    assert code == 0
    assert out == [
        "copy a 1 (new)",
        "copy b 2 (changed, newer in DST)" if "newer" in out[1] else "copy b 2 (changed)",
        "delete old 4",
        "would copy 2 files, 3 bytes, and delete 1; 1 are the same",
    ]
    assert bucket.all() == before
    assert {m for m, _ in bucket.proxy.requests} <= {"GET", "HEAD"}


def test_a_newer_file_is_replaced_and_that_is_said(bucket, sync, tmp_path):
    bucket.put({"a": b"old"})
    there = write(tmp_path / "there", {"a": b"mine"})
    os.utime(there / "a", (2**32, 2**32))
    assert "copy a 3 (changed, newer in DST)" in sync(bucket.url, there, "--dry-run")[1]
    code, out, _ = sync(bucket.url, there)
    assert code == 0
    assert out[0] == "warning: DST has newer files, which are replaced: a"
    assert files(there) == {"a": b"old"}


def test_marks_of_folders_are_no_files(bucket, sync, tmp_path):
    bucket.put({"d/a": b"1"})
    bucket.fs.pipe_file(f"{bucket.url}/d/mark_", b"")
    if bucket.scheme == "s3":
        top, _, key = bucket.url.removeprefix("s3://").partition("/")
        bucket.fs.call_s3("put_object", Bucket=top, Key=f"{key}/d/", Body=b"")
        bucket.fs.call_s3("put_object", Bucket=top, Key=f"{key}/", Body=b"")
    assert sync(bucket.url, tmp_path / "back")[0] == 0
    assert files(tmp_path / "back") == {"d/a": b"1", "d/mark_": b""}


def test_names_that_no_file_can_have_are_refused_before_anything_is_written(
    buckets_of, sync, tmp_path
):
    for names in (["a", "d/../../x"], ["a", "a/b"]):
        bucket = buckets_of("s3")
        top, _, key = bucket.url.removeprefix("s3://").partition("/")
        for name in names:
            bucket.fs.call_s3("put_object", Bucket=top, Key=f"{key}/{name}", Body=b"1")
        code, _, err = sync(bucket.url, tmp_path / "out/back")
        assert (code, len(err)) == (2, 1)
        assert err[0].startswith("trainer: error: SRC: ")
        assert err[0].endswith("leave it out: --exclude")
        assert not (tmp_path / "out").exists()
        assert sync(bucket.url, tmp_path / "good", "--exclude", names[1])[0] == 0
    assert files(tmp_path / "good") == {"a": b"1"}


# Which of many requests at once are spoilt: fewer than the tries that each has.
SPOILT = (0, 2, 5)


def request_of(source: Any, target: Any, tmp_path: Path, **more: Any) -> SyncRequest:
    limits = StorageLimits(backoff=0, answer=5)
    return SyncRequest(
        source=str(source), target=str(target), notes=tmp_path / "notes", limits=limits,
        gs_endpoint=os.environ["STORAGE_EMULATOR_HOST"], **more,
    )  # fmt: skip


def synchronise(request: SyncRequest) -> Any:
    work = Synchronisation(request)
    return work.run(work.plan())


@pytest.mark.parametrize("how", ["truncate", "shorten", "reset", "503"])
def test_answers_that_break_off_are_asked_for_again(bucket, tmp_path, how):
    bucket.put({"a": b"12345", "big": BIG})
    number = itertools.count()
    is_object = lambda method, path: method == "GET" and ("big" in path or "/a" in path)  # noqa: E731
    bucket.spoil(how, lambda method, path: is_object(method, path) and next(number) in SPOILT)
    outcome = synchronise(request_of(bucket.url, tmp_path / "back", tmp_path))
    assert outcome.problems == ()
    assert files(tmp_path / "back") == {"a": b"12345", "big": BIG}


@pytest.mark.parametrize("how", ["reset", "503", "lose"])
def test_what_is_sent_and_lost_is_sent_again(bucket, tmp_path, how):
    if (bucket.scheme, how) == ("gs", "lose"):
        pytest.skip("the emulator takes half a body for a whole one")
    here = write(tmp_path / "here", {"a": b"12345", "big": BIG})
    number = itertools.count()
    sends = ("PUT", "POST")
    bucket.spoil(how, lambda method, path: method in sends and next(number) in SPOILT)
    assert synchronise(request_of(here, bucket.url, tmp_path)).problems == ()
    assert bucket.all() == {"a": b"12345", "big": BIG}


def test_an_answer_that_is_lost_after_the_last_part_ends_well(buckets_of, tmp_path):
    # Google says of an upload that has ended what was made of it; its emulator forgets it.
    bucket = buckets_of("s3")
    here = write(tmp_path / "here", {"big": LARGER})
    number = itertools.count()
    bucket.spoil(
        "truncate",
        lambda method, path: method == "POST" and "uploadId=" in path and not next(number),
    )
    assert synchronise(request_of(here, bucket.url, tmp_path)).problems == ()
    assert next(number) > 1
    assert bucket.all() == {"big": LARGER}


class Breaking:
    """Spoils the rest of a large file's requests: a network that is gone, or a server that hangs.

    Args:
        how: What becomes of them.
        sent: Requests that send parts and go through.

    Attributes:
        reached: Set when a request has been spoilt so.
    """

    def __init__(self, how: str, sent: int = 0) -> None:
        self._how, self._sent = how, itertools.count(sent, -1)
        self._fetched = itertools.count()
        self._lock = threading.Lock()
        self.reached = threading.Event()

    def __call__(self, method: str, path: str) -> str | None:
        fetches = method == "GET" and path.partition("?")[0].endswith("big")
        if not fetches and not re.search("partNumber=|upload_id=", path):
            return None
        with self._lock:
            if fetches and next(self._fetched) == 0:
                return "truncate"
            if not fetches and next(self._sent) > 0:
                return None
        self.reached.set()
        return self._how


def test_a_large_file_goes_on_from_its_parts_when_the_network_was_gone(bucket, tmp_path):
    here = write(tmp_path / "here", {"big": LARGER})
    there = tmp_path / "back"
    for source, target, seen in (
        (here, bucket.url, bucket.all),
        (bucket.url, there, lambda: files(there)),
    ):
        bucket.proxy.spoil = Breaking("reset", sent=3 if bucket.scheme == "s3" else 1)
        request = request_of(source, target, tmp_path, workers=1)
        with pytest.raises(StorageError, match="the same command goes on from there"):
            synchronise(request)
        assert "big" not in seen()
        bucket.reset()
        outcome = synchronise(request)
        assert outcome.problems == ()
        assert outcome.resumed >= 2 * PART
        assert outcome.moved + outcome.resumed == len(LARGER)
        assert seen() == {"big": LARGER}


@pytest.mark.parametrize("pair", ["s3-gs", "gs-s3"])
def test_a_large_object_goes_on_from_store_to_store(buckets_of, tmp_path, pair):
    one, other = map(buckets_of, pair.split("-"))
    one.put({"big": LARGER})
    other.proxy.spoil = Breaking("reset", sent=1 if other.scheme == "gs" else 2)
    request = request_of(one.url, other.url, tmp_path, workers=1)
    with pytest.raises(StorageError):
        synchronise(request)
    assert other.all() == {}
    other.reset()
    outcome = synchronise(request)
    assert outcome.resumed >= 2 * PART
    assert other.all() == {"big": LARGER}


def test_an_upload_whose_file_changed_meanwhile_begins_anew(bucket, tmp_path):
    here = write(tmp_path / "here", {"big": LARGER})
    bucket.proxy.spoil = Breaking("reset", sent=1)
    request = request_of(here, bucket.url, tmp_path, workers=1)
    with pytest.raises(StorageError):
        synchronise(request)
    bucket.reset()
    other = LARGER[::-1]
    write(here, {"big": other})
    outcome = synchronise(request)
    assert (outcome.resumed, outcome.moved) == (0, len(other))
    assert bucket.all() == {"big": other}
    if bucket.scheme == "s3":
        # Nothing is left that somebody pays for.
        (top,) = {bucket.url.split("/")[2]}
        prefix = bucket.url.partition(f"{top}/")[2]
        left = bucket.fs.call_s3("list_multipart_uploads", Bucket=top, Prefix=prefix)
        assert not left.get("Uploads")


def started(bucket: Bucket, *argv: Any) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "trainer", "data", "sync", *map(str, argv), "--workers", "1"],
        env=environment(bucket.env), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_process_leaves_nothing_half_and_the_next_goes_on(bucket, sync, tmp_path, number):
    here = write(tmp_path / "here", {"big": LARGER, "a": b"1"})
    there = tmp_path / "back"
    for source, target, seen in (
        (here, bucket.url, bucket.all),
        (bucket.url, there, lambda: files(there)),
    ):
        hanging = bucket.proxy.spoil = Breaking("hang", sent=3 if bucket.scheme == "s3" else 1)
        process = started(bucket, source, target)
        try:
            assert hanging.reached.wait(60)
            process.send_signal(number)
            err = process.communicate(timeout=30)[1]
        finally:
            process.kill()
            process.wait()
        if number != signal.SIGKILL:
            assert process.returncode == 128 + number
            assert err.splitlines()[0] == (
                "trainer: stopped; what has arrived is kept: the same command goes on from there"
            )
            assert "Traceback" not in err
        else:
            assert process.returncode == -number
        visible = {name: data for name, data in seen().items() if not name.startswith(".")}
        assert visible == {"a": b"1"}
        bucket.reset()
        code, out, _ = sync(source, target)
        assert code == 0
        assert count(out[-1], "resumed_bytes") >= 2 * PART
        assert seen() == {"big": LARGER, "a": b"1"}


def test_bytes_that_are_not_those_of_the_source_never_appear(buckets_of, sync, tmp_path):
    bucket = buckets_of("gs")
    bucket.put({"a": b"12345", "big": BIG})
    base = bucket.proxy.url
    top, _, prefix = bucket.url.removeprefix("gs://").partition("/")
    wrong = '{"md5Hash": "AAAAAAAAAAAAAAAAAAAAAA==", "crc32c": "AAAAAA=="}'
    for name in ("a", "big"):
        key = urllib.parse.quote(f"{prefix}/{name}", safe="")
        asked = urllib.request.Request(
            f"{base}/storage/v1/b/{top}/o/{key}", data=wrong.encode(), method="PATCH",
            headers={"Content-Type": "application/json"},
        )  # fmt: skip
        urllib.request.urlopen(asked, timeout=10).close()
    there = write(tmp_path / "there", {"a": b"mine"})
    code, _, err = sync(bucket.url, there)
    assert code == 1
    expected = "what arrived has another checksum than SRC; nothing was written; run it again"
    assert sorted(err) == [f"trainer: {there}/{name}: {expected}" for name in ("a", "big")]
    assert files(there) == {"a": b"mine"}


def test_no_bucket_and_no_credentials_are_one_line(bucket, sync, tmp_path, monkeypatch):
    here = write(tmp_path / "here", {"a": b"1"})
    none = f"{bucket.scheme}://no-such-bucket/x"
    assert sync(here, none)[::2] == (
        2, [f"trainer: error: DST {none}: there is no such bucket"],
    )  # fmt: skip
    assert sync(none, tmp_path / "x")[::2] == (
        2, [f"trainer: error: SRC {none}: there is no such bucket"],
    )  # fmt: skip
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "STORAGE_EMULATOR_HOST"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    code, _, err = sync(here, bucket.url)
    assert (code, len(err)) == (2, 1)
    assert f"DST {bucket.url}: no valid credentials were found" in err[0]


class Refusing(BaseHTTPRequestHandler):
    """Answers every request with one status and one body."""

    status: int
    body: bytes

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(self.body)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.mark.parametrize(
    ("scheme", "status", "code", "expected"),
    [
        ("s3", 400, "ExpiredToken", "the credentials have expired (ExpiredToken)"),
        ("s3", 403, "AccessDenied", "access is denied (AccessDenied)"),
        ("s3", 403, "InvalidAccessKeyId", "the store does not know the access key"),
        ("gs", 401, "authError", "no valid credentials were found (authError)"),
        ("gs", 403, "forbidden", "access is denied (storage.objects.list)"),
    ],
)
def test_refusals_are_told_apart_by_the_stores_own_code(
    sync, tmp_path, monkeypatch, scheme, status, code, expected
):
    error = (
        f'{{"error": {{"errors": [{{"reason": "{code}"}}], '
        '"message": "x lacks storage.objects.list access"}}'
    )
    body = f"<Error><Code>{code}</Code></Error>" if scheme == "s3" else error
    handler = type("Answer", (Refusing,), {"status": status, "body": body.encode()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        for name in ("AWS_ENDPOINT_URL", "STORAGE_EMULATOR_HOST"):
            monkeypatch.setenv(name, url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")
        ended, _, err = sync(f"{scheme}://bucket/x", tmp_path / "out")
        server.shutdown()
    assert (ended, len(err)) == (2, 1)
    assert f"trainer: error: SRC {scheme}://bucket/x: {expected}" in err[0]
    assert not (tmp_path / "out").exists()


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for half a file."""
    folder = tmp_path / "full"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=10m", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, check=False, timeout=30)
    if mounted.returncode:
        pytest.skip(f"needs root to mount a tmpfs: {mounted.stderr.decode()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True, timeout=30)


def test_a_disk_that_is_too_small_is_said_before_anything_is_written(bucket, sync, full_disk):
    bucket.put({"big": BIG})
    code, _, err = sync(bucket.url, full_disk)
    assert (code, len(err)) == (2, 1)
    assert f"DST {full_disk}: the copies take 17 MB, but 10 MB are left" in err[0]
    assert files(full_disk) == {}


def test_places_within_each_other_are_refused(bucket, sync, tmp_path):
    here = write(tmp_path / "here", {"a": b"1"})
    for source, target in (
        (here, here / "d"),
        (here, tmp_path),
        (here, here),
        (bucket.url, f"{bucket.url}/d"),
        (f"{bucket.url}/", bucket.url),
    ):
        code, _, err = sync(source, target)
        assert code == 2
        assert "one lies in the other; name two places apart" in err[0]
    assert files(here) == {"a": b"1"}
