"""A format of one's own, added to the table by one line: found, read, counted, refused."""

import gzip
import sys
import types

import numpy as np
import pytest

from trainer.config.errors import DataError
from trainer.data.create import create_dataset
from trainer.data.files import find, open_tables
from trainer.data.folders import scan_path
from trainer.data.formats.format import Estimate, Format
from trainer.data.formats.registry import FORMATS, accepted, format_titles
from trainer.data.formats.table import Table
from trainer.data.stream import Stream

MARK = b"TOY1"
ROW = 1 + 28 * 28


class ToyTable(Table):
    """Rows of a label and 784 pixels behind the mark."""

    kind = "toy"

    def __init__(self, path):
        self.name, self.damage = str(path), []
        body = path.read_bytes()[len(MARK) :]
        if len(body) % ROW:
            raise DataError(subject=path, problem="cut short", remedy="fetch the file again")
        self.rows = np.frombuffer(body, np.uint8).reshape(-1, ROW)

    def __len__(self):
        return len(self.rows)

    def read(self, start, stop):
        rows = self.rows[start:stop]
        return rows[:, 1:].reshape(-1, 28, 28, 1), rows[:, 0]


class ToyFormat(Format):
    name = "toy"
    title = "toy"
    suffixes = (".avro",)

    def matches(self, head):
        return head.startswith(MARK)

    def open(self, path, labels, options):
        return ToyTable(path)


@pytest.fixture
def toy(monkeypatch):
    """The table of formats with one line more, which names a module of its own."""
    module = types.ModuleType("trainer.data.formats.toy")
    module.FORMAT = ToyFormat()
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(FORMATS._entries, "toy", "toy:FORMAT")
    return module


def write(path, count, seed=0):
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 256, (count, ROW), np.uint8)
    rows[:, 0] = rng.integers(0, 10, count)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(MARK + rows.tobytes())
    return rows


def test_each_format_is_listed_under_its_own_name():
    assert {name: form.name for name, form in FORMATS.items()} == {n: n for n in FORMATS}


def test_messages_list_the_formats_of_the_table(toy, tmp_path):
    titles = [form.title for form in FORMATS.values()]
    assert titles[:2] + titles[-1:] == ["TFRecord", "IDX", "toy"]
    assert format_titles() == f"{', '.join(titles[:-1])} or toy"
    assert accepted().startswith("TFRecord (gzipped or not), IDX (gzipped or not), npy")
    assert accepted().endswith(" or toy")
    (tmp_path / "data").write_bytes(b"nothing of the kind")
    with pytest.raises(DataError, match=r"is neither TFRecord .* or toy: it begins with"):
        open_tables([str(tmp_path)], split="train")
    (tmp_path / "data").write_bytes(gzip.compress(MARK + bytes(ROW)))
    with pytest.raises(DataError, match="gzipped toy files are not read"):
        open_tables([str(tmp_path)], split="train")


def test_a_new_format_is_read_batch_by_batch(toy, tmp_path):
    rows = write(tmp_path / "train" / "a.toy", 70)
    write(tmp_path / "test" / "b.toy", 9)
    [table] = open_tables([str(tmp_path)], split="train")
    stream = Stream([table], batch_size=35, training=False)
    images, labels = map(np.concatenate, zip(*stream.chunks(), strict=True))
    np.testing.assert_array_equal(labels.ravel(), rows[:, 0])
    np.testing.assert_array_equal(images.reshape(70, -1), rows[:, 1:])
    assert stream.kind == "toy"


def test_a_new_format_becomes_tfrecords(toy, tmp_path):
    rows = write(tmp_path / "in" / "train" / "a.toy", 70)
    write(tmp_path / "in" / "test" / "b.toy", 9)
    create_dataset(source=str(tmp_path / "in"), out=tmp_path / "out", shards=2)
    tables = open_tables([str(tmp_path / "out")], split="train")
    labels = np.concatenate([table.read(0, len(table))[1] for table in tables])
    np.testing.assert_array_equal(labels, rows[:, 0])


def test_a_suffix_that_a_format_claims_is_not_passed_over_in_folders(tmp_path, request):
    write(tmp_path / "train.avro", 3)
    write(tmp_path / "._train.avro", 3)
    assert scan_path(tmp_path).files == []
    request.getfixturevalue("toy")
    assert scan_path(tmp_path).files == [tmp_path / "train.avro"]


def test_a_file_known_by_its_suffix_alone_is_opened_so_that_its_damage_is_named(toy, tmp_path):
    (tmp_path / "train.avro").write_bytes(b"neither mark nor rows")
    with pytest.raises(DataError, match=r"train\.avro: cut short; fetch the file again"):
        open_tables([str(tmp_path)], split="train")


def test_a_format_is_not_mixed_with_another(toy, tmp_path):
    write(tmp_path / "train" / "a", 3)
    np.save(tmp_path / "train" / "images.npy", np.zeros((3, 28, 28), np.uint8))
    with pytest.raises(DataError, match=r"npy and toy files are mixed: images.npy \(npy images\)"):
        open_tables([str(tmp_path)], split="train")


def test_a_format_need_not_know_a_number_of_examples_without_reading(toy, tmp_path):
    write(tmp_path / "a", 3)
    assert find([str(tmp_path)], split="train").estimate(sample_bytes=100) is None
    toy.FORMAT.estimate = lambda files, *, sample_bytes: Estimate(len(files), exact=False)
    found = find([str(tmp_path)], split="train").estimate(sample_bytes=100)
    assert found == Estimate(1, exact=False)


@pytest.mark.tensorflow
def test_no_graph_reads_a_format_that_does_not_say_how(toy, tmp_path):
    from trainer.data.graph.dataset import graph_dataset

    write(tmp_path / "a.toy", 70)
    tables = open_tables([str(tmp_path)], split="train")
    with pytest.raises(DataError) as caught:
        graph_dataset(tables, batch_size=10, training=True)
    assert str(caught.value) == (
        f"{tmp_path}/a.toy: toy data cannot be read by the workers of a parameter server, as "
        "TensorFlow has no operation for it; write it as TFRecord: trainer data create"
    )
