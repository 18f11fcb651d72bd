"""Bodies that are read in pieces say the same as those that are read at once."""

import csv
import dataclasses
import io
import json

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from trainer.serving.formats import large
from trainer.serving.formats.registry import JSON, reader
from trainer.serving.formats.request import Form
from trainer.serving.http.errors import HTTPError
from trainer.serving.models.signature import Signature, Tensor

LINES, CSV = "application/jsonlines", "text/csv"
RNG = np.random.default_rng(0)


def tensor(name: str, dtype: str, *shape: int | None) -> Tensor:
    kind = np.dtype(object if dtype == "string" else dtype)
    return Tensor(name=name, dtype=kind, type_name=dtype, shape=shape)


def signature(name: str, *inputs: Tensor) -> Signature:
    return Signature(name=name, inputs=inputs, outputs=(tensor("y", "float32", None),))


SIGNATURES = {
    s.name: s
    for s in (
        signature("serving_default", tensor("x", "float32", None, 4, 3)),
        signature("numbers", tensor("x", "float32", None)),
        signature("ids", tensor("x", "int64", None, None)),
        signature("texts", tensor("x", "string", None)),
        signature("two", tensor("a", "float32", None, 2), tensor("b", "string", None)),
        signature("any", dataclasses.replace(tensor("x", "float32"), shape=None)),
        signature("fixed", tensor("x", "float32", 2, None)),
    )
}
ROWS = RNG.random((14_000, 4, 3)).round(4)
IDS = RNG.integers(-9, 99, (80_000, 5))
TEXTS = ['a"b\\', "\\\\", "[{", "}],", "ä", "\n", "", '\\"'] * 25_000
PAIRS = [{"a": [i / 2, 1], "b": TEXTS[i]} for i in range(60_000)]
LONG = RNG.random(180_000).round(4)


def read(body: object, name: str | None, kind: str = JSON):
    text = body if isinstance(body, str) else json.dumps(body)
    assert len(text) > large.LARGE
    return reader(kind)(text.encode(), SIGNATURES, name)


def same(found, expected) -> None:
    expected = np.asarray(expected)
    assert found.shape == expected.shape
    if found.dtype == object:
        assert found.tolist() == [text.encode() for text in expected.tolist()]
    else:
        np.testing.assert_array_equal(found, expected.astype(found.dtype))


@pytest.mark.parametrize(
    ("body", "name", "expected"),
    [
        ({"instances": ROWS.tolist()}, None, ROWS),
        ({"signature_name": "serving_default", "instances": ROWS.tolist()}, None, ROWS),
        ({"inputs": ROWS.tolist()}, None, ROWS),
        ({"inputs": {"x": ROWS.tolist()}}, None, ROWS),
        (ROWS.tolist(), None, ROWS),
        (ROWS.reshape(-1, 12).tolist(), None, ROWS),
        ({"instances": ROWS.reshape(-1, 12).tolist()}, None, ROWS),
        ({"instances": [{"x": row} for row in ROWS.tolist()]}, None, ROWS),
        (json.dumps({"instances": ROWS.tolist()}, indent=1), None, ROWS),
        ({"instances": LONG.tolist()}, "numbers", LONG),
        (LONG.tolist(), "numbers", LONG),
        ({"instances": IDS.tolist()}, "ids", IDS),
        ({"instances": [IDS.ravel().tolist()]}, "ids", IDS.reshape(1, -1)),
        (IDS.ravel().tolist(), "ids", IDS.reshape(1, -1)),
        ({"instances": TEXTS}, "texts", TEXTS),
        ({"inputs": TEXTS}, "texts", TEXTS),
        ({"instances": [TEXTS[0] * 300_000]}, "texts", [TEXTS[0] * 300_000]),
        ({"inputs": ROWS.tolist()}, "any", ROWS),
        ({"instances": [ROWS.tolist()]}, "any", ROWS[None]),
        ({"inputs": [LONG.tolist(), LONG.tolist()]}, "fixed", [LONG, LONG]),
    ],
)
def test_values_are_those_that_a_parser_finds(body, name, expected):
    found = read(body, name)
    same(found.arrays["x"], expected)
    columns = isinstance(body, dict) and "inputs" in body
    assert found.form is (Form.COLUMNS if columns else Form.ROWS)


def test_base64_is_decoded():
    found = read({"instances": [{"b64": "YWI="}] * 100_000}, "texts").arrays["x"]
    assert found.tolist() == [b"ab"] * 100_000
    one = read({"instances": [{"b64": "YWI" * 10**6}]}, "texts").arrays["x"]
    assert len(one[0]) > 2 * 10**6


@pytest.mark.parametrize("form", ["instances", "inputs", None])
def test_several_inputs_are_read(form):
    columns = {key: [pair[key] for pair in PAIRS] for key in ("a", "b")}
    body = {"instances": {"instances": PAIRS}, "inputs": {"inputs": columns}, None: PAIRS}[form]
    found = read(body, "two").arrays
    same(found["a"], columns["a"])
    same(found["b"], columns["b"])


