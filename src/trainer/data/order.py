"""The order of the examples: a pure function of seed, epoch and position.

Nothing is remembered between batches, so that a run goes on at any position at no cost, and every
rank of a distributed run finds its share of the same order by itself. Examples are numbered
through all tables. The order of one epoch comes in pieces that fit the memory allowed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trainer.data.formats.table import BLOCK_RECORDS


class ExampleOrder:
    """The order of examples in each epoch.

    Shuffled, an epoch is a random permutation of all blocks of `BLOCK` examples, cut into pieces of
    `piece_blocks` blocks; within a piece all examples are shuffled. Where one piece holds
    everything, blocks play no part: it is a permutation of the examples.

    Args:
        sizes: The number of examples of each table.
        seed: The seed of the permutations.
        shuffle: False for the order of the files.
        piece_examples: The number of examples that may be in memory at a time.
        starts: The first example of each block of each table; by default all blocks are full.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        seed: int,
        shuffle: bool,
        piece_examples: int,
        starts: Sequence[np.ndarray] | None = None,
    ) -> None:
        self.size = sum(sizes)
        self._seed, self._shuffle = seed, shuffle
        self._last = (-1, np.empty(0, np.int64))
        firsts, stops, end = [], [], 0
        for number, size in enumerate(sizes):
            start, end = end, end + size
            own = starts[number] if starts else np.arange(0, size, BLOCK_RECORDS)
            firsts.append(start + own)
            stops.append(np.append(firsts[-1][1:], end) if own.size else firsts[-1])
        # Blocks never reach from one table into the next.
        self.block_starts = np.concatenate(firsts)
        self.block_stops = np.concatenate(stops)
        self._piece_blocks = (
            self.block_starts.size
            if self.size <= piece_examples
            else max(1, piece_examples // BLOCK_RECORDS)
        )

    def pieces(self, epoch: int) -> np.ndarray:
        """Return the number of examples in each piece of an epoch: int [pieces]."""
        blocks = self._blocks(epoch)
        lengths = self.block_stops[blocks] - self.block_starts[blocks]
        return np.add.reduceat(lengths, np.arange(0, blocks.size, self._piece_blocks))

    def blocks(self, epoch: int, piece: int) -> np.ndarray:
        """Return the blocks of one piece, in the order of the files: int [blocks]."""
        first = piece * self._piece_blocks
        return np.sort(self._blocks(epoch)[first : first + self._piece_blocks])

    def examples(self, epoch: int, piece: int) -> np.ndarray:
        """Return the numbers of a piece's examples, in the order of training: int64 [n]."""
        blocks = self.blocks(epoch, piece)
        if blocks.size == self.block_starts.size:
            ids = np.arange(self.size)
        else:
            ids = np.concatenate(
                [np.arange(self.block_starts[b], self.block_stops[b]) for b in blocks]
            )
        return self._random(epoch, 1 + piece).permutation(ids) if self._shuffle else ids

    def _blocks(self, epoch: int) -> np.ndarray:
        # Every piece of an epoch asks for the same permutation: without this cache, an epoch's work
        # would grow as the square of the data. The cache is replaced as a whole, because another
        # thread may be at another epoch.
        last, blocks = self._last
        if last != epoch:
            count = self.block_starts.size
            shuffled = self._shuffle and self._piece_blocks < count
            blocks = self._random(epoch, 0).permutation(count) if shuffled else np.arange(count)
            self._last = (epoch, blocks)
        return blocks

    def _random(self, epoch: int, use: int) -> np.random.Generator:
        # Philox is counter-based: streams with different keys are independent.
        key = np.array([self._seed, (epoch << 32) + use], np.uint64)
        return np.random.Generator(np.random.Philox(key=key))
