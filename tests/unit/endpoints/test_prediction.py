"""Predictions of files by a server: what is sent, how often, and what becomes of the answers."""

import io
import json
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stub_server import ROW, stub_server

from trainer.config import RetryableError, UserError
from trainer.endpoints.prediction import answers, files, http_client
from trainer.endpoints.prediction.answers import AnswerError, class_of, predictions_of
from trainer.endpoints.prediction.connect import connect_endpoint, kind_of
from trainer.endpoints.prediction.files import InputFile, find_inputs
from trainer.endpoints.prediction.pieces import PieceLimits
from trainer.endpoints.prediction.predict_options import PredictOptions
from trainer.endpoints.prediction.run import predict
from trainer.runtime import StopRequest


@pytest.fixture
def server():
    with stub_server() as stub:
        yield stub


@pytest.fixture
def ask(server, tmp_path):
    def run(*paths, stop=None, url=None, **options):
        made = PredictOptions(timeout=10, **options)
        client = connect_endpoint(url or server.url, made)
        found = [str(tmp_path / path) for path in paths]
        return predict(client, found, made, stop=stop or StopRequest(), progress=0)

    return run


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_kind_of_file_is_sent_as_it_is_and_answered_in_order(ask, server, tmp_path, caplog):
    caplog.set_level(logging.INFO, "trainer")
    np.save(tmp_path / "a.npy", np.zeros((5, 2)))
    (tmp_path / "b.csv").write_text("x,y\n1,2\n3,4\n")
    (tmp_path / "c.jsonl").write_text("[1]\n\n[2]\n")
    (tmp_path / "d.json").write_text("[[1], [2], [3]]")
    Image.new("L", (3, 3)).save(tmp_path / "e.png")
    Image.new("L", (3, 3)).save(tmp_path / "f.webp")
    out = tmp_path / "deep/out.jsonl"
    assert ask("*.*", out=str(out), batch_rows=2, csv_heading=True) == 0
    found = rows(out)
    assert [(Path(each["source"]).name, each["row"]) for each in found] == [
        *(("a.npy", row) for row in range(5)), ("b.csv", 0), ("b.csv", 1), ("c.jsonl", 0),
        ("c.jsonl", 1), *(("d.json", row) for row in range(3)), ("e.png", 0), ("f.webp", 0),
    ]  # fmt: skip
    assert all(each["prediction"] == ROW and each["class"] == "yes" for each in found)
    kinds = [kind for _, kind, _ in server.asked]
    assert kinds.count("application/x-npy") == 3
    assert kinds.count("image/png") == 2
    assert not list(out.parent.glob("*.part"))
    assert "predicted rows=14 files=6 of=6" in caplog.messages[-1]


def test_tensorflow_serving_gets_json_and_the_signature_for_images(ask, server, tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 2)))
    (tmp_path / "b.csv").write_text("1,2\n")
    Image.new("L", (3, 3)).save(tmp_path / "c.jpg")
    url = f"{server.url}/v1/models/model/versions/3"
    server.gets["/v1/models/model/versions/3/metadata"] = server.gets["/v1/models/model/metadata"]
    out = tmp_path / "out.csv"
    assert ask("*.*", url=url, out=str(out)) == 0
    sent = {path: [] for path, *_ in server.asked}
    for path, _, body in server.asked:
        sent[path].append(json.loads(body))
    (bodies,) = sent.values()
    assert {"instances": [[0.0, 0.0], [0.0, 0.0]]} in bodies
    assert {"instances": [[1.0, 2.0]]} in bodies
    assert [body.get("signature_name") for body in bodies].count("images") == 1
    lines = out.read_text().splitlines()
    assert lines[0] == "source,row,class,classes,probabilities.0,probabilities.1"
    assert lines[1].endswith("a.npy,0,yes,1,0.25,0.75")
    (tmp_path / "bad.csv").write_text("a,b\n")
    assert ask("bad.csv", url=url) == 1
    server.gets.pop("/v1/models/model/versions/3/metadata")
    assert ask("c.jpg", url=url) == 1


def test_a_server_without_our_paths_is_taken_for_tensorflow_serving(ask, server, tmp_path):
    (tmp_path / "a.jsonl").write_text("[1]\n")
    server.gets.pop("/execution-parameters")
    assert ask("a.jsonl") == 0
    assert server.asked[0][0] == "/v1/models/model:predict"
    server.gets.clear()
    with pytest.raises(UserError, match="answers neither as trainer serve nor as TensorFlow"):
        ask("a.jsonl")
    assert ask("a.jsonl", url=f"{server.url}/any/path") == 0


