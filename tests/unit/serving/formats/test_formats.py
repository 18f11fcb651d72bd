"""Requests in every format, good and bad, and answers in every format."""

import base64
import dataclasses
import io
import json
import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as arrays

from trainer.serving.formats import (
    csv as csv_format,
    npy as npy_format,
    registry,
    response,
    simple_json,
    tf_json,
)
from trainer.serving.formats.registry import JSON, reader
from trainer.serving.formats.request import Form, PredictRequest
from trainer.serving.http.errors import HTTPError
from trainer.serving.models.signature import Signature, Tensor

LINES, CSV, NPY = "application/jsonlines", "text/csv", "application/x-npy"


def tensor(name: str, dtype: str, *shape: int | None) -> Tensor:
    kind = np.dtype(object if dtype == "string" else dtype)
    return Tensor(name=name, dtype=kind, type_name=dtype, shape=shape)


def signature(name: str, *inputs: Tensor) -> Signature:
    return Signature(name=name, inputs=inputs, outputs=(tensor("y", "float32", None, 2),))


SIGNATURES = {
    s.name: s
    for s in (
        signature("serving_default", tensor("x", "float32", None, 2, 2)),
        signature("flat", tensor("x", "float32", None, 4)),
        signature("single", tensor("x", "float32", None)),
        signature("counts", tensor("x", "int32", None, 2)),
        signature("flags", tensor("x", "bool", None)),
        signature("texts", tensor("x", "string", None)),
        signature("serving_bytes", tensor("image_bytes", "string", None)),
        dataclasses.replace(
            signature("two", tensor("a", "float32", None, 1), tensor("b", "int64", None)),
            batched=True,
        ),
        signature("any", tensor("x", "float32", None, None)),
        signature("column", tensor("x", "float32", None, 1)),
        signature("sequence", tensor("x", "float32", None, None, 1)),
        signature("picture", tensor("x", "float32", None, 4, 4, 3)),
        signature("number", tensor("x", "float32")),
    )
}


def ask(document: object, name: str | None = None) -> PredictRequest:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return tf_json.read(body, SIGNATURES, name)


def simple(body: str, name: str | None = None, kind: str = JSON) -> np.ndarray:
    return reader(kind)(body.encode(), SIGNATURES, name).arrays["x"]


def refused(call, *args, **more) -> HTTPError:
    with pytest.raises(HTTPError) as caught:
        call(*args, **more)
    assert "\n" not in caught.value.message
    return caught.value


SQUARE = [[1.0, 2.0], [3.0, 4.0]]


def test_rows_and_columns_are_told_apart():
    rows = ask({"instances": [SQUARE, SQUARE]})
    assert (rows.form, rows.arrays["x"].shape) == (Form.ROWS, (2, 2, 2))
    columns = ask({"inputs": [SQUARE, SQUARE]})
    assert (columns.form, columns.arrays["x"].shape) == (Form.COLUMNS, (2, 2, 2))
    assert ask({"inputs": {"x": [SQUARE]}}).arrays["x"].shape == (1, 2, 2)


def test_a_signature_is_asked_by_its_name():
    found = ask({"signature_name": "flat", "instances": [[1, 2, 3, 4]]})
    assert found.signature.name == "flat"
    assert found.arrays["x"].dtype == np.float32


def test_several_inputs_come_as_objects():
    rows = ask({"signature_name": "two", "instances": [{"a": [1], "b": 2}, {"a": [3], "b": 4}]})
    np.testing.assert_array_equal(rows.arrays["a"], [[1], [3]])
    np.testing.assert_array_equal(rows.arrays["b"], [2, 4])
    columns = ask({"signature_name": "two", "inputs": {"a": [[1]], "b": [2]}})
    np.testing.assert_array_equal(columns.arrays["b"], [2])


def test_one_input_may_be_named_too():
    assert ask({"instances": [{"x": SQUARE}]}).arrays["x"].shape == (1, 2, 2)


