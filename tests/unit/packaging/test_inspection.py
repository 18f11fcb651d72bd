import json
import tracemalloc

import pytest
from made_models import MXNET_PARAMS, checkpoint, graph, keras_file, saved_model

from trainer.config.errors import UserError
from trainer.packaging import mxnet
from trainer.packaging.contents import files_below
from trainer.packaging.inspection import MXNET, SAGEMAKER, SERVING, VERTEX, describe, inspect
from trainer.packaging.prepare import prepare_model
from trainer.packaging.tarball import write_tarball


def packed(folder, out, under=""):
    return write_tarball(
        out, {f"{under}{name}": file for name, file in files_below(folder).items()}
    )


def takers(path):
    return {taker.name for taker in inspect(path).takers if taker.takes}


def test_containers_take_the_layouts_that_they_are_made_for(tmp_path):
    model = saved_model(tmp_path / "versions/3")
    assert takers(tmp_path / "versions") == {SERVING}
    assert takers(model) == {VERTEX}
    assert takers(packed(model, tmp_path / "a.tar.gz", "3/")) == {SAGEMAKER, SERVING}
    assert takers(packed(model, tmp_path / "s.tar.gz", "export/Servo/3/")) == {SAGEMAKER, SERVING}
    assert takers(packed(model, tmp_path / "flat.tar.gz")) == set()
    padded = packed(model, tmp_path / "padded.tar.gz", "00000123/")
    assert takers(padded) == {SAGEMAKER, SERVING}
    assert inspect(padded).models[0].version == 123
    assert takers(packed(model, tmp_path / "named.tar.gz", "v1/")) == set()
    assert takers(keras_file(tmp_path / "net.keras")) == set()


def test_a_model_without_a_default_signature_is_not_for_vertex(tmp_path):
    model = saved_model(tmp_path / "1", graph("other"))
    assert takers(model) == set()
    archive = inspect(packed(model, tmp_path / "a.tar.gz", "1/"))
    (sagemaker,) = (taker for taker in archive.takers if taker.name == SAGEMAKER)
    assert sagemaker.takes
    assert sagemaker.note == "each request must name a signature: no serving_default"


def test_a_damaged_model_is_taken_by_nobody_and_says_why(tmp_path):
    model = saved_model(tmp_path / "versions/1")
    (model / "variables/variables.index").unlink()
    artifact = inspect(tmp_path / "versions")
    assert not takers(tmp_path / "versions")
    problem = artifact.models[0].problem
    assert problem == "1: its variables are not whole: variables.index is missing"
    (model / "saved_model.pb").write_bytes(b"\xff")
    assert "damaged, or no SavedModel" in inspect(tmp_path / "versions").models[0].problem


@pytest.mark.parametrize("form", ["folder", "archive"])
def test_a_model_that_refers_to_a_file_that_is_missing_is_taken_by_nobody(tmp_path, form):
    model = saved_model(tmp_path / "versions/1", graph("serving_default", assets=("vocab.txt",)))

    def place():
        folder = tmp_path / "versions"
        return folder if form == "folder" else packed(folder, tmp_path / "a.tar.gz")

    assert inspect(place()).models[0].problem == "1: its asset assets/vocab.txt is missing"
    assert not takers(place())
    expected = r"its asset assets/vocab\.txt is missing"
    with pytest.raises(UserError, match=expected), prepare_model(place(), name="--source x"):
        pass
    (model / "assets").mkdir()
    (model / "assets/vocab.txt").write_text("yes")
    assert inspect(place()).models[0].problem is None


@pytest.mark.slow
@pytest.mark.parametrize("form", ["folder", "archive"])
@pytest.mark.parametrize("kind", ["zeros", "graph"])
def test_a_large_graph_is_read_in_little_memory(tmp_path, form, kind):
    model, size = saved_model(tmp_path / "versions/1"), 2**26
    file = model / "saved_model.pb"
    file.write_bytes(bytes(size) if kind == "zeros" else graph("serving_default", size=size))
    folder = tmp_path / "versions"
    place = folder if form == "folder" else packed(folder, tmp_path / "a.tar.gz")
    tracemalloc.start()
    try:
        found = inspect(place).models[0]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**23
    assert (found.problem is None) == (kind == "graph")


