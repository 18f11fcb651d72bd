"""Batches from tables: all of the data, in an order that any position can be taken up in."""

import itertools
import os
import re
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from trainer.config.errors import DataError
from trainer.data.files import open_tables
from trainer.data.formats.example import encode_examples
from trainer.data.formats.framing import frame
from trainer.data.formats.record_table import TFRecordTable
from trainer.data.formats.table import BLOCK_RECORDS, Table
from trainer.data.shard import Shard
from trainer.data.stream import CHUNK_EXAMPLES, Stream

quick = settings(deadline=None, max_examples=40)

sizes = st.lists(st.integers(0, 3 * BLOCK_RECORDS), min_size=1, max_size=6).filter(sum)
batch_sizes = st.integers(1, 2 * BLOCK_RECORDS)
seeds = st.integers(0, 2**31 - 1)
# In memory, and streamed in pieces of several sizes.
caching = st.sampled_from(
    [{"cache_mb": 1}, *({"cache_mb": 0, "piece_examples": n} for n in (1, 150, 10_000))]
)


class Numbered(Table):
    """A table whose images carry their number in all of the data, and can be asked for it."""

    kind = "numbered"

    def __init__(self, first, count, labels=None):
        self.name = f"from {first}"
        self.damage = []
        self._numbers = np.arange(first, first + count)
        self._labels = (self._numbers if labels is None else labels) % 10

    def __len__(self):
        return self._numbers.size

    def read(self, start, stop):
        assert start % BLOCK_RECORDS == 0
        assert stop % BLOCK_RECORDS == 0 or stop == len(self)
        images = np.zeros((stop - start, 784), np.uint8)
        numbers = self._numbers[start:stop].astype("<u4")
        images[:, 300:304] = numbers[:, None].view(np.uint8)
        return images.reshape(-1, 28, 28, 1), self._labels[start:stop].astype(np.int32)


def numbered(sizes):
    firsts = itertools.accumulate(sizes[:-1], initial=0)
    return [Numbered(first, size) for first, size in zip(firsts, sizes, strict=True)]


def numbers(images):
    """Which examples the images of a batch are."""
    flat = np.ascontiguousarray(images.reshape(-1, 784)[:, 300:304])
    return flat.view("<u4")[:, 0].tolist()


def batches(stream, step=0, count=None):
    """Batches as lists of the numbers of their examples, whose labels are checked."""
    found = []
    for images, labels in stream.chunks(step):
        assert images.shape == (*labels.shape, 28, 28, 1)
        assert (images.dtype, labels.dtype) == (np.uint8, np.int32)
        for batch, classes in zip(images, labels, strict=True):
            found.append(numbers(batch))
            assert [n % 10 for n in found[-1]] == classes.tolist()
        if count is not None and len(found) >= count:
            return found[:count]
    return found