def test_busy_answers_are_tried_again_and_then_fail(ask, server, tmp_path):
    (tmp_path / "a.jsonl").write_text("[1]\n")
    server.reply = lambda n: (429, b"") if n == 1 else None
    assert ask("a.jsonl") == 0
    assert len(server.asked) == 2
    server.reply = lambda n: (503, b'{"error": "queue is full"}')
    with pytest.raises(RetryableError, match="503: queue is full after 2 tries"):
        ask("a.jsonl", tries=2)
    server.reply = lambda n: (403, b'{"error": {"message": "no"}}')
    with pytest.raises(UserError, match=r"denies access \(403: no\)"):
        ask("a.jsonl")


def test_refused_rows_are_one_line_a_file_and_the_rest_is_answered(ask, server, tmp_path, caplog):
    for name in "ab":
        (tmp_path / f"{name}.jsonl").write_text("[1]\n[2]\n[3]\n")
    server.reply = lambda n: (400, b'{"error": "too small"}') if n <= 3 else None
    out = tmp_path / "out.jsonl"
    assert ask("*.jsonl", out=str(out), batch_rows=1, parallel=1) == 1
    assert [each["source"][-7:] for each in rows(out)] == ["b.jsonl"] * 3
    (line,) = [message for message in caplog.messages if "400" in message]
    assert line.endswith("a.jsonl: 400: too small")
    server.reply = lambda n: (200, b"no JSON") if n == 7 else (200, b'{"predictions": [1, 2]}')
    assert ask("a.jsonl", "b.jsonl", batch_rows=3, parallel=1) == 1
    assert "the answer to 3 rows has 2 predictions" in caplog.text
    assert "the answer is no JSON" in caplog.text


def test_what_is_answered_already_is_not_asked_again(ask, server, tmp_path):
    (tmp_path / "a.jsonl").write_text("[1]\n[2]\n[3]\n")
    out = tmp_path / "out.jsonl"
    part = tmp_path / "out.jsonl.part"
    header = json.dumps({"endpoint": f"{server.url}/invocations"})
    done = {"source": str(tmp_path / "a.jsonl"), "row": 1, "prediction": 7}
    part.write_text(f"{header}\n{json.dumps(done)}\n" + '{"source": "half')
    assert ask("a.jsonl", out=str(out)) == 0
    assert [body for *_, body in server.asked] == [b"[1]\n[3]\n"]
    assert [each["row"] for each in rows(out)] == [1, 0, 2]

    with pytest.raises(UserError, match="is there already; --resume asks"):
        ask("a.jsonl", out=str(out))
    assert ask("a.jsonl", out=str(out), resume=True) == 0
    assert len(server.asked) == 1
    assert ask("a.jsonl", out=str(out), overwrite=True) == 0
    assert len(server.asked) == 2
    # A journal of another endpoint is not gone on with.
    part.write_text(f'{{"endpoint": "other"}}\n{json.dumps(done)}\n')
    assert ask("a.jsonl", out=str(out), overwrite=True) == 0
    assert len(rows(out)) == 3


def test_a_stopped_run_keeps_its_answers(ask, server, tmp_path, caplog):
    (tmp_path / "a.jsonl").write_text("[1]\n[2]\n[3]\n")
    stop = StopRequest()

    def reply(n):
        if n == 2:
            stop.set()
            return 503, b""
        return None

    server.reply = reply
    out = tmp_path / "out.jsonl"
    code = ask("a.jsonl", out=str(out), batch_rows=1, parallel=1, stop=stop)
    assert code == 130
    assert not out.exists()
    assert "stopped" in caplog.text


def test_answers_of_servers_become_one_prediction_a_row():
    assert predictions_of(b'{"outputs": {"a": [1, 2], "b": [3, 4]}}', 2) == [
        {"a": 1, "b": 3}, {"a": 2, "b": 4},
    ]  # fmt: skip
    assert predictions_of(b"[1, 2]", 2) == [1, 2]
    assert predictions_of(b'{"outputs": 5}', 1) == [5]
    for body in (b"{", b'{"predictions": [1]}', b"5"):
        with pytest.raises(AnswerError):
            predictions_of(body, 2)


def test_the_class_is_named_by_label_or_by_the_highest_score():
    names = ("cat", "dog")
    assert class_of({"scores": [0.9, 0.1], "classes": 1}, names) == "dog"
    assert class_of([0.9, 0.1], names) == "cat"
    assert class_of(1, names) == "dog"
    assert class_of({"x": [1.0]}, names) is None
    assert class_of(7, names) is None


