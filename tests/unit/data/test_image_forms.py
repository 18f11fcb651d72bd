"""Streams and pipelines of images of any shape, type and number of classes."""

import itertools

import numpy as np
import pytest

from trainer.config.errors import DataError
from trainer.data.formats.table import PIECE_BYTES, READ_BYTES, ImageSpec, Table
from trainer.data.host_share import HostShare, SharedStream
from trainer.data.shard import Shard
from trainer.data.stream import Stream

FORMS = {
    "grey": ImageSpec(),
    "colour": ImageSpec((32, 32, 3)),
    "deep": ImageSpec((9, 5, 1), "uint16", 0, 65535),
    "floats": ImageSpec((6, 7, 3), "float32", -1, 1),
    "unit": ImageSpec((6, 7, 3), "float32", 0, 1),
}
every_form = pytest.mark.parametrize("spec", FORMS.values(), ids=FORMS)
STREAMED = {"cache_mb": 0, "piece_examples": 128}


class Drawn(Table):
    """A table in memory."""

    kind = "drawn"

    def __init__(self, spec, labels, name="drawn"):
        self.name, self.damage, self.spec = name, [], spec
        rng = np.random.default_rng(0)
        shares = rng.random((len(labels), *spec.shape))
        shares[0].flat[:2] = 0, 1
        self.pixels = (spec.low + shares * (spec.high - spec.low)).astype(spec.dtype)
        self.labels = np.asarray(labels, np.int32)

    def __len__(self):
        return len(self.labels)

    def read(self, start, stop):
        return self.pixels[start:stop], self.labels[start:stop]


class Large(Table):
    """A table of large images that says how many of them are read at a time."""

    kind = "large"

    def __init__(self, count, spec):
        self.name, self.damage, self.spec, self.most = "large", [], spec, 0
        self._count = count

    def __len__(self):
        return self._count

    def read(self, start, stop):
        self.most = max(self.most, stop - start)
        images = np.zeros((stop - start, *self.spec.shape), self.spec.dtype)
        return images, np.zeros(stop - start, np.int32)


@every_form
@pytest.mark.parametrize("shared", [False, True])
def test_a_streamed_pass_is_one_in_memory(spec, shared):
    table = Drawn(spec, np.arange(500) * 131 % 30_000)

    def epoch(**options):
        stream = Stream([table], batch_size=50, training=not shared, piece_examples=500, **options)
        if shared:
            stream = Stream([table], batch_size=1, training=True, piece_examples=500, **options)
            stream = SharedStream(stream, HostShare(batch=50, own=500, total=500), Shard())
        chunks = itertools.islice(stream.chunks(), 10)
        found = [rows for chunk in chunks for rows in zip(*chunk, strict=True)]
        return [np.concatenate(part) for part in zip(*found[:10], strict=True)]

    for cached, streamed in zip(epoch(cache_mb=100), epoch(cache_mb=0), strict=True):
        assert cached.dtype == streamed.dtype
        np.testing.assert_array_equal(cached, streamed)
    images, labels, *_ = epoch(cache_mb=0)
    assert (images.dtype, labels.dtype) == (spec.dtype, np.int32)
    order = np.argsort(labels, kind="stable")
    np.testing.assert_array_equal(images[order], table.pixels[np.argsort(table.labels)])


@pytest.mark.tensorflow
@every_form
@pytest.mark.parametrize("options", [{"cache_mb": 10}, STREAMED], ids=["cached", "streamed"])
def test_pixels_come_as_floats_from_0_to_1(spec, options):
    from trainer.data.pipeline import make_dataset

    table = Drawn(spec, np.arange(300) * 200)
    made = make_dataset(Stream([table], batch_size=64, training=False, **options))
    images, labels = (np.concatenate(part) for part in zip(*made.as_numpy_iterator(), strict=True))
    assert (images.dtype, labels.dtype) == (np.float32, np.int32)
    assert (images.min(), images.max()) == (0, 1)
    wanted = (table.pixels.astype(np.float64) - spec.low) / (spec.high - spec.low)
    np.testing.assert_allclose(images, wanted, atol=1e-6)
    np.testing.assert_array_equal(labels, table.labels)