@pytest.mark.parametrize("data", [b"", b"a", b"\xff\x00\xfb", b"abcd"])
def test_bytes_come_in_base64(data):
    encoded = base64.b64encode(data).decode()
    for text in (encoded, encoded.rstrip("="), base64.urlsafe_b64encode(data).decode()):
        found = ask({"signature_name": "texts", "instances": [{"b64": text}]})
        assert found.arrays["x"].tolist() == [data]


def test_strings_are_utf8():
    found = ask({"signature_name": "texts", "instances": ["ä", "b"]})
    assert found.arrays["x"].tolist() == ["ä".encode(), b"b"]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (b"", "JSON Parse error: The document is empty"),
        (b'{"instances": [[1, 2', "JSON Parse error: "),
        (b'{"instances": [[[1, 2], [3, NaN]]]}', "NaN or Infinity among the values"),
        (b'{"instances": [[[1, 2], [3, 1e99]]]}', "expected finite numbers"),
        (b"\xff\xfe", "JSON Parse error: "),
        (b"[" * 100_000, "JSON Parse error: "),
        ([1, 2], "Is not object; expected"),
        ({}, "Missing 'inputs' or 'instances' key"),
        ({"instances": [1], "inputs": [1]}, "expecting only one of"),
        ({"instances": 3}, "Expecting 'instances' to be a list/array, got Number"),
        ({"instances": 0, "rows": [SQUARE]}, "Expecting 'instances' to be a list/array, got Num"),
        ({"instances": False, "rows": [SQUARE]}, "to be a list/array, got Bool"),
        ({"a": {"instances": [SQUARE]}, "instances": 0}, "to be a list/array, got Number"),
        ({"instances": []}, "No values in 'instances' array"),
        ({"instances": [[]]}, "expected 3"),
        ({"instances": [[[]]]}, "has shape [1,1,0]; expected float32 [-1,2,2]"),
        ({"instances": [SQUARE], "signature_name": "no"}, '"no" not found in signature def'),
        ({"instances": [SQUARE], "signature_name": 1}, "must be a string value, got Number"),
        ({"instances": [[1, 2]]}, "has 2 levels of lists; expected 3: float32 [-1,2,2]"),
        ({"instances": [[[1, 2, 3], [3, 4, 5]]]}, "has shape [1,2,3]; expected float32 [-1,2,2]"),
        ({"instances": [[1, 2, 3], [3, 4, 5]]}, "has 2 levels of lists; expected 3"),
        ({"signature_name": "flat", "instances": [1, 2, 3, 4]}, "has 1 levels of lists; expected"),
        ({"signature_name": "column", "instances": [[1, 2]]}, "has shape [1,2]; expected"),
        ({"signature_name": "number", "instances": [1]}, "has 1 levels of lists; expected 0"),
        (
            {"signature_name": "picture", "instances": np.zeros((2, 3, 4, 4)).tolist()},
            "has shape [2,3,4,4]; expected float32 [-1,4,4,3]",
        ),
        ({"instances": [[[1, 2], [3]]]}, "unexpected size: 1 at level: 2 expected size: 2"),
        ({"instances": [[[1, 2], 3]]}, "found at incorrect level"),
        ({"instances": [[[1, 2], [3, [4]]]]}, "list at unexpected level: 3 expected < 3"),
        ({"instances": [[[1, 2], [3, True]]]}, "Type: Bool is not of expected type: float32"),
        ({"instances": [[[1, 2], [3, None]]]}, "Type: Null is not of expected type: float32"),
        ({"instances": [[[1, 2], [3, "4"]]]}, "Type: String is not of expected type: float32"),
        ({"instances": [SQUARE, {"x": SQUARE}]}, "Expecting value/list but got object at item 1"),
        ({"instances": [{"x": SQUARE}, SQUARE]}, "Expecting object but got list at item 1"),
        ({"instances": [{"z": SQUARE}]}, "keys must be equal to: x"),
        ({"inputs": {"z": SQUARE}}, "Missing named input: x"),
        ({"inputs": {"x": [SQUARE], "z": 1}}, "no tensor named z"),
        ({"signature_name": "two", "instances": [1]}, "expecting list of objects"),
        ({"signature_name": "two", "inputs": [1]}, "expecting an object"),
        ({"signature_name": "two", "inputs": {"a": [[1]], "b": [1, 2]}}, "'a' 1, 'b' 2"),
        ({"signature_name": "counts", "instances": [[1, 2.5]]}, "2.5 Type: Number is not of"),
        ({"signature_name": "counts", "instances": [[1, 2**40]]}, "1099511627776 Type: Number"),
        ({"signature_name": "flags", "instances": [1]}, "Type: Number is not of expected type: b"),
        ({"signature_name": "texts", "instances": [1]}, "is not of expected type: string"),
        ({"signature_name": "texts", "instances": [{"b64": "?"}]}, "Unable to base64 decode"),
        ({"signature_name": "texts", "inputs": [{"b64": 1}]}, "not formatted correctly for base64"),
    ],
)
def test_what_is_wrong_with_json_is_told_in_one_line(document, message):
    refusal = refused(ask, document)
    assert (refusal.status, message in refusal.message) == (400, True), refusal.message


