import itertools
from collections import Counter

import numpy as np
import pytest

from trainer.data.formats.table import IMAGE_SHAPE, Table
from trainer.data.host_share import HostShare, SharedStream
from trainer.data.shard import Shard
from trainer.data.stream import Stream


class Numbered(Table):
    """A table whose images say which example of which host they are."""

    kind = "tfrecord"

    def __init__(self, first: int, count: int) -> None:
        self.name, self.damage = f"host-{first}", []
        self._first, self._count = first, count

    def __len__(self) -> int:
        return self._count

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        numbers = np.arange(start, stop) + self._first
        images = np.zeros((stop - start, *IMAGE_SHAPE), np.uint8)
        images[:, 0, 0, 0], images[:, 0, 1, 0] = numbers % 256, numbers // 256
        return images, (numbers % 10).astype(np.int32)


def streams(
    counts: list[int], *, batch: int, processes: int = 1, cache_mb: float = 1024, multiple: int = 1
) -> list[list[SharedStream]]:
    """Return the streams of each process of each host."""
    first, found = 0, []
    for count in counts:
        share = HostShare(batch=batch, own=count, total=sum(counts), multiple=multiple)
        found.append(
            [
                SharedStream(
                    Stream(
                        [Numbered(first, count)],
                        batch_size=1,
                        training=True,
                        cache_mb=cache_mb,
                        piece_examples=64,
                        seed=3,
                    ),
                    share,
                    Shard(i, processes, by="record"),
                )
                for i in range(processes)
            ]
        )
        first += count
    return found


def steps_of(stream: SharedStream, count: int, *, first: int = 0) -> list[list[int]]:
    """Return the examples of each step, as all hosts number them."""
    found: list[list[int]] = []
    for images, labels, weights in stream.chunks(first):
        assert images.shape[1] == labels.shape[1] == weights.shape[1] == stream.batch_size
        numbers = images[..., 0, 0, 0] + 256 * images[..., 0, 1, 0].astype(int)
        for row, label, weight in zip(numbers, labels, weights, strict=True):
            assert (label == row % 10).all()
            found.append(row[weight > 0].tolist())
            if len(found) == count:
                return found
    raise AssertionError("training data ended")


@pytest.mark.parametrize("counts", [[150, 150], [200, 100], [1, 299], [70, 111, 119], [300]])
@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("cache_mb", [1024, 0])
def test_each_example_is_seen_once_in_each_epoch(counts, processes, cache_mb):
    made = streams(counts, batch=50, processes=processes, cache_mb=cache_mb)
    taken = [[steps_of(stream, 18) for stream in host] for host in made]
    for epoch in range(3):
        seen = Counter(
            number
            for host in taken
            for steps in host
            for step in steps[6 * epoch : 6 * epoch + 6]
            for number in step
        )
        assert seen == Counter(range(300))


@pytest.mark.parametrize("counts", [[200, 100], [1, 299], [70, 111, 119]])
def test_every_step_has_about_the_whole_batch(counts):
    made = streams(counts, batch=50)
    for step in zip(*(steps_of(stream, 12) for host in made for stream in host), strict=True):
        assert abs(sum(map(len, step)) - 50) <= len(counts)


def test_reading_goes_on_from_any_step():
    for cache_mb in (1024, 0):
        ((stream,), _) = streams([200, 100], batch=50, cache_mb=cache_mb)
        whole = steps_of(stream, 12)
        for first in (1, 5, 7):
            assert steps_of(stream, 12 - first, first=first) == whole[first:]


def test_memory_and_files_give_the_same_numbers_of_examples():
    ((memory,), _), ((files,), _) = (
        streams([200, 100], batch=50, cache_mb=size) for size in (1024, 0)
    )
    assert [len(s) for s in steps_of(memory, 12)] == [len(s) for s in steps_of(files, 12)]


def test_epochs_are_shuffled_differently():
    ((stream,), _) = streams([200, 100], batch=50)
    taken = steps_of(stream, 12)
    first, second = (list(itertools.chain(*epoch)) for epoch in (taken[:6], taken[6:]))
    assert first != second
    assert first != sorted(first)


@pytest.mark.parametrize(("multiple", "width"), [(1, 34), (2, 34), (4, 36)])
def test_the_width_divides_among_replicas(multiple, width):
    ((stream,), _) = streams([200, 100], batch=50, multiple=multiple)
    assert stream.batch_size == width


def test_the_origin_of_a_batch_names_its_records():
    ((stream,), _) = streams([200, 100], batch=6)
    numbers = sorted(steps_of(stream, 1)[0])
    assert stream.origin(0) == f"host-0 (records {', '.join(map(str, numbers))})"
