"""Object stores to test with: emulators behind a proxy that sees, and can spoil, every request."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import itertools
import json
import random
import re
import shutil
import socket
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainer.config.cluster import Cluster
from trainer.config.errors import UserError
from trainer.config.job import Job
from trainer.config.options import flag_of
from trainer.data.creating import create_anywhere
from trainer.data.files import open_tables
from trainer.data.formats.idx import pack
from trainer.storage import globs
from trainer.storage.drivers import PIECE
from trainer.storage.errors import StorageError
from trainer.storage.remote import children, remove, versions
from trainer.storage.store_options import StorageLimits, StorageOptions
from trainer.storage.transfer import StoppedError, download_objects, upload_folder
from trainer.training import checkpoint_state
from trainer.training.checkpoint_mirror import CheckpointMirror
from trainer.training.checkpoint_state import Progress
from trainer.training.staging import staged_locally

SECRET = "s3cr3t"

# What the proxy makes of a request: None lets it pass.
Spoil = Callable[[str, str], str | None]


class Proxy(ThreadingHTTPServer):
    """Passes requests on to a server, except those that are to be spoilt.

    Attributes:
        requests: Method and path of every request, in their order, and after a `#` the name of
            what is sent if it is not in the path.
        spoil: Says for a method and a path what to do instead of passing it on: a status, or
            `reset`, `truncate` (half of the answer, then the end), `shorten` (half of it, as if
            it were all), `lose` (only half of what is sent is passed on) or `hang`.
    """

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = port
        self.requests: list[tuple[str, str]] = []
        self.spoil: Spoil = lambda method, path: None
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that have gone are part of the game."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def answer(self) -> None:
        """Serve one request of any method."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        # Google's way to send: the object's name is in the body.
        named = re.search(rb'^--==0==\n.*\n\n{"name": ("[^"]*")', body[:1000])
        path = self.path + (f"#{json.loads(named[1])}" if named else "")
        self.server.requests.append((self.command, path))
        how = self.server.spoil(self.command, path)
        self.close_connection = True
        if how == "hang":
            self.server.released.wait(30)
        elif how == "reset":
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()
        elif how and how.isdigit():
            self._send(int(how), [], b"<Error><Code>Spoilt</Code></Error>")
        else:
            status, headers, answer = self._ask(body[: len(body) // 2] if how == "lose" else body)
            half = answer[: len(answer) // 2]
            if how == "truncate":
                self._send(status, [*headers, ("Content-Length", str(len(answer)))], half)
            else:
                self._send(status, headers, half if how == "shorten" else answer)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_PATCH = answer  # noqa: N815

    def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.upstream, timeout=30)
        with contextlib.closing(upstream):
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("content-length", "expect", "connection"):
                    upstream.putheader(name, value)
            upstream.putheader("Content-Length", str(len(body)))
            upstream.endheaders(body)
            response = upstream.getresponse()
            drop = {"transfer-encoding", "connection"}
            if self.command != "HEAD":
                drop.add("content-length")
            headers = [(k, v) for k, v in response.getheaders() if k.lower() not in drop]
            return response.status, headers, response.read()

    def _send(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if not any(name.lower() == "content-length" for name, _ in headers):
            self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class Store:
    """A bucket of an emulator, reached through a proxy.

    Attributes:
        options: Arguments of a driver that goes through the proxy, and no waits between tries.
        straight: Those of one that does not.
        sends: The method of a request that sends an object.
        looks: The method of one that asks for an object's size.
        times: How often a request must fail for the driver to give up, but not for us.
        listing: Part of the path of a request for a list.
        short: How an object is spoiled so that it is shorter than it was listed.
    """

    scheme: str
    sends: str
    looks: str
    times: int
    listing: str
    short: str
    _numbers = itertools.count()

    def __init__(self, proxy: Proxy, fs: Any, settings: Callable[[int], dict[str, Any]]) -> None:
        self.proxy, self.fs = proxy, fs
        through, past = settings(proxy.server_address[1]), settings(proxy.upstream)
        limits = StorageLimits(backoff=0)
        self.options = StorageOptions(limits=limits, **{self.scheme: through})
        self.straight = StorageOptions(limits=limits, **{self.scheme: past})
        self.bucket = f"bucket-{next(self._numbers)}"
        self.url = f"{self.scheme}://{self.bucket}"
        self.reset()

    def write_all(self, objects: dict[str, bytes]) -> None:
        """Put objects there, past the proxy."""
        for key, data in objects.items():
            self.fs.pipe_file(f"{self.bucket}/{key}", data)

    def read_all(self) -> dict[str, bytes]:
        """All objects that are there, past the proxy."""
        start = len(self.bucket) + 1
        return {name[start:]: self.fs.cat_file(name) for name in self.fs.find(self.bucket)}

    def spoil(self, how: str, *, times: int = 10**9, method: str = "", part: str = "") -> None:
        """Spoil the next requests of a method whose path has this part."""
        left = itertools.count(times, -1)

        def decide(asked: str, path: str) -> str | None:
            return how if method in asked and part in path and next(left) > 0 else None

        self.proxy.spoil = decide

    def reset(self) -> None:
        """Let everything pass, and forget what has."""
        self.proxy.spoil = lambda method, path: None
        self.proxy.requests.clear()


@contextlib.contextmanager
def serving(port: int) -> Iterator[Proxy]:
    """A proxy before a server, as long as the block runs."""
    with Proxy(port) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield proxy
        finally:
            proxy.released.set()
            proxy.shutdown()
            thread.join()


def files(folder: Path) -> dict[str, bytes]:
    """All files below a folder, by their relative names."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def write(folder: Path, contents: dict[str, bytes]) -> Path:
    """Make files below a folder."""
    for name, data in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def checkpoint(folder: Path, step: int) -> None:
    """Make a checkpoint as `trainer.training.checkpoint` has it."""
    contents = {"variables.index": b"%d" % step, "variables.data": b"%d" % step * 1000}
    checkpoint_state.write(write(folder / f"ckpt-{step:08d}", contents), Progress(step=step), [])


MODEL = {
    "saved_model.pb": b"model",
    "fingerprint.pb": b"f",
    "variables/variables.index": b"index",
    "variables/variables.data-00000-of-00001": b"data" * 1000,
}


def with_limits(options: StorageOptions, **limits: float) -> StorageOptions:
    return dataclasses.replace(options, limits=dataclasses.replace(options.limits, **limits))


class Contract:
    """What holds for every store; a test class of each inherits it and has a fixture `store`."""

    def fetch(self, store: Store, paths: Sequence[str], into: Path, **more: Any) -> list[str]:
        return download_objects(
            [f"{store.url}/{p}" for p in paths], into, options=store.options, **more
        )

    def fails(self, store: Store, url: str, into: Path, **more: Any) -> str:
        """The one line that tells why a url cannot be fetched."""
        with pytest.raises(UserError) as caught:
            download_objects([url], into, options=store.options, **more)
        line = str(caught.value)
        assert line.startswith(f"--train {url}: ")
        assert "\n" not in line
        assert SECRET not in line
        return line.removeprefix(f"--train {url}: ")

    @pytest.mark.parametrize("name", ["d", "d/a", "d/[a-c]", "d/*"])
    def test_servers_and_workers_name_data_by_what_it_is(self, store, tmp_path, monkeypatch, name):
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        job = Job(train=(f"{store.url}/{name}",), distribution="parameter_server")

        def brought(data: bytes) -> tuple[str, dict[str, bytes]]:
            store.write_all({"d/a": data, "d/ab": b"-", "da": b"-"})
            with staged_locally(job, options=store.options) as stage:
                path = globs.find(Path(stage.job.train[0]))[0]
                return str(path), files(path) if path.is_dir() else {"a": path.read_bytes()}

        first, again, replaced = brought(b"old"), brought(b"old"), brought(b"new")
        assert first[1]["a"] == again[1]["a"] == b"old"
        assert replaced[1]["a"] == b"new"
        assert replaced[0] != first[0]
        # Objects that are written anew with the same bytes keep their tags on S3 only.
        if store.scheme == "s3":
            assert again[0] == first[0]

    def test_a_folder_goes_there_and_comes_back(self, store, tmp_path, capsys):
        here = write(tmp_path / "here", {"a": b"1", "b/c": b"", "b/d/e": b"x" * 100_000})
        write(here, {".ckpt-1.77.part/x": b"unfinished", ".metrics.json.1.part": b"{"})
        url = f"{store.url}/deep/down"
        upload_folder(here, url, options=store.options)
        expected = {"a": b"1", "b/c": b"", "b/d/e": b"x" * 100_000}
        assert store.read_all() == {f"deep/down/{k}": v for k, v in expected.items()}
        (back,) = download_objects([url], tmp_path / "back", options=store.options)
        assert back == str(tmp_path / "back" / store.scheme / store.bucket / "deep/down")
        assert files(Path(back)) == expected
        printed = capsys.readouterr().out.splitlines()
        assert [line.partition(" mb_per_second=")[0] for line in printed] == [
            "--model-dir sent files=3 of=3 mb=0.1",
            "--train fetched files=3 of=3 mb=0.1",
        ]

    def test_one_file_goes_into_the_folder(self, store, tmp_path):
        upload_folder(
            write(tmp_path, {"m.json": b"{}"}) / "m.json", store.url, options=store.options
        )
        assert store.read_all() == {"m.json": b"{}"}

    def test_a_file_of_several_pieces(self, store, tmp_path):
        data = random.Random(0).randbytes(2 * PIECE + 12345)
        upload_folder(write(tmp_path / "here", {"big": data}), store.url, options=store.options)
        (back,) = self.fetch(store, ["big"], tmp_path / "back")
        assert Path(back).read_bytes() == data

    def test_objects_folders_globs_and_whole_buckets(self, store, tmp_path):
        keys = ["d/train-0", "d/train-1", "d/x/train-2", "d/_SUCCESS", "d/.crc", "data/o"]
        store.write_all({key: key.encode() for key in keys} | {"d/x/": b""})
        into = tmp_path / store.scheme / store.bucket

        def names(path: str) -> list[str]:
            (local,) = self.fetch(store, [path], tmp_path)
            return [f.relative_to(into).as_posix() for f in globs.find(Path(local))]

        assert names("d/train-1") == ["d/train-1"]
        assert files(into) == {"d/train-1": b"d/train-1"}
        assert names("d/train-*") == ["d/train-0", "d/train-1"]
        assert names("d/train-[1-9]") == ["d/train-1"]
        assert names("?/train-0") == ["d/train-0"]
        assert names("**/train-*") == ["d/train-0", "d/train-1", "d/x/train-2"]
        assert names("d/*") == ["d/train-0", "d/train-1", "d/x"]
        assert names("d/_*") == ["d/_SUCCESS"]
        # A folder is what its name is followed by a slash: `data` is another one.
        assert names("d") == ["d"]
        assert not (into / "data").exists()
        assert names("d/") == ["d"]
        assert sorted(files(into)) == sorted(keys[:5])
        assert names("") == ["."]
        assert files(into) == {key: key.encode() for key in keys}

    def test_names_that_look_like_globs_are_meant_literally(self, store, tmp_path):
        store.write_all({f"{name}/a": b"1" for name in ("r[1]", "r1", "r?", "rr", "r*")})
        for name in ("r[1]", "r?", "r*"):
            for path in (name, f"{name}/", f"{name}/*", f"{name}/a"):
                into = tmp_path / path.replace("/", "-")
                self.fetch(store, [path], into)
                assert list(files(into)) == [f"{store.scheme}/{store.bucket}/{name}/a"]
        with pytest.raises(UserError, match="nothing is there; expected a folder"):
            self.fetch(store, ["[r]1/"], tmp_path, patterns=False)

    def test_a_model_folder_that_looks_like_a_glob_keeps_to_itself(self, store, tmp_path):
        store.write_all({"m1/7/saved_model.pb": b"", "m1/ckpt/ckpt-00000007/state.json": b""})
        job = Job(model_dir=f"{store.url}/m[1]", checkpoint_dir=f"{store.url}/m[1]/ckpt")
        for number in (1, 2):
            with staged_locally(job, options=store.options) as stage:
                there = [p.name for p in Path(stage.job.checkpoint_dir).glob("*")]
                assert there == [f"ckpt-0000000{i}" for i in range(1, number)]
                checkpoint(Path(stage.job.checkpoint_dir), number)
                stage.destination.checkpoint_written()
                model = write(Path(stage.job.model_dir) / "1", MODEL)
                assert stage.destination.model_written(model) == f"{store.url}/m[1]/{number}"

    def test_data_sets_are_made_from_and_in_a_store_whole_or_not_at_all(self, store, tmp_path):
        for split, count in (("train", 6), ("test", 4)):
            for name, array in (("images", np.zeros((count, 28, 28), np.uint8)),
                                ("labels", np.arange(count, dtype=np.uint8))):  # fmt: skip
                store.write_all({f"raw/{split}-{name}": pack(array)})
        more: dict[str, Any] = {"source": f"{store.url}/raw", "out": f"{store.url}/x[1]/"}
        more |= {"shards": 2, "options": store.options}
        store.spoil("403", method=store.sends, part="test-00001")
        with pytest.raises(UserError, match=r"^--out .*test-00001.*: access is denied"):
            create_anywhere(**more)
        store.reset()
        assert not [key for key in store.read_all() if key.startswith("x")]
        written = create_anywhere(**more)
        keys = [
            f"x[1]/{s}/{s}-0000{i}-of-00002.tfrecord" for s in ("train", "test") for i in (0, 1)
        ] + ["x[1]/manifest.json"]
        assert written == [f"{store.url}/{key}" for key in keys]
        assert sorted(k for k in store.read_all() if k.startswith("x")) == sorted(keys)
        (back,) = self.fetch(store, ["x[1]"], tmp_path)
        assert [len(t) for t in open_tables([back], split="train")] == [3, 3]
        create_anywhere(**more)
        line = "--out .*: its folder t.* holds t.*-00000-of-00002.tfrecord already"
        with pytest.raises(UserError, match=line):
            create_anywhere(**more | {"shards": 1})

    def test_awkward_names_and_sizes(self, store, tmp_path):
        names = ["sp ace", "ünï-語", "a+b", "50%", "%41", "a&b=c", "#1", "q?x", "[1]", "~'(1)!"]
        contents = {f"da ta/{n}": n.encode() for n in names} | {"e": b"", "one": b"1"}
        upload_folder(write(tmp_path / "here", contents), f"{store.url}/ü b", options=store.options)
        assert store.read_all() == {f"ü b/{k}": v for k, v in contents.items()}
        (back,) = self.fetch(store, ["ü b"], tmp_path / "back")
        assert files(Path(back)) == contents
        for name in names:
            (back,) = self.fetch(store, [f"ü b/da ta/{name}"], tmp_path / "single")
            assert Path(back).read_bytes() == name.encode()

    def test_many_small_objects(self, store, tmp_path):
        contents = {f"{i % 7}/{i:04}": b"%d" % i for i in range(200)}
        upload_folder(
            write(tmp_path / "here", contents), f"{store.url}/many", options=store.straight
        )
        (back,) = download_objects([f"{store.url}/many"], tmp_path / "back", options=store.straight)
        assert files(Path(back)) == contents

    def test_names_in_two_buckets_do_not_clash(self, store, other, tmp_path):
        store.write_all({"data/x": b"1"})
        other.write_all({"data/x": b"2"})
        paths = [f"{store.url}/data", str(tmp_path), f"{other.url}/data/x"]
        one, local, two = download_objects(paths, tmp_path / "into", options=store.options)
        assert (Path(one) / "x").read_bytes() == b"1"
        assert local == str(tmp_path)
        assert Path(two).read_bytes() == b"2"

    def test_hosts_share_the_objects_out(self, store, tmp_path):
        store.write_all({f"a/{i}": b"%d" % i for i in range(5)} | {"b/5": b"5", "b/6": b"6"})
        got = []
        for host in range(2):
            into = tmp_path / str(host)
            self.fetch(store, ["a", "b/*"], into, shard=(host, 2))
            got.append(files(into / store.scheme / store.bucket))
        assert not got[0].keys() & got[1].keys()
        assert got[0] | got[1] == store.read_all()
        assert [len(share) for share in got] == [4, 3]
        with pytest.raises(UserError, match=r"a .*/b: 7 objects for 9 hosts leave none for host 8"):
            self.fetch(store, ["a", "b"], tmp_path / "x", shard=(8, 9))

    def test_hosts_share_training_data_out_and_have_all_test_data_beside_it(self, store, tmp_path):
        tests = {"d/test/0": b"0", "d/validation-0": b"1"}
        store.write_all({f"d/train/{i}": b"%d" % i for i in range(3)} | tests)
        got = []
        for host in range(2):
            into = tmp_path / str(host)
            self.fetch(store, ["d"], into, shard=(host, 2))
            got.append(files(into / store.scheme / store.bucket))
            assert tests.items() <= got[-1].items()
        assert got[0].keys() & got[1].keys() == tests.keys()
        assert got[0] | got[1] == store.read_all()
        with pytest.raises(UserError, match="3 objects for 4 hosts leave none for host 3"):
            self.fetch(store, ["d"], tmp_path / "x", shard=(3, 4))

    def test_hosts_have_all_that_describes_the_data_they_share(self, store, tmp_path):
        store.write_all({f"d/{i}": b"%d" % i for i in range(4)} | {"d/features.json": b"{}"})
        for host in range(2):
            into, more = tmp_path / str(host), {"everywhere": lambda key: key == "d/features.json"}
            self.fetch(store, ["d"], into, shard=(host, 2), **more)
            names = {name.rpartition("/")[2] for name in files(into / store.scheme / store.bucket)}
            assert names == {"features.json", str(host), str(host + 2)}

    def test_what_is_there_is_not_fetched_again(self, store, tmp_path):
        store.write_all({"d/a": b"aa", "d/b": b"bb"})
        (folder,) = self.fetch(store, ["d"], tmp_path)
        (Path(folder) / "a").write_bytes(b"a")
        before = (Path(folder) / "b").stat()
        self.fetch(store, ["d"], tmp_path)
        assert files(Path(folder)) == {"a": b"aa", "b": b"bb"}
        after = (Path(folder) / "b").stat()
        assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)

    @pytest.mark.parametrize("how", ["500", "reset", "truncate", "shorten"])
    @pytest.mark.parametrize("what", ["listing", "content"])
    def test_what_fails_for_a_while_is_tried_again(self, store, tmp_path, what, how):
        store.write_all({"d/a": b"a" * 1000, "d/b": b"b" * 1000})
        part = store.listing if what == "listing" else store.content("d/a")
        # The drivers themselves notice all but the last.
        times = 2 if how == "shorten" else store.times
        store.spoil(how, times=times, method="GET", part=part)
        (folder,) = self.fetch(store, ["d/"], tmp_path)
        assert files(Path(folder)) == {"a": b"a" * 1000, "b": b"b" * 1000}

    @pytest.mark.parametrize("how", ["500", "reset"])
    def test_sending_is_tried_again(self, store, tmp_path, how):
        store.spoil(how, times=store.times, method=store.sends)
        upload_folder(
            write(tmp_path, {"a": b"1", "b": b"2"}), f"{store.url}/d", options=store.options
        )
        assert store.read_all() == {"d/a": b"1", "d/b": b"2"}

    def test_a_store_that_keeps_failing_is_given_up(self, store, tmp_path):
        store.write_all({"d/a": b"a" * 1000})
        store.spoil("shorten", part=store.content("d/a"), method="GET")
        with pytest.raises(StorageError) as caught:
            self.fetch(store, ["d"], tmp_path, flag="--test")
        assert str(caught.value) == (
            f"--test {store.url}/d/a: failed 4 times, at last with {store.short}"
        )
        assert files(tmp_path) == {}

    def test_one_that_fails_ends_the_others(self, store, tmp_path):
        store.write_all({f"d/{i}": b"x" * 1000 for i in range(30)})
        store.spoil("403", part=store.content("d/1"))
        with pytest.raises(UserError, match="access is denied"):
            self.fetch(store, ["d"], tmp_path)
        assert not list(tmp_path.rglob("*.part"))

    def test_a_store_that_does_not_answer_is_given_up(self, store, tmp_path):
        store.options = with_limits(store.options, listing=0.2)
        store.write_all({"d/a": b"a"})
        store.spoil("hang", part=store.listing)
        with pytest.raises(
            StorageError, match=r"/d/: failed 4 times, at last with no answer in time"
        ):
            self.fetch(store, ["d/"], tmp_path)

    @pytest.mark.parametrize("what", ["listing", "content"])
    def test_a_run_asked_to_stop_leaves_a_store_that_does_not_answer(self, store, tmp_path, what):
        store.write_all({"d/a": b"a"})
        store.spoil("hang", part=store.listing if what == "listing" else store.content("d/a"))
        hung = threading.Event()

        def stopped() -> bool:
            hung.wait(30)
            return True

        spoil = store.proxy.spoil

        def watched(method: str, path: str) -> str | None:
            how = spoil(method, path)
            if how == "hang":
                hung.set()
            return how

        store.proxy.spoil = watched
        with pytest.raises(StoppedError, match="told to stop"):
            self.fetch(store, ["d/"], tmp_path, stopped=stopped)
        assert hung.is_set()

    def test_results_are_sent_though_asked_to_stop_unless_nothing_moves(self, store, tmp_path):
        here = write(tmp_path, {"a": b"1"})
        upload_folder(here, f"{store.url}/d", options=store.options, stopped=lambda: True)
        assert store.read_all() == {"d/a": b"1"}
        store.options = with_limits(store.options, sending=0.5)
        store.spoil("hang", method=store.sends)
        with pytest.raises(StorageError, match="--model-dir sent 0 of 1 files when told to stop"):
            upload_folder(here, f"{store.url}/d", options=store.options, stopped=lambda: True)

    def test_a_run_asked_to_stop_gives_up(self, store, tmp_path):
        store.write_all({"d/a": b"a"})
        with pytest.raises(StoppedError, match="--train fetched 0 of 1 files"):
            self.fetch(store, ["d"], tmp_path, stopped=lambda: True)

    def test_what_is_not_there_is_reported_in_one_line(self, store, tmp_path):
        store.write_all({"data/a": b"a"})
        nothing = "nothing is there; expected an object, a folder or a glob"
        assert self.fails(store, f"{store.url}/dat", tmp_path) == nothing
        assert self.fails(store, f"{store.url}/data/a/", tmp_path) == nothing
        assert self.fails(store, f"{store.url}/data/b*", tmp_path) == nothing
        bucket = f"{store.scheme}://no-{store.bucket}"
        for url in (bucket, f"{bucket}/a", f"{bucket}/a/", f"{bucket}/a*"):
            assert self.fails(store, url, tmp_path) == "there is no such bucket"
        with pytest.raises(UserError, match=f"^--model-dir {bucket}/m/a: there is no such bucket$"):
            upload_folder(write(tmp_path, {"a": b""}), f"{bucket}/m", options=store.options)

    def test_access_denied_is_reported_in_one_line(self, store, tmp_path):
        store.write_all({"data/a": b"a"})
        store.spoil("403")
        line = self.fails(store, f"{store.url}/data", tmp_path)
        assert line.startswith("access is denied (")
        with pytest.raises(UserError, match=f"^--model-dir {store.url}/m.*: access is denied"):
            upload_folder(write(tmp_path, {"a": b""}), f"{store.url}/m", options=store.options)

    def test_what_makes_a_model_whole_goes_last(self, store, tmp_path):
        here = write(tmp_path, MODEL)
        url = f"{store.url}/model/1"
        for _ in range(2):
            store.reset()
            upload_folder(here, url, options=store.options)
            asked = [(m, p) for m, p in store.proxy.requests if m in (store.sends, "DELETE")]
            assert store.name_sent(asked[-1]) == "model/1/saved_model.pb"
        # The second time, an older one was there.
        assert asked[0][0] == "DELETE"
        assert "saved_model.pb" in asked[0][1]
        assert len(asked) == 5
        store.reset()
        store.spoil("403", method=store.sends, part="variables.index")
        with pytest.raises(UserError):
            upload_folder(here, url, options=store.options)
        assert "model/1/saved_model.pb" not in store.read_all()

    def test_children_versions_and_removal(self, store):
        more: dict[str, Any] = {"options": store.options}
        model = f"{store.url}/m"
        assert versions(model, **more) == []
        keys = ["m/1/saved_model.pb", "m/1/v/x", "m/10/saved_model.pb", "m/9", "m/old/x", "mm/3/x"]
        store.write_all(dict.fromkeys(keys, b""))
        assert children(model, **more) == ["1", "10", "old"]
        assert versions(f"{model}/", **more) == [1, 10]
        store.reset()
        remove(f"{model}/1", **more)
        assert sorted(store.read_all()) == sorted(keys[2:])
        deleted = [path for method, path in store.proxy.requests if method == "DELETE"]
        assert "saved_model.pb" in deleted[0]
        remove(f"{model}/1", **more)
        with pytest.raises(ValueError, match="a whole bucket"):
            remove(store.url, **more)

    def test_checkpoints_are_mirrored(self, store, tmp_path):
        url = f"{store.url}/run/checkpoints"
        here, more = tmp_path / "here", {"options": store.options}
        mirror = CheckpointMirror(here, url, **more)
        mirror.restore()
        assert files(here) == {}
        for step in (1, 2):
            checkpoint(here, step)
            mirror.sync()
        assert store.read_all() == {f"run/checkpoints/{k}": v for k, v in files(here).items()}
        # Rotation; what is not ours stays.
        store.write_all({"run/checkpoints/notes.txt": b"", "run/checkpoints/ckpt-best/x": b""})
        shutil.rmtree(here / "ckpt-00000001")
        checkpoint(here, 3)
        store.reset()
        mirror.sync()
        assert children(url, options=store.options) == [
            "ckpt-00000002",
            "ckpt-00000003",
            "ckpt-best",
        ]
        asked = [(m, p) for m, p in store.proxy.requests if m in (store.sends, "DELETE")]
        sent = [store.name_sent(a).split("/")[-1] for a in asked if a[0] == store.sends]
        assert sorted(sent[:2]) == ["variables.data", "variables.index"]
        assert sent[2] == "state.json"
        assert [m for m, _ in asked] == [store.sends] * 3 + ["DELETE"] * 3
        store.reset()
        mirror.sync()
        assert store.proxy.requests == []

    def test_only_whole_checkpoints_are_restored(self, store, tmp_path):
        url = f"{store.url}/run"
        there = tmp_path / "there"
        for step in range(1, 6):
            checkpoint(there, step)
        (there / "ckpt-00000003/variables.data").write_bytes(b"short")
        (there / "ckpt-00000004/variables.index").unlink()
        (there / "ckpt-00000005/state.json").unlink()
        store.write_all({f"run/{name}": data for name, data in files(there).items()})
        here = tmp_path / "here"
        mirror = CheckpointMirror(here, url, options=store.options)
        mirror.restore()
        whole = {k: v for k, v in files(there).items() if k < "ckpt-00000003"}
        assert files(here) == whole
        # The run goes on from 2, and replaces the others as it gets there.
        store.reset()
        mirror.sync()
        assert store.proxy.requests == []
        checkpoint(here, 4)
        shutil.rmtree(here / "ckpt-00000001")
        mirror.sync()
        fresh = CheckpointMirror(tmp_path / "fresh", url, options=store.options)
        fresh.restore()
        assert files(tmp_path / "fresh") == files(here)
        assert sorted(p.name for p in here.iterdir()) == ["ckpt-00000002", "ckpt-00000004"]

    @pytest.mark.parametrize("layout", ["version", "flat"])
    def test_a_job_runs_on_local_disk(self, store, tmp_path, layout):
        run = f"{store.url}/run"
        store.write_all(
            {"data/train/a": b"1", "data/test/b": b"2", "run/model/7/saved_model.pb": b""}
        )
        checkpoint(tmp_path / "old", 1)
        store.write_all({f"run/ckpt/{k}": v for k, v in files(tmp_path / "old").items()})
        job = Job(
            train=(f"{store.url}/data",),
            test=(f"{store.url}/data",),
            model_dir=f"{run}/model",
            layout=layout,
            checkpoint_dir=f"{run}/ckpt/",
            log_dir=f"{run}/logs",
        )
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        with staged_locally(job, options=store.options, scratch=scratch) as stage:
            local = stage.job
            assert local.train == local.test
            assert files(Path(local.train[0])) == {"train/a": b"1", "test/b": b"2"}
            assert [p.name for p in Path(local.checkpoint_dir).iterdir()] == ["ckpt-00000001"]
            write(Path(local.log_dir), {"events": b"e1"})
            checkpoint(Path(local.checkpoint_dir), 2)
            stage.destination.checkpoint_written()
            assert "run/ckpt/ckpt-00000002/state.json" in store.read_all()
            assert store.read_all()["run/logs/events"] == b"e1"
            model = Path(local.model_dir)
            write(model if layout == "flat" else model / "1", MODEL)
            where = stage.destination.model_written(model if layout == "flat" else model / "1")
            assert where == (f"{run}/model" if layout == "flat" else f"{run}/model/8")
            write(Path(local.log_dir), {"events": b"e1e2"})
            write(Path(local.output_dir), {"metrics.json": b"{}"})
            stage.destination.finish()
        assert list(scratch.iterdir()) == []
        there = store.read_all()
        assert there["run/metrics.json"] == b"{}"
        assert there["run/logs/events"] == b"e1e2"
        for name, data in MODEL.items():
            assert there[f"{where.removeprefix(store.url + '/')}/{name}"] == data
        assert not any("probe" in name or "part" in name for name in there)

    def test_only_the_model_may_be_remote_and_only_the_chief_sends(self, store, tmp_path):
        job = Job(train=(str(tmp_path),), model_dir=f"{store.url}/m", output_dir=str(tmp_path))
        worker = Cluster(chief=("a",), worker=("b",), role="worker")
        for cluster, checkpoint_dir in ((Cluster(), None), (worker, f"{store.url}/ckpt")):
            job = dataclasses.replace(job, cluster=cluster, checkpoint_dir=checkpoint_dir)
            with staged_locally(job, options=store.options) as stage:
                assert stage.job.train == job.train
                assert stage.job.output_dir == job.output_dir
                model = write(Path(stage.job.model_dir) / "1", MODEL)
                where = stage.destination.model_written(model)
                assert where == (str(model) if cluster is worker else f"{store.url}/m/1")
                if checkpoint_dir:
                    checkpoint(Path(stage.job.checkpoint_dir), 1)
                stage.destination.checkpoint_written()
                stage.destination.finish()
        assert sorted(store.read_all()) == sorted(f"m/1/{name}" for name in MODEL)

    def test_hosts_share_the_training_data_of_a_job(self, store, tmp_path):
        store.write_all({f"d/{i}": b"" for i in range(4)})
        job = Job(train=(f"{store.url}/d/*",), test=(f"{store.url}/d",))
        with staged_locally(job, options=store.options, host=(1, 2)) as stage:
            found = [f.name for p in stage.job.train for f in globs.find(Path(p))]
            assert found == ["1", "3"]
            assert sorted(files(Path(stage.job.test[0]))) == ["0", "1", "2", "3"]

    @pytest.mark.parametrize("name", ["model_dir", "output_dir", "checkpoint_dir", "log_dir"])
    def test_folders_that_cannot_be_written_are_reported_first(self, store, name):
        store.spoil("403", method=store.sends)
        job = Job(**{name: f"{store.url}/x"})
        line = f"^{flag_of(name)} {store.url}/x: access is denied"
        with pytest.raises(UserError, match=line), staged_locally(job, options=store.options):
            pass

    def test_a_folder_whose_objects_cannot_be_seen_is_reported_first(self, store):
        store.spoil("403", method=store.looks, part="probe")
        job = Job(model_dir=f"{store.url}/x")
        line = f"^--model-dir {store.url}/x/.*: access is denied"
        with pytest.raises(UserError, match=line), staged_locally(job, options=store.options):
            pass