@pytest.mark.parametrize(
    ("body", "name", "expected"),
    [
        ("[[1, 2, 3, 4], [5, 6, 7, 8]]", "flat", [[1, 2, 3, 4], [5, 6, 7, 8]]),
        ("[6.4, 3.2, 4.5, 1.5]", "flat", [[6.4, 3.2, 4.5, 1.5]]),
        ("[[1, 2], [3, 4]]", None, [SQUARE]),
        ("[[[1, 2], [3, 4]]]", None, [SQUARE]),
        ('{"instances": [[1, 2, 3, 4]]}', "flat", [[1, 2, 3, 4]]),
        ('{"inputs": [[1, 2, 3, 4]]}', "flat", [[1, 2, 3, 4]]),
        ('{"x": [1, 2, 3, 4]}', "flat", [[1, 2, 3, 4]]),
        ('[{"x": [1, 2, 3, 4]}]', "flat", [[1, 2, 3, 4]]),
        ("[1, 2, 3, 4]\n[5, 6, 7, 8]\n", "flat", [[1, 2, 3, 4], [5, 6, 7, 8]]),
        ("[1, 2, 3, 4] [5, 6,\n7, 8]", "flat", [[1, 2, 3, 4], [5, 6, 7, 8]]),
        ("7", "single", [7]),
        ("[7, 8]", "single", [7, 8]),
        ("[7, 8]", "any", [[7, 8]]),
        # As many values in each row as the input wants, in whatever brackets.
        ("[[1, 2, 3, 4], [5, 6, 7, 8]]", None, [SQUARE, [[5, 6], [7, 8]]]),
        ("[1, 2, 3, 4]", None, [SQUARE]),
        ("[[[1, 2], [3, 4]]]", "flat", [[1, 2, 3, 4]]),
        ("[1, 2, 3]", "column", [[1], [2], [3]]),
        ("[[1], [2]]", "single", [1, 2]),
        ("[1, 2, 3]", "sequence", [[[1], [2], [3]]]),
        ("[[1, 2, 3], [4, 5, 6]]", "sequence", [[[1], [2], [3]], [[4], [5], [6]]]),
        ('{"instances": [1, 2, 3]}', "column", [[1], [2], [3]]),
        ('{"instances": [{"x": 1}, {"x": 2}]}', "column", [[1], [2]]),
        ('{"inputs": {"x": [1, 2]}}', "column", [[1], [2]]),
        ('{"inputs": [1, 2, 3, 4]}', "flat", [[1, 2, 3, 4]]),
    ],
)
def test_values_without_a_form_are_instances(body, name, expected):
    np.testing.assert_array_equal(simple(body, name), np.array(expected, np.float32))


