"""Training data of which a part is held out: in memory, streamed, and for several processes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from trainer.config import UserError
from trainer.data.formats.table import BLOCK_RECORDS, Table
from trainer.data.shard import Shard
from trainer.data.stream import Stream
from trainer.data.subset import HoldOut

SIZES = (1000, 70, 1, 640)


class Numbered(Table):
    """Images whose first two pixels are their number in all tables; reads only whole blocks."""

    kind = "numbered"

    def __init__(self, first: int, size: int) -> None:
        self.name, self.damage = f"table at {first}", []
        self._first, self._size = first, size
        self.reads: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return self._size

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        assert start % BLOCK_RECORDS == 0
        assert stop % BLOCK_RECORDS == 0 or stop == self._size
        self.reads.append((start, stop))
        numbers = np.arange(start, stop) + self._first
        images = np.zeros((numbers.size, 28, 28, 1), np.uint8)
        images[:, 0, 0, 0], images[:, 0, 1, 0] = numbers % 256, numbers // 256
        # Rare classes: label 9 has one example in a hundred.
        return images, np.where(numbers % 100 == 0, 9, numbers % 9).astype(np.int32)


def tables(sizes: tuple[int, ...] = SIZES) -> list[Table]:
    firsts = [0, *itertools.accumulate(sizes)]
    return [Numbered(first, size) for first, size in zip(firsts, sizes, strict=False)]


def numbers(images: np.ndarray) -> np.ndarray:
    flat = images.reshape(-1, 28, 28)
    return flat[:, 0, 0] + 256 * flat[:, 0, 1].astype(np.int64)


def all_of(found: list[Table]) -> np.ndarray:
    return np.concatenate([numbers(table.read(0, len(table))[0]) for table in found])


HOLD = HoldOut(share=0.1, seed=3)


def test_each_class_gives_the_same_share_and_every_example_is_on_one_side():
    taken, rest = all_of(HOLD.taken(tables())), all_of(HOLD.rest(tables()))
    assert sorted([*taken, *rest]) == list(range(sum(SIZES)))
    labels = np.concatenate([table.all_labels() for table in tables()])
    whole, held = np.bincount(labels), np.bincount(labels[np.sort(taken)])
    assert held.tolist() == np.rint(whole * 0.1).tolist()


def test_the_choice_is_that_of_the_seed_whatever_else():
    first, again = (all_of(HOLD.taken(tables())) for _ in range(2))
    assert first.tolist() == again.tolist()
    assert first.tolist() != all_of(HoldOut(share=0.1, seed=4).taken(tables())).tolist()
    # Tables are files: the same examples in one file make the same choice.
    assert all_of(HOLD.taken(tables((sum(SIZES),)))).tolist() == first.tolist()


def test_a_class_of_two_has_one_on_either_side_and_one_of_one_stays():
    hold = HoldOut(share=0.1, seed=0)
    assert hold._chosen(np.array([0, 0, 1, 2, 2, 2], np.int32)).sum() == 2
    assert not hold._chosen(np.array([5], np.int32)).any()
    with pytest.raises(UserError, match=r"--validation-split 0\.1: takes none of 1"):
        hold.taken(tables((1,)))


@pytest.mark.parametrize(("start", "stop"), [(0, 100), (5, 6), (63, 65), (100, 100)])
def test_any_examples_of_a_subset_can_be_read(start, stop):
    table = HOLD.rest(tables())[0]
    images, labels = table.read(start, stop)
    expected = [table.record(row) for row in range(start, stop)]
    assert numbers(images).tolist() == expected
    assert labels.tolist() == table.all_labels()[start:stop].tolist()


def test_a_block_is_read_without_its_neighbours():
    whole = tables()
    table = HOLD.rest(whole)[0]
    reads = whole[0].reads
    starts = [*table.block_starts().tolist(), len(table)]
    for first, last in itertools.pairwise(starts):
        reads.clear()
        table.read(first, last)
        assert len(reads) == 1
        assert reads[0][1] - reads[0][0] <= BLOCK_RECORDS


@pytest.mark.parametrize("part", ["rest", "taken"])
def test_streamed_data_has_each_example_once_an_epoch_as_in_memory(part):
    seen = []
    for cache_mb in (1024, 0):
        found = getattr(HOLD, part)(tables())
        stream = Stream(found, batch_size=7, training=False, cache_mb=cache_mb, piece_examples=128)
        seen.append(np.concatenate([numbers(images) for images, _ in stream.chunks()]).tolist())
        assert sorted(seen[-1]) == sorted(all_of(getattr(HOLD, part)(tables())).tolist())
    assert seen[0] == seen[1]
    training = Stream(HOLD.rest(tables()), batch_size=10, training=True, cache_mb=0,
                      piece_examples=128)  # fmt: skip
    drawn: list[int] = []
    for images, _ in training.chunks():
        drawn += numbers(images).tolist()
        if len(drawn) >= training.size:
            break
    assert sorted(drawn[: training.size]) == sorted(all_of(HOLD.rest(tables())).tolist())


@pytest.mark.parametrize("by", ["auto", "record", "file"])
def test_several_processes_share_what_is_left(by):
    seen: list[int] = []
    for index in range(2):
        stream = Stream(
            HOLD.rest(tables((640, 640))), batch_size=5, training=False, shard=Shard(index, 2, by)
        )
        seen += np.concatenate([numbers(i) for i, _ in stream.chunks()]).tolist()
    assert sorted(seen) == sorted(all_of(HOLD.rest(tables((640, 640)))).tolist())


def test_examples_are_named_by_their_number_in_the_file():
    found = HOLD.taken(tables())
    stream = Stream(found, batch_size=4, training=False)
    first = all_of(found)[:4].tolist()
    assert stream.places([0, 1, 2, 3]) == [("table at 0", number) for number in first]
