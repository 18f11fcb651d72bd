"""Columns of CSV and Parquet files as batches for a module."""

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from trainer.config.errors import DataError

pytestmark = pytest.mark.tensorflow

COUNT = 300


@pytest.fixture(scope="module")
def houses(tmp_path_factory):
    """A folder of three Parquet files of 100 houses each, and the same in one CSV file."""
    folder = tmp_path_factory.mktemp("houses")
    rng = np.random.default_rng(0)
    table = pa.table(
        {
            "number": np.arange(COUNT),
            "area": rng.uniform(30, 200, COUNT),
            "city": rng.choice(["Bern", "Genève"], COUNT),
            "is_new": rng.integers(0, 2, COUNT).astype(bool),
            "place": pa.array(rng.normal(size=(COUNT, 2)).tolist()),
            "price": rng.uniform(1, 9, COUNT),
        }
    )
    (folder / "parquet").mkdir()
    for part in range(3):
        rows = table.slice(part * 100, 100)
        parquet.write_table(rows, folder / "parquet" / f"part-{part}.parquet")
    from pyarrow import csv

    csv.write_csv(table.drop_columns(["place"]), folder / "houses.csv")
    return folder


def load(path, mode="test", batch_size=64, *args, **options):
    from trainer.data import load_columns

    return load_columns(path, mode, batch_size, *args, **{"label": "price", **options})


def column(data, name, batches=None):
    values = [features[name].numpy() for features, _ in data.take(batches or -1)]
    return np.concatenate(values)


def test_each_column_is_a_feature_under_its_name(houses):
    data = load(houses / "parquet")
    features, labels = next(iter(data))
    assert {name: (value.dtype.name, value.shape) for name, value in features.items()} == {
        "number": ("int64", (64,)),
        "area": ("float32", (64,)),
        "city": ("string", (64,)),
        "is_new": ("int64", (64,)),
        "place": ("float32", (64, 2)),
    }
    assert (labels.dtype.name, data.examples) == ("float32", COUNT)
    assert set(features["city"].numpy()) == {b"Bern", "Genève".encode()}
    np.testing.assert_array_equal(column(data, "number"), np.arange(COUNT))


def test_csv_gives_the_same_as_parquet(houses):
    columns = ["number", "area", "city"]
    of_csv, of_parquet = (
        list(load(path, columns=columns)) for path in (houses / "houses.csv", houses / "parquet")
    )
    for (features, labels), (other, others) in zip(of_csv, of_parquet, strict=True):
        assert features.keys() == set(columns)
        for name in columns:
            assert features[name].dtype == other[name].dtype
            assert (features[name] == other[name]).numpy().all()
        np.testing.assert_allclose(labels, others)


def test_an_epoch_of_training_has_each_example_once_in_an_order_of_the_seed(houses):
    first, again, other = (
        column(load(houses / "parquet", "train", 50, seed=seed), "number", 12) for seed in (1, 1, 2)
    )
    for epoch in (first[:COUNT], first[COUNT:]):
        assert sorted(epoch) == list(range(COUNT))
    assert (first[:COUNT] != first[COUNT:]).any()
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_processes_share_out_the_examples_of_each_batch(houses):
    from trainer.data import Shard

    one = column(load(houses / "parquet", "train", 60, seed=3), "number", 5)
    shards = [Shard(index, 2, by="record") for index in range(2)]
    two = [column(load(houses / "parquet", "train", 30, s, seed=3), "number", 5) for s in shards]
    both = np.concatenate([part.reshape(5, 30) for part in two], axis=1)
    np.testing.assert_array_equal(np.sort(both), np.sort(one.reshape(5, 60)))


def test_a_worker_of_a_parameter_server_reads_its_part_by_a_graph(houses):
    import tensorflow as tf

    from trainer.data import Shard

    parts = [
        column(load(houses / "parquet", "test", 64, Shard(tf.constant(i), 3)), "number")
        for i in range(3)
    ]
    assert sorted(np.concatenate(parts)) == list(range(COUNT))
    data = load(houses / "parquet", "train", 64, Shard(tf.constant(0), 3), seed=tf.constant(5))
    assert len(set(column(data, "number", 1))) == 64


def test_texts_become_the_numbers_of_named_classes(houses):
    data = load(houses / "houses.csv", label="city", classes=["Genève", "Bern"])
    labels = np.concatenate([labels.numpy() for _, labels in data])
    assert labels.dtype == np.int64
    cities = column(load(houses / "houses.csv"), "city")
    np.testing.assert_array_equal(labels, cities == b"Bern")
    with pytest.raises(DataError, match=r"column city: Genève is none of the 1 classes Bern$"):
        load(houses / "houses.csv", label="city", classes=["Bern"])


def error_of(path, **options):
    with pytest.raises(DataError) as caught:
        load(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_column_that_is_not_there_is_reported_with_those_that_are(houses):
    names = "number, area, city, is_new, price"
    path = houses / "houses.csv"
    assert error_of(path, label="cost") == f"{path}: no column cost among {names}"
    assert error_of(path, columns=["size"]) == f"{path}: no column size among {names}"


def test_a_value_that_is_missing_is_reported_with_its_row(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("area,price\n1,2\n,3\n")
    remedy = "fill the gaps, or leave the column out"
    assert error_of(path) == f"{path}: row 3: column area is empty; {remedy}"
    other = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"area": [1.0, None], "price": [1.0, 2.0]}), other)
    assert error_of(other) == f"{other}: record 1: column area is empty; {remedy}"


def test_a_type_that_is_no_feature_is_reported(tmp_path):
    path = tmp_path / "a.parquet"
    times = pa.array([0, 1], pa.timestamp("ms"))
    parquet.write_table(pa.table({"time": times, "price": [1, 2]}), path)
    assert error_of(path) == (
        f"{path}: column time is of timestamp[ms], expected numbers, texts or lists of numbers; "
        "convert it, or leave it out"
    )
    assert next(iter(load(path, columns=[])))[0] == {}


def test_files_that_differ_in_the_form_of_a_column_are_reported(tmp_path):
    for name, values in (("a", [1, 2]), ("b", [0.5, 1.5]), ("c", ["x", "y"])):
        table = pa.table({"area": values, "price": [1, 2]})
        parquet.write_table(table, tmp_path / f"{name}.parquet")
    mixed = load([tmp_path / "a.parquet", tmp_path / "b.parquet"])
    assert column(mixed, "area").tolist() == [1, 2, 0.5, 1.5]
    assert error_of(tmp_path).startswith("column area: is of one form in some files and of another")


def test_other_formats_and_empty_tables_are_reported(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.zeros(3))
    assert error_of(path) == f"{path}: is npy, expected CSV or Parquet"
    empty = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"price": pa.array([], pa.float64())}), empty)
    assert error_of(empty) == f"--test: {empty} holds no records"
