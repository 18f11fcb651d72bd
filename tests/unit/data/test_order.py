"""The order of examples: a permutation of each epoch, and a pure function of its arguments."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from trainer.data.formats.table import BLOCK_RECORDS
from trainer.data.order import ExampleOrder

quick = settings(deadline=None, max_examples=60)

sizes = st.lists(st.integers(0, 4 * BLOCK_RECORDS), min_size=1, max_size=5).filter(sum)
pieces = st.integers(1, 10 * BLOCK_RECORDS)
seeds = st.integers(0, 2**31 - 1)


def order(sizes, *, seed=0, shuffle=True, piece_examples=2 * BLOCK_RECORDS):
    return ExampleOrder(sizes, seed=seed, shuffle=shuffle, piece_examples=piece_examples)


def epoch(one, number=0):
    return [one.examples(number, piece) for piece in range(len(one.pieces(number)))]


@quick
@given(sizes=sizes, piece=pieces, seed=seeds, number=st.integers(0, 1000), shuffle=st.booleans())
def test_each_example_comes_exactly_once_an_epoch(sizes, piece, seed, number, shuffle):
    one = order(sizes, seed=seed, piece_examples=piece, shuffle=shuffle)
    ids = np.concatenate(epoch(one, number))
    np.testing.assert_array_equal(np.sort(ids), np.arange(sum(sizes)))


@quick
@given(sizes=sizes, piece=pieces, shuffle=st.booleans())
def test_pieces_have_the_sizes_announced_and_fit_the_memory_allowed(sizes, piece, shuffle):
    one = order(sizes, piece_examples=piece, shuffle=shuffle)
    found = [ids.size for ids in epoch(one)]
    assert found == one.pieces(0).tolist()
    assert max(found) <= max(piece, BLOCK_RECORDS)


@quick
@given(sizes=sizes, piece=pieces, number=st.integers(0, 9))
def test_a_piece_holds_the_examples_of_its_blocks(sizes, piece, number):
    one = order(sizes, piece_examples=piece)
    for at, ids in enumerate(epoch(one, number)):
        blocks = one.blocks(number, at)
        spans = zip(one.block_starts[blocks], one.block_stops[blocks], strict=True)
        np.testing.assert_array_equal(
            np.sort(ids), np.concatenate([np.arange(start, stop) for start, stop in spans])
        )


@quick
@given(sizes=sizes)
def test_no_block_reaches_from_one_table_into_the_next(sizes):
    one = order(sizes)
    ends = np.cumsum(sizes)
    table = np.searchsorted(ends, one.block_starts, side="right")
    np.testing.assert_array_less(one.block_stops - 1, ends[table])
    assert (one.block_stops - one.block_starts <= BLOCK_RECORDS).all()
    starts_within = one.block_starts - (ends - sizes)[table]
    assert (starts_within % BLOCK_RECORDS == 0).all()


@pytest.mark.parametrize("piece", [BLOCK_RECORDS, 3 * BLOCK_RECORDS, 10**6])
def test_unshuffled_examples_come_in_the_order_of_the_files(piece):
    one = order([100, 3, 500], shuffle=False, piece_examples=piece)
    np.testing.assert_array_equal(np.concatenate(epoch(one, 7)), np.arange(603))


@pytest.mark.parametrize("piece", [2 * BLOCK_RECORDS, 10**6], ids=["streamed", "whole"])
def test_the_same_seed_gives_the_same_order_and_others_give_others(piece):
    orders = {
        (seed, number): tuple(
            np.concatenate(epoch(order([900], seed=seed, piece_examples=piece), number)).tolist()
        )
        for seed in (0, 1, 2**31 - 1)
        for number in (0, 1, 2, 10**6)
    }
    assert len(set(orders.values())) == len(orders)
    again = order([900], seed=1, piece_examples=piece)
    # Not only for a new object: whatever was asked in between.
    for number in (2, 0, 2, 1, 0):
        assert tuple(np.concatenate(epoch(again, number)).tolist()) == orders[1, number]


def test_what_one_epoch_is_asked_does_not_depend_on_what_was_asked_before():
    forth, back = (
        order([1000], piece_examples=BLOCK_RECORDS),
        order([1000], piece_examples=BLOCK_RECORDS),
    )
    pieces = [(number, piece) for number in range(3) for piece in range(16)]
    one = {key: forth.examples(*key).tolist() for key in pieces}
    other = {key: back.examples(*key).tolist() for key in reversed(pieces)}
    assert one == other


def test_a_piece_takes_blocks_from_all_over_the_data():
    one = order([100 * BLOCK_RECORDS], piece_examples=20 * BLOCK_RECORDS)
    for ids in epoch(one):
        tenths = np.bincount(ids // (10 * BLOCK_RECORDS), minlength=10)
        assert (tenths > 0).sum() >= 6


def test_within_a_piece_neighbours_in_the_files_are_no_neighbours():
    ids = order([100 * BLOCK_RECORDS], piece_examples=20 * BLOCK_RECORDS).examples(0, 0)
    assert (np.abs(np.diff(ids)) == 1).mean() < 0.01


def test_pieces_of_one_size_are_shuffled_differently():
    one = order([100 * BLOCK_RECORDS], piece_examples=20 * BLOCK_RECORDS)
    ranks = {tuple(np.argsort(np.argsort(ids)).tolist()) for ids in epoch(one)}
    assert len(ranks) == 5