def lines(rows) -> str:
    return "\n".join(map(json.dumps, rows))


def table(rows, end: str = "\n") -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator=end).writerows(rows)
    return text.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "name", "kind", "expected"),
    [
        (lines(ROWS.tolist()), None, LINES, ROWS),
        (lines(ROWS.reshape(-1, 12).tolist()) + "\n\n", None, LINES, ROWS),
        (lines(ROWS.tolist()), None, JSON, ROWS),
        (lines(LONG.tolist()), "numbers", LINES, LONG),
        (lines({"x": row} for row in IDS.tolist()), "ids", LINES, IDS),
        (lines(TEXTS), "texts", LINES, TEXTS),
        (lines([ROWS.tolist()]), None, LINES, ROWS),
        (json.dumps(ROWS.tolist(), indent=1), None, LINES, ROWS),
        (table(ROWS.reshape(-1, 12)), None, CSV, ROWS),
        (table(ROWS.reshape(-1, 12), "\r\n") + "\r\n", None, CSV, ROWS),
        ("\ufeff" + table(IDS), "ids", CSV, IDS),
        (table([text] for text in ["a", "b,c", "ä"] * 110_000), "texts", CSV,
         ["a", "b,c", "ä"] * 110_000),
    ],
)  # fmt: skip
def test_lines_and_tables_are_read_whole(body, name, kind, expected):
    same(read(body, name, kind).arrays["x"], expected)


GOOD = json.dumps({"instances": ROWS.tolist()})
LISTS = json.dumps(ROWS.tolist())


def changed(text: str, old: str, new: str, at: int = -1) -> str:
    place = text.rindex(old) if at < 0 else text.index(old, at)
    return text[:place] + new + text[place + len(old) :]


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (GOOD[:-1], JSON, "JSON Parse error: unexpected end of data"),
        (GOOD[:-3], JSON, "JSON Parse error: unexpected end of data"),
        (GOOD + "}", JSON, "JSON Parse error"),
        (changed(GOOD, "]]]}", "]]],}"), JSON, "JSON Parse error"),
        (changed(GOOD, "]]]}", "]],]}"), JSON, "JSON Parse error"),
        (changed(GOOD, "], [", "],, [", 2**19), JSON, "JSON Parse error"),
        (changed(GOOD, "], [", "] [", 2**19), JSON, "JSON Parse error"),
        (changed(GOOD, "0.", "NaN, 0.", 2**19), JSON, "NaN or Infinity among the values"),
        (changed(GOOD, "0.", "x", 2**19), JSON, "JSON Parse error"),
        (changed(GOOD, "]]]}", "]]}}"), JSON, "JSON Parse error"),
        (changed(GOOD, "0.", "true, 0.", 2**19), JSON, "unexpected size: 4"),
        (changed(GOOD, '"instances"', '"instanzen"'), JSON, "keys must be equal to: x"),
        (changed(GOOD, '"instances":', '"instances"'), JSON, "JSON Parse error"),
        (changed(GOOD, "]]]}", ']], {"x": 1}]}'), JSON, "Object of 1"),
        ("[" * (2**20 + 9), JSON, "JSON"),
        ('{"a":' * (2**18), JSON, "JSON"),
        ('"' + "a" * (2**20 + 9), JSON, "JSON Parse error"),
        (" " * (2**20 + 9), JSON, "The document is empty"),
        (LISTS[:-1] + ", [[1]]]", JSON, "has rows of the shapes"),
        (lines(ROWS.tolist())[:-1], LINES, "JSON Parse error"),
        (lines([*ROWS.tolist(), [1]]), LINES, ""),
        (table(ROWS.reshape(-1, 12)) + "1,2\n", CSV, "from 12 to 2 in line 14001"),
        (table(ROWS.reshape(-1, 12)) + "x" + ",1" * 11, CSV, "in line 14001, column 1"),
        (table(np.ones((200_000, 5), int)), CSV, "lines have 5 columns; expected 12"),
    ],
)
def test_what_is_wrong_with_a_large_body_is_named(body, kind, message):
    with pytest.raises(HTTPError) as caught:
        read(body, None, kind)
    assert caught.value.status == 400
    assert message in caught.value.message
    assert "\n" not in caught.value.message


def test_rows_of_an_object_that_follow_lists_are_refused():
    body = json.dumps({"instances": [*TEXTS, {"x": "a"}]})
    with pytest.raises(HTTPError, match="not formatted correctly for base64"):
        read(body, "texts")


JSONS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.sampled_from('a"\\[]{},:é')),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=30,
)


@given(JSONS, st.integers(2, 9), st.sampled_from([None, 1]))
@settings(deadline=None)
def test_any_document_is_parsed_as_by_a_parser(document, piece, indent):
    body = json.dumps(document, indent=indent).encode()
    try:
        assert plain(large.parse(body, piece=piece)) == document
    except HTTPError as refusal:
        assert "levels" in refusal.message or not json.loads(body)


def plain(value: object) -> object:
    if isinstance(value, large.Array):
        return [plain(each) for chunk in value.chunks() for each in chunk]
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return value