def test_names_of_classes_come_from_a_file_or_a_model(ask, server, tmp_path, capsys):
    (tmp_path / "a.jsonl").write_text("[1]\n")
    folder = tmp_path / "model/3/assets.extra"
    folder.mkdir(parents=True)
    (folder.parent / "saved_model.pb").write_bytes(b"")
    (folder / "classes.txt").write_text("zero\none\n")
    for names in (tmp_path / "model", folder / "classes.txt"):
        assert ask("a.jsonl", class_names=str(names)) == 0
        assert json.loads(capsys.readouterr().out.splitlines()[0])["class"] == "one"
    assert ask("a.jsonl", format="csv") == 0
    assert capsys.readouterr().out.splitlines()[0].startswith("source,row,class,")
    for bad, words in (tmp_path / "none", "nothing is there"), (tmp_path, "holds no names"):
        with pytest.raises(UserError, match=words):
            ask("a.jsonl", class_names=str(bad))


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (b"[1\n", "jsonl", "line 1 is no JSON"),
        (b"no", "npy", "no array of NumPy"),
        (b"no", "image", "no image that can be read"),
        (b"xyz", None, "do not say its format"),
    ],
)
def test_a_bad_file_is_explained(data, kind, words):
    file = InputFile(source="-", kind=kind)
    with pytest.raises(UserError, match=words):
        list(file.pieces(PieceLimits(rows=9, size=999), skip=lambda n: False, stdin=lambda: data))


def test_standard_input_may_be_of_any_kind():
    limits = PieceLimits(rows=9, size=9999)
    array = io.BytesIO()
    np.save(array, np.zeros((4, 1)))
    for data, rows_there in (array.getvalue(), 4), (b'{"instances": [[1], [2]]}', 2):
        file = InputFile(source="-", kind=None)
        found = list(file.pieces(limits, skip=lambda n: n == 0, stdin=lambda data=data: data))
        assert [number for piece in found for number in piece.numbers] == [*range(1, rows_there)]
    with pytest.raises(UserError, match=r"row 0 has 0\.0 MB"):
        list(InputFile(source="-", kind="csv").pieces(
            PieceLimits(rows=1, size=3), skip=lambda n: False, stdin=lambda: b"1,2,3\n",
        ))  # fmt: skip


def test_inputs_are_found_once_and_missing_ones_are_a_mistake(tmp_path):
    (tmp_path / ".hidden.csv").touch()
    (tmp_path / "a.csv").touch()
    found = find_inputs([str(tmp_path), str(tmp_path / "a.csv"), "-"], kind=None)
    assert [each.source for each in found] == [str(tmp_path / "a.csv"), "-"]
    (tmp_path / "empty").mkdir()
    for path, words in (
        (str(tmp_path / "no*.csv"), "nothing is there"),
        (str(tmp_path / "empty"), "holds no file"),
        ("gs://b/x.csv", "trainer data sync"),
    ):
        with pytest.raises(UserError, match=words):
            find_inputs([path])
    missing = files.InputFile(source=str(tmp_path / "gone.csv"), kind="csv")
    with pytest.raises(UserError, match="cannot be read: No such file"):
        list(missing.pieces(PieceLimits(rows=1, size=9), skip=lambda n: False))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"resume": True}, "--resume: is for --out FILE only"),
        ({"out": "x", "resume": True, "overwrite": True}, "give one of them"),
        ({"parallel": 0}, "--parallel 0: expected a number of 1 to 64"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options, words):
    with pytest.raises(UserError, match=words):
        PredictOptions(**options)


def test_csv_cannot_be_gone_on_with(tmp_path):
    (tmp_path / "x.csv").touch()
    with pytest.raises(UserError, match="CSV cannot be gone on with"):
        answers.AnswerFile(
            tmp_path / "x.csv", endpoint="e", as_csv=True, resume=True, overwrite=False
        )


def test_a_name_is_of_the_kind_that_its_form_says():
    assert kind_of("https://host/x") == "http"
    assert kind_of("projects/p/locations/l/endpoints/5") == kind_of("1234567") == "vertex"
    assert kind_of("mnist") is None


def test_urls_are_shown_without_passwords_and_dates_are_no_seconds():
    assert http_client.without_password("http://me:pw@host:1/p?token=1") == "http://host:1/p"
    assert http_client.seconds_of("Fri, 01 Jan 2027 00:00:00 GMT") is None
    with pytest.raises(UserError, match="nothing answers there"):
        http_client.connect_http("http://127.0.0.1:9", timeout=2)
    with pytest.raises(UserError, match="expected http://HOST"):
        http_client.connect_http("http:///x", timeout=2)
