"""The record of a run is read from where the run wrote it, and mistakes are one line."""

from __future__ import annotations

import json
import math

import pytest

from trainer.config import UserError
from trainer.reporting import (
    SCHEMA_VERSION,
    RunRecord,
    decode_record,
    encode_record,
    read_record,
)

OLD = {
    "model": "cnn",
    "parameters": 10,
    "steps": 3,
    "epochs": 0.5,
    "stopped": False,
    "test_accuracy": None,
    "train_loss": 2,
    "device": {"kind": "cpu", "count": 2, "name": "AMD", "cuda": None},
    "data": {
        "train": {
            "kind": "npy", "examples": 9, "files": ["a"], "damaged": [], "text": "", "digest": "x",
        },
        "test": {"kind": "synthetic", "examples": None, "files": [], "damaged": []},
    },
    "versions": {"trainer": "0.1.0", "tensorflow": "2.21.0", "keras": None},
}  # fmt: skip


def test_a_record_of_an_older_trainer_is_read_with_what_is_there(tmp_path):
    (tmp_path / "metrics.json").write_text(json.dumps(OLD))
    record = read_record(str(tmp_path))
    assert (record.model, record.steps, record.train_loss) == ("cnn", 3, 2.0)
    assert record.data["train"].files == ["a"]
    assert record.curves is None and record.job is None and record.warnings == []
    assert read_record(f"file://{tmp_path}/") == record


def test_a_record_is_written_as_it_is_read():
    value = {
        **OLD,
        "schema_version": SCHEMA_VERSION,
        "curves": {"train": {"step": [1, 2], "loss": [1.5, None]}, "test": {"step": [2]}},
        "job": {"batch_size": {"value": 64, "from": "--batch-size"}},
        "evaluation": {"step": 3, "examples": 2, "classes": ["0", "1"], "confusion": [[1, 0]] * 2},
    }
    record = decode_record(json.dumps(value).encode(), path="metrics.json")
    encoded = encode_record(record)
    assert encoded["job"] == value["job"]
    assert encoded["curves"]["train"]["loss"] == [1.5, None]
    assert decode_record(json.dumps(encoded).encode(), path="metrics.json") == record


def test_a_loss_without_bounds_is_read_and_is_null_for_other_programs():
    data = json.dumps({"model": "cnn", "steps": 1, "train_loss": math.nan}).encode()
    record = decode_record(data, path="metrics.json")
    assert record.train_loss is not None and math.isnan(record.train_loss)
    assert encode_record(record)["train_loss"] is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"model": "cnn", "ste', "half-written or damaged"),
        ("", "half-written or damaged"),
        ("\xff", "half-written or damaged"),
        ("[]", "it is not the record of a run: Expected `object`, got `array`"),
        ('{"steps": 1}', "it is not the record of a run: Object missing required field `model`"),
        ('{"model": "cnn", "steps": "x"}', "Expected `int`, got `str` - at `$.steps`"),
        (
            '{"model": "a", "steps": 1, "evaluation": {"step": 1, "examples": 2, "confusion": [[1]'
            ", [1, 2]]}}",
            "a confusion matrix is not a square",
        ),
        ("[" * 100_000 + "]" * 100_000, "half-written or damaged"),
        ('{"model": 1, "steps": {}, "schema_version": 2}', "it has schema version 2"),
    ],
)
def test_a_damaged_record_is_one_line(tmp_path, text: str, problem: str):
    (tmp_path / "metrics.json").write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=r"metrics\.json: ") as caught:
        read_record(str(tmp_path))
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_name_that_is_not_utf_8_is_read():
    """A file of such a name has the half of a character in its place."""
    value = OLD | {"data": {"train": {"files": ["\udcff.npy"]}}}
    record = decode_record(json.dumps(value).encode(), path="metrics.json")
    assert record.data["train"].files == ["?.npy"]


def test_a_folder_without_a_record_is_named(tmp_path):
    with pytest.raises(UserError, match=r"there is no metrics\.json") as caught:
        read_record(str(tmp_path))
    assert caught.value.subject == str(tmp_path)
    with pytest.raises(UserError, match="RUN ftp://"):
        read_record("ftp://host/run")


def test_a_record_needs_no_more_than_a_model_and_its_steps():
    assert RunRecord(model="cnn", steps=0).schema_version == SCHEMA_VERSION
