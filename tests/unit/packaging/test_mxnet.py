import io
import json
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from made_models import MXNET_GLUON, MXNET_NUMPY, MXNET_PARAMS, MXNET_SYMBOL, checkpoint

from trainer.config.errors import UserError
from trainer.packaging.mxnet import (
    Params,
    Symbol,
    check,
    checkpoint as find,
    parse_shapes,
    read_params,
    read_shapes,
    read_symbol,
    shapes_json,
)

SYMBOL = read_symbol(MXNET_SYMBOL, name="s")
PARAMS = read_params(io.BytesIO(MXNET_PARAMS), name="p")


def test_what_mxnet_wrote_is_read():
    assert SYMBOL.variables == ("data", "fc_weight", "fc_bias", "softmax_label")
    assert SYMBOL.outputs == ("softmax",)
    assert PARAMS.names == ("arg:fc_weight", "arg:fc_bias")
    assert (PARAMS.numbers, PARAMS.dtype) == (8, "float32")
    check(SYMBOL, PARAMS, {"data": (1, 3)}, name="m")


def test_scalars_of_numpy_shapes_are_read():
    found = read_params(io.BytesIO(MXNET_NUMPY), name="p")
    assert (found.names, found.numbers) == (("arg:s", "arg:v"), 7)


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ({}, "neither a weight nor an --input-shape for data"),
        ({"dat": (1, 3)}, "--input-shape dat: the inputs of m are data"),
        ({"data": (1, 3), "fc_bias": (2,)}, "--input-shape fc_bias: the inputs of m are data"),
    ],
)
def test_inputs_that_do_not_fit_the_network_are_refused(shapes, expected):
    with pytest.raises(UserError, match=expected):
        check(SYMBOL, PARAMS, shapes, name="m")


def test_a_missing_weight_is_not_left_to_chance():
    params = Params(names=("arg:fc_bias",), numbers=2, dtype="float32")
    with pytest.raises(UserError, match="neither a weight nor an --input-shape for fc_weight"):
        check(SYMBOL, params, {"data": (1, 3)}, name="m")


def test_parameters_of_gluon_are_told_apart():
    params = read_params(io.BytesIO(MXNET_GLUON), name="p")
    assert params.names == ("weight", "bias")
    with pytest.raises(UserError, match=r"Gluon's save_parameters; use export\(\)"):
        check(SYMBOL, params, {"data": (1, 3)}, name="m")


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b"{", b'{"nodes": [1], "heads": []}'])
def test_what_is_no_symbol_is_told(raw):
    with pytest.raises(UserError, match=r"^s: expected an MXNet symbol: JSON with nodes and heads"):
        read_symbol(raw, name="s")


@given(st.data())
def test_damaged_parameters_are_read_or_refused(data):
    raw = bytearray(MXNET_PARAMS)
    for _ in range(data.draw(st.integers(0, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    raw = raw[: data.draw(st.integers(0, len(raw)))]
    try:
        assert isinstance(read_params(io.BytesIO(bytes(raw)), name="p"), Params)
    except UserError as error:
        assert str(error) == "p: damaged, or no MXNet parameters of dense arrays"


def test_cut_parameters_are_refused_wherever_they_are_cut():
    for length in range(len(MXNET_PARAMS)):
        with pytest.raises(UserError, match="damaged"):
            read_params(io.BytesIO(MXNET_PARAMS[:length]), name="p")


def test_shapes_are_given_and_written_as_the_container_reads_them():
    shapes = parse_shapes(["data=1,28,28,1", "mask=1,28"])
    assert shapes == {"data": (1, 28, 28, 1), "mask": (1, 28)}
    written = shapes_json(shapes)
    assert json.loads(written)[0] == {"name": "data", "shape": [1, 28, 28, 1]}
    assert read_shapes(written.encode(), name="x") == shapes


@pytest.mark.parametrize("text", ["data", "=1", "data=", "data=1,0", "data=1;2", "data=-1,3"])
def test_wrong_shapes_are_told(text):
    with pytest.raises(UserError, match=f"--input-shape {text}: expected NAME=N,N"):
        parse_shapes([text])


@pytest.mark.parametrize("raw", [b"{}x", b"1", b'[{"name": "data"}]', b'{"data": [1]}'])
def test_wrong_shapes_in_a_file_are_told(raw):
    with pytest.raises(UserError, match="x: expected"):
        read_shapes(raw, name="x")


def test_the_last_epoch_counts_unless_another_is_asked_for(tmp_path):
    prefix = checkpoint(tmp_path, epochs=(0, 7, 12345))
    (tmp_path / "tiny-old-0099.params").write_bytes(b"")
    assert [file.name for file in find(prefix, epoch=None)] == [
        "tiny-symbol.json",
        "tiny-12345.params",
    ]
    assert find(prefix, epoch=7)[1].name == "tiny-0007.params"
    with pytest.raises(UserError, match=r"--epoch 8: .*tiny has 0, 7, 12345"):
        find(prefix, epoch=8)


def test_a_missing_checkpoint_names_what_was_expected(tmp_path):
    with pytest.raises(UserError, match=r"expected x-symbol\.json and x-NNNN\.params in "):
        find(tmp_path / "x", epoch=None)


@pytest.mark.parametrize("prefix", [".", "/"])
def test_a_prefix_that_is_no_name_is_told(prefix):
    with pytest.raises(UserError, match="no MXNet checkpoint: expected"):
        find(Path(prefix), epoch=None)


def test_an_input_is_given_once():
    with pytest.raises(UserError, match="--input-shape data=1,4: data is given twice"):
        parse_shapes(["data=1,3", "data=1,4"])


def test_a_symbol_names_the_nodes_of_its_heads():
    raw = json.dumps({"nodes": [{"op": "null", "name": "a"}], "heads": [[0, 0, 0]]}).encode()
    assert read_symbol(raw, name="s") == Symbol(variables=("a",), outputs=("a",))
