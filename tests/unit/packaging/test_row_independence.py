import json
import shutil

import numpy as np
import pytest
from made_models import saved_model

from trainer.cli import command_line
from trainer.packaging.row_independence import (
    MARK,
    RowBehavior,
    compare_rows,
    read_mark,
    write_mark,
)
from trainer.storage.archive import unpack_archive

ROWS = {"x": np.random.default_rng(0).random((6, 3)).astype(np.float32)}

INDEPENDENT = {
    "product": lambda x: x * 2,
    "class of each row": lambda x: x.argmax(-1),
    "rounding": lambda x: x * np.float32(1 + 1e-6 * len(x)),
    "not a number": lambda x: np.log(x - 0.5),
}
DEPENDENT = {
    "share of the sum": lambda x: x / x.sum(0),
    "sort": lambda x: np.sort(x, 0),
    "rank": lambda x: np.argsort(x[:, 0]),
    "number of the row": lambda x: np.arange(len(x)),
    "running sum": lambda x: np.cumsum(x, 0),
    "count of equal rows": lambda x: (x[:, None] == x[None]).all(-1).sum(-1),
    "small beside its size": lambda x: 1e-6 * (x - x.mean(0)),
    "mean of all": lambda x: x.mean(),
    "one row for all": lambda x: x[:1],
    "text": lambda x: np.array([f"{len(x)}".encode()] * len(x), object),
}


@pytest.mark.parametrize("model", INDEPENDENT.values(), ids=INDEPENDENT)
def test_rows_that_are_computed_by_themselves_are_found_so(model):
    with np.errstate(invalid="ignore"):
        assert compare_rows(lambda rows: {"y": model(rows["x"])}, ROWS) is RowBehavior.INDEPENDENT


@pytest.mark.parametrize("model", DEPENDENT.values(), ids=DEPENDENT)
def test_an_answer_that_changes_with_the_rows_beside_it_is_found(model):
    def call(rows):
        return {"a": rows["x"], "y": model(rows["x"])}

    assert compare_rows(call, ROWS) is RowBehavior.DEPENDENT


def test_a_model_that_answers_all_rows_alike_proves_nothing():
    call = lambda rows: {"y": 0 * rows["x"]}  # noqa: E731
    assert compare_rows(call, ROWS) is RowBehavior.UNKNOWN


@pytest.fixture
def marked(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"graph")
    write_mark(tmp_path, ["b", "a"])
    return tmp_path


def test_a_mark_is_read_wherever_the_folder_is_copied_to(marked, tmp_path_factory):
    copy = shutil.copytree(marked, tmp_path_factory.mktemp("other") / "7")
    assert read_mark(copy) == {"a", "b"}


def test_a_mark_survives_packing(tmp_path):
    write_mark(saved_model(tmp_path / "model/3"), ["serving_default"])
    archive = tmp_path / "model.tar.gz"
    assert (
        command_line.main(["package", "--source", f"{tmp_path}/model", "--out", str(archive)]) == 0
    )
    unpack_archive(archive, tmp_path / "out", name="model")
    assert read_mark(tmp_path / "out/3") == {"serving_default"}


def test_a_mark_says_nothing_of_another_graph(marked):
    (marked / "saved_model.pb").write_bytes(b"other")
    assert read_mark(marked) == frozenset()


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps({"row_independent": 1, "graph": ""})])
def test_a_damaged_mark_is_none(marked, text):
    (marked / MARK).write_text(text)
    assert read_mark(marked) == frozenset()


def test_where_no_signature_is_independent_there_is_no_mark(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"graph")
    write_mark(tmp_path, [])
    assert not (tmp_path / MARK).exists()
    assert read_mark(tmp_path) == frozenset()
