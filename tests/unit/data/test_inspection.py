"""`trainer data inspect`: each record is read, each damaged one is named."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from trainer.cli import main
from trainer.config.errors import DataError
from trainer.data.formats.example import encode_examples
from trainer.data.formats.framing import frame
from trainer.data.inspection import inspect_anywhere, inspect_splits
from trainer.data.sheet import CELL, COLUMNS, GAP, NAMES, contact_sheet

COUNT = 200


@pytest.fixture
def arrays(tmp_path):
    """A folder of npy files: 200 and 20 images whose pixels are 10 times their label."""
    for split, count in (("train", COUNT), ("test", 20)):
        labels = np.arange(count) % 10
        images = np.broadcast_to(10 * labels[:, None, None], (count, 28, 28)).astype(np.uint8)
        np.save(tmp_path / f"{split}_images.npy", images)
        np.save(tmp_path / f"{split}_labels.npy", labels)
    return tmp_path


def records(path, damage=()):
    """Write 200 TFRecords, of which some have a bit flipped."""
    labels = np.arange(COUNT) % 10
    images = np.zeros((COUNT, 28, 28, 1), np.uint8)
    rows = np.array(frame(encode_examples(images, labels)))
    for number in damage:
        rows[number, 100] ^= 1
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(rows.tobytes())
    return rows.shape[1]


def test_the_facts_of_both_splits_are_those_of_the_data(arrays):
    train, test = (facts for facts, _ in inspect_splits([str(arrays)]))
    assert (train.split, train.kind, train.examples) == ("train", "npy", COUNT)
    assert (train.shape, train.dtype, train.found_range) == ((28, 28, 1), "uint8", (0, 90))
    assert train.label_counts == (20,) * 10
    assert (test.split, test.examples, test.damaged) == ("test", 20, 0)


def test_data_without_names_of_splits_is_one_split(tmp_path):
    records(tmp_path / "digits.tfrecord")
    (facts,) = (facts for facts, _ in inspect_splits([str(tmp_path)]))
    assert (facts.split, facts.examples) == ("all", COUNT)


def test_each_damaged_record_is_named_with_file_and_offset(tmp_path):
    path = tmp_path / "digits.tfrecord"
    length = records(path, damage=(3, 4, 150))
    (facts,) = (facts for facts, _ in inspect_splits([str(path)]))
    assert (facts.examples, facts.damaged) == (COUNT - 3, 3)
    for line, number in zip(facts.damage, (3, 4, 150), strict=True):
        assert line.startswith(f"{path}: record {number} at offset {number * length}: ")


def test_a_record_that_is_sound_but_no_example_is_named(tmp_path):
    path = tmp_path / "digits.tfrecord"
    length = records(path)
    other = np.full((1, length - 16), 255, np.uint8)
    body = path.read_bytes()
    path.write_bytes(body[: 7 * length] + frame(other).tobytes() + body[8 * length :])
    (facts,) = (facts for facts, _ in inspect_splits([str(path)]))
    assert (facts.examples, facts.damaged) == (COUNT - 1, 1)
    assert facts.damage[0].startswith(f"{path}: record 7")


def test_what_is_no_data_is_one_line(tmp_path):
    with pytest.raises(DataError, match=r"PATH .*: is empty"):
        list(inspect_anywhere([str(tmp_path)]))


def test_the_contact_sheet_has_a_row_a_class(arrays):
    (_, tables), *_ = inspect_splits([str(arrays)])
    sheet = Image.open(io.BytesIO(contact_sheet(tables)))
    assert sheet.size == (NAMES + COLUMNS * (CELL + GAP) + GAP, 10 * (CELL + GAP) + GAP)
    for row in range(10):
        for column in range(COLUMNS):
            x, y = (
                NAMES + column * (CELL + GAP) + CELL // 2,
                GAP + row * (CELL + GAP) + CELL // 2,
            )
            assert sheet.getpixel((x, y)) == (10 * row,) * 3


def test_the_command_prints_facts_or_json_and_ends_with_1_if_a_record_is_damaged(
    arrays, tmp_path, capsys
):
    sheet = tmp_path / "new/sheet.png"
    assert main(["data", "inspect", str(arrays), "--contact-sheet", str(sheet)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == f"train: {COUNT} examples, npy"
    assert "  labels: 10 classes (0: 20, 1: 20, 2: 20" in printed[3]
    assert sheet.read_bytes().startswith(b"\x89PNG")
    records(tmp_path / "bad/digits.tfrecord", damage=(0,))
    assert main(["data", "inspect", str(tmp_path / "bad"), "--json"]) == 1
    (split,) = json.loads(capsys.readouterr().out)["splits"]
    assert (split["examples"], split["damaged"]) == (COUNT - 1, 1)
