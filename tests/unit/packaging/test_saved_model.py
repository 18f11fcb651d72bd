import pytest
from hypothesis import given, strategies as st
from made_models import entry, graph, number, tensor

from trainer.config.errors import UserError
from trainer.data.formats.protobuf import field
from trainer.packaging.saved_model import TensorInfo, check, parse

WHOLE = ["saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"]


def test_signatures_are_read_with_types_and_shapes():
    found = parse(graph("serving_default", "other", shape=(-1, 28, 28, 1)), name="x")
    assert [s.name for s in found.signatures] == ["other", "serving_default"]
    (inputs,) = found.signatures[1].inputs
    assert inputs == TensorInfo(name="inputs", dtype="float32", shape=(None, 28, 28, 1))
    assert str(inputs) == "inputs float32 [?, 28, 28, 1]"
    assert [str(tensor) for tensor in found.signatures[1].outputs] == ["classes int64 [?]"]
    assert found.signatures[1].method == "tensorflow/serving/predict"
    assert (found.tags, found.tensorflow) == (("serve",), "2.21.0")


@pytest.mark.parametrize(
    ("shape", "shown"), [((), "[]"), (None, "any shape"), ((0,), "[0]"), ((2**40,), f"[{2**40}]")]
)
def test_scalars_and_unknown_ranks_are_told_apart(shape, shown):
    found = parse(graph("serving_default", shape=shape), name="x")
    assert str(found.signatures[0].inputs[0]) == f"inputs float32 {shown}"


def test_what_the_loader_calls_for_itself_is_no_signature():
    found = parse(graph("serving_default", "__saved_model_init_op"), name="x")
    assert [s.name for s in found.signatures] == ["serving_default"]


def test_of_several_graphs_the_served_one_is_read():
    raw = graph("train", tags=("train",)) + graph("serving_default")
    assert [s.name for s in parse(raw, name="x").signatures] == ["serving_default"]


def test_references_of_tensorflow_1_and_new_types_have_names():
    for dtype, named in [(101, "float32"), (23, "uint64"), (77, "type 77")]:
        signature = field(1, entry("x", tensor(dtype, (1,))))
        raw = field(2, field(5, entry("serving_default", signature)))
        assert parse(raw, name="x").signatures[0].inputs[0].dtype == named


@pytest.mark.parametrize(
    ("raw", "expected"),
    [(b"", "no graph"), (b"text of some kind", "not its protocol"), (number(1, 1), "no graph")],
)
def test_what_is_no_saved_model_is_an_error_of_one_line(raw, expected):
    with pytest.raises(UserError, match=f"^m: damaged, or no SavedModel: .*{expected}"):
        parse(raw, name="m")


@given(st.data())
def test_damaged_graphs_are_read_or_refused(data):
    raw = bytearray(graph("serving_default", "b"))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    raw = raw[: data.draw(st.integers(0, len(raw)))]
    try:
        found = parse(bytes(raw), name="m")
        assert isinstance(str(found), str)
    except UserError as error:
        assert str(error).startswith("m: damaged")


@pytest.mark.parametrize(
    ("raw", "names", "expected"),
    [
        (graph("s", tags=("train", "gpu")), WHOLE, "its tags are train, gpu; servers load what"),
        (graph("s", tags=()), WHOLE, "its tags are none"),
        (graph(), WHOLE, "it has no signature to call"),
        (graph("s"), WHOLE[:2], "a file variables.data-… is missing"),
        (graph("s"), [WHOLE[0], WHOLE[2]], "variables.index is missing"),
        (
            graph("s"),
            [*WHOLE[:2], "variables/variables.data-00001-of-00002"],
            "a file variables.data-… is missing",
        ),
    ],
)
def test_what_no_server_loads_is_refused(raw, names, expected):
    with pytest.raises(UserError, match=f"^m: .*{expected}"):
        check(parse(raw, name="m"), names, name="m")


def test_whole_models_pass_with_variables_in_parts_and_without_any():
    model = parse(graph("s"), name="m")
    parts = [f"variables/variables.data-0000{n}-of-00002" for n in range(2)]
    for names in (WHOLE, [*WHOLE[:2], *parts], WHOLE[:1]):
        check(model, names, name="m")