@pytest.mark.parametrize(
    "kind", [LINES, "application/jsons", "application/jsonlines; charset=utf-8"]
)
def test_a_line_is_an_instance(kind):
    np.testing.assert_array_equal(simple("[1,2,3,4]\r\n\n[5,6,7,8]", "flat", kind)[1], [5, 6, 7, 8])
    np.testing.assert_array_equal(simple("[1,2,3,4]", "flat", kind), [[1, 2, 3, 4]])
    np.testing.assert_array_equal(simple('{"x": 1}\n{"x": 2}', "single", kind), [1, 2])


def test_a_line_alone_is_one_instance_too():
    np.testing.assert_array_equal(simple("[1,2,3,4]", None, LINES), [SQUARE])
    np.testing.assert_array_equal(simple("[7]", "column", LINES), [[7]])
    np.testing.assert_array_equal(simple("7", "column", LINES), [[7]])
    np.testing.assert_array_equal(simple("[[7], [8]]", "column", LINES), [[7], [8]])
    assert "has shape [1,3]" in refused(simple, "[7, 8, 9]", "column", LINES).message


def test_lines_of_flat_values_are_rows():
    np.testing.assert_array_equal(simple("1\n2", "column", LINES), [[1], [2]])
    np.testing.assert_array_equal(simple("[1,2,3,4]\n[5,6,7,8]", None, LINES)[0], SQUARE)


def test_a_ragged_line_is_refused():
    assert "unexpected size" in refused(simple, "[1,2,3,4]\n[5,6]", "flat", LINES).message


def test_csv_has_a_column_for_each_value():
    np.testing.assert_array_equal(simple("1,2,3,4\n5,6,7,8\n", "flat", CSV)[1], [5, 6, 7, 8])
    np.testing.assert_array_equal(simple("1,2,3,4", None, CSV), [SQUARE])
    np.testing.assert_array_equal(simple("1\n2\r\n3", "single", CSV), [1, 2, 3])
    np.testing.assert_array_equal(simple('"1",2', "counts", CSV), [[1, 2]])
    np.testing.assert_array_equal(simple("1,2\n3,4", "any", CSV), [[1, 2], [3, 4]])
    assert simple('"a,b"\nc', "texts", CSV).tolist() == [b"a,b", b"c"]


@pytest.mark.parametrize(
    ("body", "name", "message"),
    [
        ("", "flat", "the body is empty"),
        ("1,2,3\n", "flat", "lines have 3 columns; expected 4: float32 [-1,4]"),
        ("1,2,3,4\n1,2", "flat", "changed from 4 to 2 in line 2; expected float32 in all columns"),
        ("1,2,x,4", "flat", "in line 1, column 3"),
        ("1,2,,4", "flat", "expected float32 in all columns"),
        ("1,2,nan,4", "flat", "NaN"),
        ("1,2,1e40,4", "flat", "too large for float32"),
        ("1,2.5", "counts", "expected int32"),
        ("1,99999999999", "counts", "expected int32"),
        ("a,b", "texts", "lines have 2 columns; expected 1: string [-1]"),
        ("a\nb,c", "texts", "line 2 has 2 columns, line 1 has 1"),
    ],
)
def test_what_is_wrong_with_csv_is_told_in_one_line(body, name, message):
    refusal = refused(simple, body, name, CSV)
    assert (refusal.status, message in refusal.message) == (400, True), refusal.message


def test_csv_that_is_no_text_is_refused():
    assert "not UTF-8 at byte 1" in refused(csv_format.read, b"1\xff", SIGNATURES, "flat").message