@pytest.mark.tensorflow
@pytest.mark.parametrize("options", [{"cache_mb": 10}, STREAMED], ids=["cached", "streamed"])
def test_a_feed_hands_over_what_the_data_set_gives(options):
    from trainer.data.pipeline import make_dataset

    spec = FORMS["floats"]
    stream = Stream([Drawn(spec, np.arange(300))], batch_size=32, training=True, **options)
    made = make_dataset(stream)
    taken = made.feed.take(7)
    for step, (images, labels) in enumerate(itertools.islice(made.as_numpy_iterator(), 7)):
        found = made.feed.batch(*(part[step] for part in taken))
        np.testing.assert_array_equal(found[0], images)
        np.testing.assert_array_equal(found[1], labels)


def test_large_images_are_read_few_at_a_time_and_small_ones_as_before():
    grey, large = ImageSpec(), ImageSpec((512, 512, 3))
    assert grey.records(16_384, limit=PIECE_BYTES) == 16_384
    assert grey.records(4_096) == 4_096
    assert large.records(4_096) * large.size <= READ_BYTES
    table = Large(2_000, large)
    stream = Stream([table], batch_size=16, training=True, cache_mb=0)
    images, _ = next(iter(stream.chunks()))
    assert images.nbytes <= READ_BYTES
    assert table.most * large.size <= READ_BYTES


def test_batches_of_large_images_are_evaluated_in_smaller_ones():
    table = Large(100, ImageSpec((512, 512, 3)))
    stream = Stream([table], batch_size=1000, training=False, cache_mb=0)
    sizes = [len(labels) for chunk in stream.chunks() for labels in chunk[1]]
    assert sum(sizes) == 100
    assert max(sizes) * table.spec.size <= 8 << 20
    small = Stream([Drawn(ImageSpec(), range(3000))], batch_size=1000, training=False)
    assert [len(labels) for chunk in small.chunks() for labels in chunk[1]] == [1000] * 3


def test_what_is_kept_in_memory_goes_by_the_size_of_the_images():
    spec = ImageSpec((64, 64, 3), "float32", 0, 1)
    table = Drawn(spec, range(200))
    size = 200 * spec.size / 2**20
    for share, is_kept in ((1.001, True), (0.999, False)):
        stream = Stream([table], batch_size=8, training=True, cache_mb=size * share)
        assert (stream.memory is not None) == is_kept


def test_tables_of_other_sizes_are_refused_with_the_names_of_both():
    tables = [Drawn(ImageSpec((32, 32, 3)), [0], "a"), Drawn(ImageSpec((16, 16, 3)), [1], "b")]
    with pytest.raises(DataError, match=r"^b: images are 16×16×3, those of a 32×32×3; .*--image-s"):
        Stream(tables, batch_size=1, training=True)
    tables = [Drawn(ImageSpec((4, 4, 1)), [0], "a"), Drawn(FORMS["deep"], [1], "b")]
    tables[1].spec = ImageSpec((4, 4, 1), "uint16", 0, 65535)
    with pytest.raises(DataError, match=r"^b: images are 4×4×1 of uint16 0 to 65535, those of a "):
        Stream(tables, batch_size=1, training=True)


@pytest.mark.parametrize("options", [{"cache_mb": 10}, STREAMED], ids=["cached", "streamed"])
def test_the_largest_label_is_that_of_the_data_unless_the_number_of_classes_is_known(options):
    tables = [Drawn(ImageSpec(), [3, 700]), Drawn(ImageSpec(), [5] * 70)]
    stream = {"batch_size": 1, "training": True, **options}
    assert Stream(tables, **stream).largest_label() == 700
    assert Stream(tables, classes=1000, **stream).largest_label() == 999
    tables[0].class_names = tuple(map(str, range(800)))
    assert Stream(tables, **stream).largest_label() == 799


def test_processes_divide_the_counting_of_streamed_labels():
    tables = [Drawn(ImageSpec(), [label, 1]) for label in (3, 9, 4)]
    found = [
        Stream(tables, batch_size=1, training=True, shard=Shard(i, 2, "record"), **STREAMED)
        for i in range(2)
    ]
    assert [stream.largest_label() for stream in found] == [4, 9]


@pytest.mark.parametrize("options", [{"cache_mb": 10}, STREAMED], ids=["cached", "streamed"])
def test_a_label_beyond_the_known_classes_is_named_with_its_record(options):
    table = Drawn(ImageSpec(), [0] * 70 + [26] + [1] * 9, "letters")
    expected = r"^letters: record 70: label 26 is out of range, expected 0 to 25$"
    with pytest.raises(DataError, match=expected):
        list(Stream([table], batch_size=8, training=False, classes=26, **options).chunks())