def epoch_of(stream):
    """All batches that begin in the first epoch."""
    return batches(stream, count=-(-stream.size // stream.batch_size))


@quick
@given(sizes=sizes, batch=batch_sizes, seed=seeds, options=caching)
def test_in_training_each_example_comes_once_an_epoch_in_full_batches(sizes, batch, seed, options):
    stream = Stream(numbered(sizes), batch_size=batch, training=True, seed=seed, **options)
    assert stream.size == sum(sizes)
    epochs = 3
    found = batches(stream, count=-(-epochs * stream.size // batch))
    assert {len(b) for b in found} == {batch}
    seen = list(itertools.chain(*found))
    for start in range(0, epochs * stream.size, stream.size):
        assert sorted(seen[start : start + stream.size]) == list(range(stream.size))


@quick
@given(sizes=sizes, batch=batch_sizes, options=caching)
def test_in_evaluation_one_pass_in_order_ends_with_a_smaller_batch(sizes, batch, options):
    found = batches(Stream(numbered(sizes), batch_size=batch, training=False, **options))
    assert list(itertools.chain(*found)) == list(range(sum(sizes)))
    assert all(len(b) == batch for b in found[:-1])
    assert 0 < len(found[-1]) <= batch


@quick
@given(
    sizes=sizes,
    batch=batch_sizes,
    seed=seeds,
    options=caching,
    step=st.integers(0, 300),
    shard=st.tuples(st.integers(1, 4), st.sampled_from(["file", "record", "auto"])),
)
def test_from_any_step_on_the_batches_are_those_of_a_run_from_the_start(
    sizes, batch, seed, options, step, shard
):
    count, by = shard
    step %= 4 + 4 * sum(sizes) // batch
    for index in range(count):
        try:
            stream = Stream(
                numbered(sizes),
                batch_size=batch,
                training=True,
                seed=seed,
                shard=Shard(index, count, by),
                **options,
            )
        except DataError:
            continue
        whole = batches(stream, count=step + 3)
        assert batches(stream, step, count=3) == whole[step:]


@quick
@given(sizes=sizes, batch=batch_sizes, step=st.integers(0, 20), options=caching)
def test_a_step_of_the_distant_future_is_reached_at_once(sizes, batch, step, options):
    stream = Stream(numbered(sizes), batch_size=batch, training=True, **options)
    late = 10**6 + step
    assert batches(stream, late, count=3)[1:] == batches(stream, late + 1, count=2)


def orders(**options):
    options = {"batch_size": 32, "training": True} | options
    return epoch_of(Stream(numbered([300, 400]), **options))


@pytest.mark.parametrize("options", [{"cache_mb": 1}, {"cache_mb": 0, "piece_examples": 200}])
def test_the_same_seed_gives_the_same_batches_and_another_seed_others(options):
    assert orders(seed=3, **options) == orders(seed=3, **options)
    assert orders(seed=3, **options) != orders(seed=4, **options)


@pytest.mark.parametrize("options", [{"cache_mb": 1}, {"cache_mb": 0, "piece_examples": 200}])
def test_each_epoch_has_an_order_of_its_own(options):
    stream = Stream(numbered([640]), batch_size=64, training=True, **options)
    found = batches(stream, count=30)
    assert found[:10] != found[10:20] != found[20:]


def test_data_that_fits_in_one_piece_comes_in_the_same_order_cached_or_streamed():
    assert orders(cache_mb=1) == orders(cache_mb=0)


def test_the_memory_allowed_decides_whether_data_is_cached():
    size = 784 * 5000 / 2**20
    tables = numbered([5000])
    fits = Stream(tables, batch_size=1, training=True, cache_mb=size * 1.001)
    streamed = Stream(tables, batch_size=1, training=True, cache_mb=size * 0.999)
    assert numbers(fits.memory[0]) == list(range(5000))
    assert streamed.memory is None


@quick
@given(sizes=sizes, batch=batch_sizes, training=st.booleans())
def test_indices_are_those_of_the_examples_in_memory(sizes, batch, training):
    stream = Stream(numbered(sizes), batch_size=batch, training=training)
    ids, chunks = stream.indices(), stream.chunks()
    for found, (images, _) in itertools.islice(zip(ids, chunks, strict=True), 5):
        assert found.ravel().tolist() == numbers(images)


def test_several_batches_are_handed_over_at_a_time():
    stream = Stream(numbered([20_000]), batch_size=128, training=True, cache_mb=0)
    shapes = [labels.shape for _, labels in itertools.islice(stream.chunks(), 8)]
    assert max(rows * columns for rows, columns in shapes) == CHUNK_EXAMPLES
    assert sum(rows * columns for rows, columns in shapes) > 4 * CHUNK_EXAMPLES


def test_a_batch_may_be_larger_than_the_data():
    for options in ({"cache_mb": 1}, {"cache_mb": 0, "piece_examples": 1}):
        stream = Stream(numbered([3, 4]), batch_size=20, training=True, **options)
        for batch in batches(stream, count=5):
            assert len(batch) == 20
            assert max(map(batch.count, range(7))) <= 4


# Shards.


@quick
@given(sizes=sizes, batch=st.integers(1, 40), seed=seeds, options=caching, count=st.integers(1, 4))
def test_by_record_the_shards_slices_make_up_the_batches_of_one_process(
    sizes, batch, seed, options, count
):
    make = {"training": True, "seed": seed, **options}
    whole = batches(Stream(numbered(sizes), batch_size=batch * count, **make), count=7)
    parts = [
        batches(
            Stream(numbered(sizes), batch_size=batch, shard=Shard(index, count, "record"), **make),
            count=7,
        )
        for index in range(count)
    ]
    assert [list(itertools.chain(*slices)) for slices in zip(*parts, strict=True)] == whole


@quick
@given(
    sizes=st.lists(st.integers(1, 3 * BLOCK_RECORDS), min_size=1, max_size=6),
    batch=batch_sizes,
    options=caching,
    count=st.integers(1, 4),
    by=st.sampled_from(["file", "record", "auto"]),
)
def test_in_evaluation_the_shards_together_see_each_example_once(sizes, batch, options, count, by):
    seen = []
    for index in range(count):
        shard = Shard(index, count, by)
        stream = Stream(numbered(sizes), batch_size=batch, training=False, shard=shard, **options)
        seen += itertools.chain(*batches(stream))
    assert sorted(seen) == list(range(sum(sizes)))


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("options", [{"cache_mb": 1}, {"cache_mb": 0, "piece_examples": 100}])
def test_by_file_each_process_reads_files_of_its_own(count, options):
    files = [100, 50, 70, 10, 128]
    seen = []
    for index in range(count):
        stream = Stream(
            numbered(files),
            batch_size=10,
            training=True,
            shard=Shard(index, count, "file"),
            **options,
        )
        assert list(map(len, stream.tables)) == files[index::count]
        assert stream.size == sum(files[index::count])
        found = list(itertools.chain(*epoch_of(stream)))[: stream.size]
        assert len(set(found)) == stream.size
        seen += found
    assert sorted(seen) == list(range(sum(files)))


@pytest.mark.parametrize(
    ("files", "count", "by", "alone"),
    [(4, 2, "auto", True), (5, 2, "auto", False), (1, 2, "file", False), (4, 2, "record", False)],
)
def test_which_way_data_is_shared_out(files, count, by, alone):
    stream = Stream(numbered([10] * files), batch_size=1, training=True, shard=Shard(1, count, by))
    assert len(stream.tables) == (files // count if alone else files)


def test_a_process_without_any_record_is_reported():
    with pytest.raises(DataError, match=r"^from 10: no records for process 1 of 2$"):
        Stream(numbered([10, 0]), batch_size=1, training=True, shard=Shard(1, 2, "file"))


# What a batch came from.


@quick
@given(
    sizes=sizes,
    batch=st.integers(1, 8),
    options=caching,
    step=st.integers(0, 500),
    count=st.integers(1, 3),
)
def test_the_origin_of_a_batch_names_exactly_its_files_and_records(
    sizes, batch, options, step, count
):
    tables = numbered(sizes)
    shard = Shard(count - 1, count, "record")
    stream = Stream(tables, batch_size=batch, training=True, shard=shard, **options)
    [held] = batches(stream, step, count=1)
    named = []
    for part in stream.origin(step).split("; "):
        first, records = re.fullmatch(r"from (\d+) \(records ([\d, ]+)\)", part).groups()
        named += [int(first) + int(number) for number in records.split(", ")]
    assert named == sorted(held)


def test_the_origin_of_a_large_batch_names_some_records_of_each_file():
    stream = Stream(numbered([100, 5]), batch_size=105, training=True)
    assert stream.origin(0) == (
        "from 0 (records 0, 1, 2, 3, 4, 5, 6, 7, …); from 100 (records 0, 1, 2, 3, 4)"
    )


# Mixing and memory.


def test_data_sorted_by_label_comes_out_mixed_when_streamed():
    labels = np.repeat(np.arange(10), 6000)
    tables = [
        Numbered(first, 15_000, labels[first : first + 15_000])
        for first in range(0, 60_000, 15_000)
    ]
    stream = Stream(tables, batch_size=128, training=True, cache_mb=0)
    seen = 0
    for _, chunk in stream.chunks():
        for batch in chunk:
            counts = np.bincount(batch, minlength=10)
            assert counts.max() < 45
            assert (counts > 0).sum() >= 8
        seen += chunk.size
        if seen >= 60_000:
            break


def test_streamed_memory_does_not_grow_with_the_data(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6000, 28, 28, 1), np.uint8)
    first = tmp_path / "part-0"
    first.write_bytes(frame(encode_examples(images, rng.integers(0, 10, 6000))).tobytes())
    for number in range(1, 8):
        os.link(first, tmp_path / f"part-{number}")

    def peak(files):
        paths = [str(tmp_path / f"part-{number}") for number in range(files)]
        tracemalloc.start()
        try:
            stream = Stream(
                open_tables(paths, split="train"),
                batch_size=128,
                training=True,
                cache_mb=0,
                piece_examples=2048,
            )
            seen = 0
            for _, labels in stream.chunks():
                seen += labels.size
                if seen >= 6000 * files:
                    return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    del images
    peak(1)
    assert peak(8) < 1.15 * peak(1)


# Damage.


def test_damage_met_while_streaming_is_raised_and_the_batches_before_it_are_good(tmp_path):
    raw = bytearray(
        frame(
            encode_examples(np.zeros((3000, 28, 28, 1), np.uint8), np.arange(3000) % 10)
        ).tobytes()
    )
    stride = len(raw) // 3000
    raw[2500 * stride + 200] ^= 1
    path = tmp_path / "x"
    path.write_bytes(raw)
    stream = Stream(
        [TFRecordTable(path)], batch_size=100, training=False, cache_mb=0, piece_examples=640
    )
    good = 0
    with pytest.raises(DataError, match=f"record 2500 at offset {2500 * stride}: data checksum"):
        for _, labels in stream.chunks():
            good += labels.size
    assert 1000 < good < 2500


@pytest.mark.parametrize("cache_mb", [0, 10])
def test_damage_left_out_is_listed_and_a_file_of_nothing_else_does_no_harm(tmp_path, cache_mb):
    labels = np.arange(100) % 10
    raw = bytearray(frame(encode_examples(np.zeros((100, 28, 28, 1), np.uint8), labels)).tobytes())
    raw[30 * len(raw) // 100 + 200] ^= 1
    for name, content in (("a", b"?" * 99), ("b", raw), ("c", b"?" * 99)):
        (tmp_path / f"{name}.tfrecord").write_bytes(content)
    tables = open_tables([str(tmp_path)], split="test", skip_corrupt=3)
    stream = Stream(tables, batch_size=10, training=False, cache_mb=cache_mb)
    assert stream.kind == "tfrecord"
    assert [str(tmp_path / name) in line for name, line in zip("abc", stream.damage, strict=True)]
    found = np.concatenate([classes.ravel() for _, classes in stream.chunks()])
    np.testing.assert_array_equal(found, np.delete(labels, 30))