def saved(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@given(
    arrays.arrays(
        st.sampled_from([np.uint8, np.float32, np.float64, np.int64]),
        st.tuples(st.integers(1, 4), st.just(4)),
        elements=st.integers(0, 200),
    ),
    st.booleans(),
)
def test_npy_is_read_as_numpy_reads_it(array, fortran):
    made = np.asfortranarray(array) if fortran else array
    found = npy_format.read(saved(made), SIGNATURES, "flat").arrays["x"]
    np.testing.assert_array_equal(found, array.astype(np.float32))


@pytest.mark.parametrize(
    ("shape", "name", "expected"),
    [
        ((4,), "flat", (1, 4)),
        ((2, 2), "serving_default", (1, 2, 2)),
        ((3, 4), "serving_default", (3, 2, 2)),
        ((3, 2, 2), "flat", (3, 4)),
        ((3,), "column", (3, 1)),
        ((3, 2), "sequence", (3, 2, 1)),
        ((2, 16, 3), "picture", (2, 4, 4, 3)),
        ((), "number", ()),
    ],
)
def test_npy_is_read_in_the_shape_that_is_wanted_where_only_one_reading_fits(shape, name, expected):
    found = npy_format.read(saved(np.arange(math.prod(shape)).reshape(shape)), SIGNATURES, name)
    assert found.arrays["x"].shape == expected
    np.testing.assert_array_equal(found.arrays["x"].ravel(), np.arange(math.prod(shape)))


@pytest.mark.parametrize("shape", [(3, 4, 4), (2, 3, 4, 4), (2, 3, 16), (2, 47)])
def test_npy_of_other_dimensions_is_no_picture(shape):
    refusal = refused(npy_format.read, saved(np.zeros(shape)), SIGNATURES, "picture")
    assert (refusal.status, "expected float32 [-1,4,4,3]" in refusal.message) == (400, True)


GOOD = saved(np.ones((2, 4), np.float32))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "header cannot be read"),
        (GOOD[:40], "header cannot be read"),
        (GOOD[:-1], "31 bytes of values; the header calls for 32"),
        (GOOD + b"x", "33 bytes of values"),
        (GOOD.replace(b"(2, 4)", b"(9, 4)"), "the header calls for 144"),
        (GOOD.replace(b"(2, 4)", b"(-2,4)"), "expected numbers"),
        (saved(np.array([[None] * 4])), "expected numbers"),
        (saved(np.ones((2, 5))), "has shape [2,5]; expected float32 [-1,4]"),
        (saved(np.ones((0, 4))), "no instances"),
        (saved(np.ones((2, 4), complex)), "an array of complex128; expected float32"),
        (saved(np.full((2, 4), np.nan)), "NaN"),
        (saved(np.full((2, 4), 1e300)), "too large for float32"),
    ],
)
def test_what_is_wrong_with_npy_is_told_in_one_line(body, message):
    refusal = refused(npy_format.read, body, SIGNATURES, "flat")
    assert (refusal.status, message in refusal.message) == (400, True), refusal.message


def npy_file(descr: str, shape: str, values: bytes = b"") -> bytes:
    head = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + values


@pytest.mark.parametrize(
    ("body", "name", "message"),
    [
        (npy_file("|S0", "(3,)"), "texts", "expected numbers"),
        (npy_file("<f4", str((1,) * 65), bytes(4)), "flat", "no array has this shape"),
        (npy_file("<f4", "(True, 4)", bytes(16)), "flat", "no array has this shape"),
        (npy_file("<f4", f"(0, {10**20})"), "flat", "no array has this shape"),
        (npy_file("<U1", "(1,)", b"\0\xd8\0\0"), "texts", "character that Unicode has not"),
        (npy_file("<U1", "(1,)", b"\0\0\x11\0"), "texts", "character that Unicode has not"),
    ],
)
def test_an_npy_header_may_claim_what_no_array_is(body, name, message):
    refusal = refused(npy_format.read, body, SIGNATURES, name)
    assert (refusal.status, message in refusal.message) == (400, True), refusal.message


@given(st.binary(max_size=300) | st.binary(max_size=40).map(lambda tail: GOOD[:100] + tail))
def test_no_npy_raises_anything_but_a_refusal(body):
    try:
        npy_format.read(body, SIGNATURES, "flat")
    except HTTPError as refusal:
        assert refusal.status == 400


