"""`trainer predict`: files of all kinds, asked of a real server, and of one that fails."""

import csv
import http.server
import io
import json
import signal
import subprocess
import threading

import numpy as np
import pytest
from PIL import Image
from processes import TRAINER, environment, trainer
from servers import SECONDS

pytestmark = pytest.mark.tensorflow


class Flaky(http.server.ThreadingHTTPServer):
    """Passes requests on to a server, but answers some itself.

    Attributes:
        refuse: Returns the status for the nth request, None to pass it on.
        asked: The media types and sizes of the bodies that came.
    """

    daemon_threads = True

    def __init__(self, upstream):
        super().__init__(("127.0.0.1", 0), Handler)
        self.upstream, self.refuse, self.asked = upstream, lambda n: None, []
        self.hold = threading.Event()
        self.hold.set()
        self.came = threading.Semaphore(0)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.reply(self.server.upstream.ask("GET", self.path))

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.headers["Content-Type"], len(body)))
        status = self.server.refuse(len(self.server.asked))
        self.server.came.release()
        self.server.hold.wait(SECONDS)
        if status is None:
            self.reply(self.server.upstream.ask("POST", self.path, body, dict(self.headers)))
            return
        self.send_response(status)
        self.send_header("Retry-After", "0")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def reply(self, reply):
        self.send_response(reply.status)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture
def flaky(server):
    proxy = Flaky(server)
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    yield proxy
    proxy.hold.set()
    proxy.shutdown()
    proxy.server_close()


@pytest.fixture
def digits():
    return np.random.default_rng(7).random((10, 28, 28, 1)).astype(np.float32)


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def expected(server, rows):
    answer = server.post("/invocations", {"instances": rows.tolist()})
    assert answer.status == 200
    return answer.json["predictions"]


