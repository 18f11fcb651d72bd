"""Batches where each host holds other data: its part of every step is in proportion to its share.

Hosts take the same steps, whatever they hold. Of n examples among N of all hosts, a host takes
about n/N of each global batch, so that all hosts reach the end of an epoch in the same step, and
each example is used once an epoch. The number varies by one from step to step; the arrays that are
handed over do not, and the rows that fill them up weigh nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from trainer.data.shard import Shard
from trainer.data.stream import Stream


@dataclass(frozen=True, kw_only=True)
class HostShare:
    """One host's part of each global batch.

    Attributes:
        batch: The examples in a step of all hosts, on average.
        own: The examples that this host holds.
        total: The examples that all hosts hold.
        multiple: The replicas of a process, of which the width of its batch is a multiple.
    """

    batch: int
    own: int
    total: int
    multiple: int = 1

    def position(self, step: int) -> int:
        """Return how many examples this host has taken before a step."""
        return step * self.batch * self.own // self.total

    def width(self, processes: int) -> int:
        """Return the length of the arrays of each of this host's processes."""
        most = -(-self.batch * self.own // self.total)
        each = -(-most // processes)
        return -(-each // self.multiple) * self.multiple


class SharedStream(Stream):
    """Training batches of one process of a host that holds a share of the data.

    Args:
        stream: The host's data; its tables and what it has read are taken over.
        share: The host's part of each batch.
        shard: This process's number among those of the host.
    """

    def __init__(self, stream: Stream, share: HostShare, shard: Shard) -> None:
        self.__dict__.update(stream.__dict__)
        self.total = share.total
        self.batch_size = share.width(shard.count)
        self.weighted = True
        self._share, self._shard = share, shard

    def indices(self, step: int = 0) -> Iterator[np.ndarray]:
        """Yield the numbers of the examples of several batches at a time.

        Args:
            step: The batch to begin with.

        Yields:
            int64 [batches, batch_size]; -1 where a row is not used.
        """
        rest = np.empty(0, np.int64)
        for epoch, piece, skip in self._pieces_from(self._share.position(step)):
            ids = np.concatenate([rest, self._order.examples(epoch, piece)[skip:]])
            rows, used = self._rows(step, ids.size)
            for cut in self._chunks(rows):
                yield np.where(cut >= 0, ids[cut], -1)
            step, rest = step + len(rows), ids[used:]

    def chunks(self, step: int = 0) -> Iterator[tuple[np.ndarray, ...]]:
        """Yield several batches at a time.

        Args:
            step: The batch to begin with.

        Yields:
            Images, spec.dtype [batches, batch_size, *spec.shape], labels, int32
            [batches, batch_size], and weights, float32 [batches, batch_size], 0 where a row is not
            used.
        """
        if self.memory is not None:
            for ids in self.indices(step):
                yield self._picked(*self.memory, ids)
            return
        rest = self._empty(0)
        for epoch, piece, skip in self._pieces_from(self._share.position(step)):
            ids = self._order.examples(epoch, piece)
            images, labels = self._read(self._order.blocks(epoch, piece))
            # Blocks are read in ascending order: find each example's place among them.
            places = np.searchsorted(np.sort(ids), ids[skip:])
            images = np.concatenate([rest[0], images[places]])
            labels = np.concatenate([rest[1], labels[places]])
            rows, used = self._rows(step, labels.size)
            for cut in self._chunks(rows):
                found, *others = self._picked(images, labels, cut)
                yield self._decoded(found), *others
            step, rest = step + len(rows), (images[used:], labels[used:])

    def origin(self, step: int) -> str:
        """Say which files and records one training batch came from."""
        ids = next(self.indices(step))[0]
        return self._places.text(ids[ids >= 0])

    def _rows(self, step: int, there: int) -> tuple[np.ndarray, int]:
        """Return this process's rows of the steps that `there` examples are enough for.

        Returns:
            Places among the examples, int64 [steps, batch_size], -1 where there is none; and how
            many examples these steps use on this host.
        """
        begin, found = self._share.position(step), []
        processes, place = self._shard.count, self._shard.index
        while (stop := self._share.position(step + 1) - begin) <= there:
            start = self._share.position(step) - begin
            ids = np.arange(start + place, stop, processes)
            row = np.full(self.batch_size, -1, np.int64)
            row[: ids.size] = ids
            found.append(row)
            step += 1
        used = self._share.position(step) - begin
        return np.array(found, np.int64).reshape(-1, self.batch_size), used

    @staticmethod
    def _picked(
        images: np.ndarray, labels: np.ndarray, ids: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rows = np.maximum(ids, 0)
        return images[rows], labels[rows], (ids >= 0).astype(np.float32)

    def _chunks(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        step = max(1, self.chunk_examples // self.batch_size)
        for start in range(0, len(rows), step):
            yield rows[start : start + step]