def test_an_image_goes_to_the_signature_that_takes_bytes():
    body = b"\x89PNG\r\n\x1a\nrest"
    found = reader("image/png")(body, SIGNATURES, None)
    assert found.signature.name == "serving_bytes"
    assert found.arrays["image_bytes"].tolist() == [body]
    assert "is no JPEG file" in refused(reader("image/jpeg"), body, SIGNATURES, None).message
    assert refused(reader("image/png"), body, SIGNATURES, "flat").status == 415
    alone = {"a": signature("a", tensor("image_bytes", "string"))}
    found = reader("image/png")(body, alone, None)
    assert (found.arrays["image_bytes"][()], found.form) == (body, Form.COLUMNS)
    only = {"serving_default": SIGNATURES["serving_default"]}
    assert refused(reader("image/png"), body, only, None).status == 415


def test_formats_without_names_are_refused_for_several_inputs():
    for kind, body in ((CSV, b"1,2"), (NPY, GOOD)):
        assert refused(reader(kind), body, SIGNATURES, "two").status == 415


def test_other_types_are_refused():
    refusal = refused(reader, "application/xml")
    assert (refusal.status, "Unsupported Media Type" in refusal.message) == (415, True)
    assert reader(None) is simple_json.read


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=10,
)


@given(
    st.fixed_dictionaries({}, optional={"instances": JSONS, "inputs": JSONS}),
    st.sampled_from(sorted(SIGNATURES)),
)
def test_no_json_raises_anything_but_a_refusal(document, name):
    body = json.dumps(document).encode("utf-8", "surrogatepass")
    for read in (tf_json.read, simple_json.read, simple_json.read_lines):
        try:
            found = read(body, SIGNATURES, name)
        except HTTPError as refusal:
            assert refusal.status in (400, 415)
        else:
            for expected in found.signature.inputs:
                assert expected.fits(found.arrays[expected.name].shape)
                assert found.arrays[expected.name].dtype == expected.dtype


OUTPUTS = {
    "probabilities": np.array([[0.1, 0.9], [0.25, 0.75]], np.float32),
    "classes": np.array([1, 0]),
}


def test_answers_in_rows_and_columns():
    rows = json.loads(response.write(OUTPUTS, media_type=JSON, form=Form.ROWS))
    assert rows == {
        "predictions": [
            {"classes": 1, "probabilities": [0.1, 0.9]},
            {"classes": 0, "probabilities": [0.25, 0.75]},
        ]
    }
    columns = json.loads(response.write(OUTPUTS, media_type=JSON, form=Form.COLUMNS))
    assert columns["outputs"]["classes"] == [1, 0]
    one = {"y": OUTPUTS["probabilities"]}
    assert json.loads(response.write(one, media_type=JSON, form=Form.ROWS))["predictions"][1] == [
        0.25,
        0.75,
    ]
    assert json.loads(response.write(one, media_type=JSON, form=Form.COLUMNS))["outputs"][0] == [
        0.1,
        0.9,
    ]


def test_answers_as_tables():
    assert response.write(OUTPUTS, media_type=CSV, form=Form.ROWS) == b"1,0.1,0.9\n0,0.25,0.75\n"
    lines = response.write(OUTPUTS, media_type=LINES, form=Form.ROWS).splitlines()
    assert json.loads(lines[1]) == {"classes": 0, "probabilities": [0.25, 0.75]}
    table = np.load(io.BytesIO(response.write(OUTPUTS, media_type=NPY, form=Form.ROWS)))
    np.testing.assert_allclose(table, [[1, 0.1, 0.9], [0, 0.25, 0.75]], rtol=1e-6)


@given(
    arrays.arrays(np.float32, st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)))
)
def test_numbers_come_back_from_json_as_they_were(array):
    text = response.write({"y": array}, media_type=JSON, form=Form.COLUMNS)
    found = np.array(json.loads(text)["outputs"], np.float32)
    np.testing.assert_array_equal(found, array)