@pytest.fixture
def net(tmp_path):
    checkpoint(tmp_path / "net", prefix="model")
    (tmp_path / "net/model-shapes.json").write_text(mxnet.shapes_json({"data": (1, 3)}))
    return tmp_path / "net"


def test_an_mxnet_model_is_told_with_its_inputs(net, tmp_path):
    assert takers(net) == set()
    archive = packed(net, tmp_path / "a.tar.gz")
    assert takers(archive) == {MXNET}
    lines = describe(inspect(archive), name="a.tar.gz")
    assert lines[0].startswith("a.tar.gz: tar.gz, 3 files, 0.00 MB unpacked")
    assert lines[1] == "mxnet at the top, by MXNet, 2 arrays of 8 numbers"
    assert "    in  data float32 [1, 3]" in lines
    assert f"taken by {MXNET}" in lines


@pytest.mark.parametrize(
    ("name", "raw", "expected"),
    [
        ("model-0000.params", MXNET_PARAMS[:90], "model-0000.params: damaged"),
        ("model-shapes.json", b"{", "model-shapes.json: expected"),
        ("model-shapes.json", b'[{"name": "x", "shape": [1]}]', "the inputs of"),
    ],
)
def test_what_is_wrong_with_an_mxnet_model_is_named(net, name, raw, expected):
    (net / name).write_bytes(raw)
    assert expected in inspect(net).models[0].problem


def test_an_mxnet_model_without_its_shapes_is_not_whole(net):
    (net / "model-shapes.json").unlink()
    assert inspect(net).models[0].problem == "model-shapes.json is missing"


def test_a_keras_file_tells_its_inputs_and_how_it_becomes_servable(tmp_path):
    lines = describe(inspect(keras_file(tmp_path / "net.keras")), name="net.keras")
    assert "keras at the top, by Keras 3.15.1" in lines
    assert "    in  rows float32 [?, 4]" in lines
    assert any("which trainer package --source makes of it" in line for line in lines)


def test_names_from_an_artifact_cannot_command_a_terminal(tmp_path):
    saved_model(tmp_path / "1", graph("\x1b[2Jx", tags=("serve", "\x1b]0;y\x07")))
    text = "\n".join(describe(inspect(tmp_path), name="\x1b[m"))
    assert "\x1b" not in text
    assert r"\x1b[2Jx" in text


def test_code_and_several_models_are_told_and_all_of_it_is_json(tmp_path):
    for place in ("a/1", "a/2", "b/1"):
        saved_model(tmp_path / place)
    (tmp_path / "code").mkdir()
    (tmp_path / "code/inference.py").write_text("")
    artifact = inspect(tmp_path)
    expected = json.loads(json.dumps(artifact.as_dict()))
    assert [model["place"] for model in expected["models"]] == ["a/1", "a/2", "b/1"]
    assert expected["models"][0]["signatures"][0]["inputs"] == [
        {"name": "inputs", "dtype": "float32", "shape": [None, 4]}
    ]
    assert expected["code"] == ["inference.py"]
    assert "code: inference.py" in describe(artifact, name="x")


def test_what_is_no_artifact_is_an_error_and_what_is_empty_is_not(tmp_path):
    with pytest.raises(UserError, match="not found"):
        inspect(tmp_path / "none")
    lines = describe(inspect(tmp_path), name="x")
    assert (
        "no model: expected saved_model.pb, a .keras file or model.tar.gz, found nothing" in lines
    )
    (tmp_path / "old.h5").write_text("")
    lines = describe(inspect(tmp_path), name="x")
    assert "no model: old.h5 is a Keras HDF5 file; load it and save it as .keras" in lines