def close(found, wanted):
    assert [each["classes"] for each in found] == [each["classes"] for each in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert np.allclose(one["probabilities"], other["probabilities"], atol=1e-5)


def test_arrays_tables_and_json_get_the_answers_of_the_server_row_by_row(server, digits, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    np.save(folder / "a.npy", digits)
    flat = digits.reshape(10, -1)
    (folder / "b.csv").write_text("".join(",".join(map(str, row)) + "\n" for row in flat))
    (folder / "c.jsonl").write_text("".join(f"{json.dumps(r)}\n\n" for r in digits.tolist()))
    (folder / "d.json").write_text(json.dumps({"instances": digits.tolist()}))
    (folder / "notes.txt").write_text("nothing to ask about")
    out = tmp_path / "out.jsonl"
    url = f"http://127.0.0.1:{server.port}"
    ran = trainer("predict", url, str(folder), "--out", str(out), "--batch-rows", "4")
    assert (ran.returncode, ran.stdout) == (0, "")
    found = rows_of(out)
    assert [(row["source"], row["row"]) for row in found] == [
        (str(folder / name), row) for name in ("a.npy", "b.csv", "c.jsonl", "d.json")
        for row in range(10)
    ]  # fmt: skip
    close([row["prediction"] for row in found], expected(server, digits) * 4)
    assert "predicted rows=40 files=4 of=4" in ran.stderr


def test_images_are_sent_as_they_are_and_others_as_png(server, flaky, digits, tmp_path):
    pixels = (digits[:3, :, :, 0] * 255).astype(np.uint8)
    for name, image in zip(("a.png", "b.jpg", "c.bmp"), pixels, strict=True):
        Image.fromarray(image).save(tmp_path / name)
    ran = trainer("predict", flaky.url, str(tmp_path / "*.*"), "--format", "csv")
    assert ran.returncode == 0, ran.stderr
    assert [kind for kind, _ in flaky.asked].count("image/png") == 2
    table = list(csv.DictReader(io.StringIO(ran.stdout)))
    assert [row["source"] for row in table] == [
        str(tmp_path / name) for name in ("a.png", "b.jpg", "c.bmp")
    ]
    assert set(table[0]) == {"source", "row", "classes", *(f"probabilities.{i}" for i in range(10))}


def test_a_server_of_tensorflow_serving_is_asked_in_json(server, flaky, digits, tmp_path):
    np.save(tmp_path / "a.npy", digits)
    Image.fromarray((digits[0, :, :, 0] * 255).astype(np.uint8)).save(tmp_path / "b.png")
    ran = trainer("predict", f"{flaky.url}/v1/models/model", str(tmp_path))
    assert ran.returncode == 0, ran.stderr
    assert {kind for kind, _ in flaky.asked} == {"application/json"}
    found = [json.loads(line)["prediction"] for line in ran.stdout.splitlines()]
    close(found[:10], expected(server, digits))
    assert set(found[10]) == {"classes", "probabilities"}


def test_requests_keep_to_the_limit_of_the_endpoint(flaky, digits, tmp_path):
    np.save(tmp_path / "a.npy", digits)
    argv = ("predict", flaky.url, str(tmp_path / "a.npy"), "--max-payload-mb", "0.0101")
    assert trainer(*argv).returncode == 0
    assert len(flaky.asked) == 4
    assert max(size for _, size in flaky.asked) <= 10_100
    ran = trainer(*argv[:-1], "0.001")
    assert ran.returncode == 1
    assert "a.npy: row 0 has 0.0 MB, and this endpoint takes 0.0 MB in a request" in ran.stderr


def test_a_busy_endpoint_is_asked_again(flaky, digits, tmp_path):
    np.save(tmp_path / "a.npy", digits)
    flaky.refuse = lambda n: {1: 429, 2: 503}.get(n)
    ran = trainer("predict", flaky.url, str(tmp_path / "a.npy"))
    assert (ran.returncode, len(ran.stdout.splitlines())) == (0, 10)
    assert len(flaky.asked) == 3
    flaky.refuse = lambda n: 503
    ran = trainer("predict", flaky.url, str(tmp_path / "a.npy"), "--tries", "2")
    assert ran.returncode == 200
    assert "503: no message after 2 tries; a new try may cure it" in ran.stderr


def test_one_line_names_each_bad_file_and_the_others_are_answered(server, digits, tmp_path):
    np.save(tmp_path / "a.npy", digits)
    np.save(tmp_path / "b.npy", digits[:, :5])
    (tmp_path / "c.png").write_bytes(b"no image")
    (tmp_path / "d.jsonl").write_text("[1\n")
    out = tmp_path / "out.jsonl"
    url = f"http://127.0.0.1:{server.port}"
    ran = trainer("predict", url, str(tmp_path), "--out", str(out))
    assert ran.returncode == 1
    assert [row["source"] for row in rows_of(out)] == [str(tmp_path / "a.npy")] * 10
    lines = [line for line in ran.stderr.splitlines() if "predicted" not in line]
    assert len(lines) == 3
    for name, words in ("b.npy", "rows 0 to 9: 400"), ("c.png", "no image"), ("d.jsonl", "line 1"):
        assert any(f"{name}: {words}" in line for line in lines)

    # Once it is mended, only that file is asked about.
    np.save(tmp_path / "b.npy", digits[:2])
    again = ("predict", url, str(tmp_path / "*.npy"), "--out", str(out))
    ran = trainer(*again)
    assert ran.returncode == 2
    assert "is there already; --resume asks for what it does not answer" in ran.stderr
    assert trainer(*again, "--resume").returncode == 0
    assert [row["source"][-5:] for row in rows_of(out)] == ["a.npy"] * 10 + ["b.npy"] * 2


def test_a_run_that_is_stopped_goes_on_where_it_was(flaky, digits, tmp_path):
    np.save(tmp_path / "a.npy", digits)
    out = tmp_path / "out.jsonl"
    argv = ["predict", flaky.url, str(tmp_path / "a.npy"), "--out", str(out)]
    argv += ["--batch-rows", "1", "--parallel", "1"]
    flaky.refuse = lambda n: flaky.hold.clear() if n == 5 else None
    with subprocess.Popen(
        [*TRAINER, *argv], env=environment(), stderr=subprocess.PIPE, text=True
    ) as running:
        for _ in range(5):
            assert flaky.came.acquire(timeout=SECONDS)
        running.send_signal(signal.SIGTERM)
        assert "answers are in" in running.stderr.readline()
        flaky.hold.set()
        running.communicate(timeout=SECONDS)
    assert running.returncode == 130
    assert not out.exists()
    flaky.refuse = lambda n: None
    flaky.asked.clear()
    assert trainer(*argv).returncode == 0
    assert len(flaky.asked) < 10
    assert [row["row"] for row in rows_of(out)] == list(range(10))
    assert not list(tmp_path.glob("*.part"))


def test_standard_input_and_names_of_classes(server, digits, tmp_path):
    names = tmp_path / "classes.txt"
    names.write_text("".join(f"digit {i}\n" for i in range(10)))
    ran = subprocess.run(
        [*TRAINER, "predict", f"http://127.0.0.1:{server.port}", "-", "--input-format", "jsonl",
         "--class-names", str(names)],
        input="".join(f"{json.dumps(row)}\n" for row in digits.tolist()), env=environment(),
        capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    found = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [row["class"] for row in found] == [
        f"digit {each['classes']}" for each in expected(server, digits)
    ]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("http://127.0.0.1:9", "x.npy"), "nothing answers there (connection refused); start"),
        (("http:///x", "x.npy"), "expected http://HOST"),
        (("http://127.0.0.1:9/invocations", "missing.npy"), "missing.npy: nothing is there"),
        (("http://127.0.0.1:9/invocations", "s3://b/x.npy"), "trainer data sync"),
    ],
)
def test_a_mistake_is_one_line(argv, words):
    ran = trainer("predict", *argv)
    assert ran.returncode == 2
    assert len(ran.stderr.splitlines()) == 1
    assert words in ran.stderr