NUMBERS = {
    "loss": np.array(0.1, np.float32),
    "size": np.array(3),
    "any": np.array(True),
    "name": np.array(b"n", object),
    "raw_bytes": np.array(b"n", object),
}


def test_outputs_that_are_one_value_for_the_whole_request_are_written():
    columns = json.loads(response.write(NUMBERS, media_type=JSON, form=Form.COLUMNS))["outputs"]
    assert columns == {
        "loss": 0.1, "size": 3, "any": True, "name": "n", "raw_bytes": {"b64": "bg=="}
    }  # fmt: skip
    for name, value in columns.items():
        alone = response.write({name: NUMBERS[name]}, media_type=JSON, form=Form.COLUMNS)
        assert json.loads(alone) == {"outputs": value}
    beside = {"loss": NUMBERS["loss"], "y": np.array([1, 2])}
    written = json.loads(response.write(beside, media_type=JSON, form=Form.COLUMNS))
    assert written == {"outputs": {"loss": 0.1, "y": [1, 2]}}
    for half in (np.float16, np.float64):
        text = response.write({"y": np.array(0.5, half)}, media_type=JSON, form=Form.COLUMNS)
        assert json.loads(text) == {"outputs": 0.5}
    text = response.write({"y": np.array(np.nan)}, media_type=JSON, form=Form.COLUMNS)
    assert text == b'{"outputs": NaN}'


def test_values_for_the_whole_request_are_a_table_of_one_row():
    some = {name: NUMBERS[name] for name in ("loss", "size")}
    assert response.write(some, media_type=CSV, form=Form.ROWS) == b"0.1,3\n"
    assert json.loads(response.write(some, media_type=LINES, form=Form.ROWS)) == {
        "loss": 0.1,
        "size": 3,
    }
    table = np.load(io.BytesIO(response.write(some, media_type=NPY, form=Form.ROWS)))
    np.testing.assert_allclose(table, [[0.1, 3]])
    loss = {"loss": NUMBERS["loss"]}
    assert np.load(io.BytesIO(response.write(loss, media_type=NPY, form=Form.ROWS))).shape == ()
    beside = {"loss": NUMBERS["loss"], "y": np.array([1, 2])}
    assert refused(response.write, beside, media_type=CSV, form=Form.ROWS).status == 406


def test_strings_are_text_and_bytes_are_base64():
    texts = np.array([b"a", "ä".encode()], object)
    rows = response.write({"label": texts, "raw_bytes": texts}, media_type=JSON, form=Form.ROWS)
    assert json.loads(rows)["predictions"][0] == {"label": "a", "raw_bytes": {"b64": "YQ=="}}
    assert response.write({"label": texts}, media_type=CSV, form=Form.ROWS).decode() == "a\nä\n"
    assert refused(response.write, {"label": texts}, media_type=NPY, form=Form.ROWS).status == 406


def test_outputs_that_make_no_rows_are_refused_in_the_row_form():
    uneven = {"a": np.ones(2), "b": np.ones(3)}
    assert (
        "inconsistent batch size: 3"
        in refused(response.write, uneven, media_type=JSON, form=Form.ROWS).message
    )
    assert (
        "no shape"
        in refused(response.write, {"a": np.array(1.0)}, media_type=JSON, form=Form.ROWS).message
    )


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        (None, JSON),
        ("*/*", JSON),
        ("application/json", JSON),
        ("text/csv", CSV),
        ("application/jsonlines", LINES),
        ("application/x-npy", NPY),
        ("text/html, text/csv;q=0.5, */*;q=0.1", CSV),
        ("application/json;q=0.2, application/x-npy", NPY),
    ],
)
def test_the_client_says_what_it_accepts(header, kind):
    assert registry.accepted(header) == kind


def test_an_answer_that_nobody_accepts_is_406():
    assert refused(registry.accepted, "text/html").status == 406
    assert refused(registry.accepted, "text/csv;q=0").status == 406
