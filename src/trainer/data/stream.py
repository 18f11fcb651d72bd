"""Batches of examples from tables, from any position on: from memory, or streamed."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from trainer.config import DataError
from trainer.data.common_form import common_spec, largest_label, names_of
from trainer.data.example_places import ExamplePlaces
from trainer.data.formats.picture import decode_pictures
from trainer.data.formats.table import PIECE_BYTES, ImageSpec, Table, wrong_label
from trainer.data.order import ExampleOrder
from trainer.data.shard import WHOLE, Shard, by_file

# Examples of a streamed piece, within which they are shuffled: 256 runs of 64 records from all over
# the data, 13 MB for MNIST; fewer where images are so large that this would be too much memory.
PIECE_EXAMPLES = 16_384

# Examples handed over at a time: so many that the hand-over (about 0.2 ms) does not count.
CHUNK_EXAMPLES = 4_096

# Images handed over at a time take up to this many bytes, where a batch does not take more: memory
# that malloc gives out again, as it does not beyond 32 MiB, where each page costs a fault anew.
CHUNK_BYTES = 16 << 20

# Images of a batch that is evaluated, where its activations may take a hundred times as much.
EVALUATED_BYTES = 8 << 20

Chunk = tuple[np.ndarray, np.ndarray]


class Stream:
    """Batches of one data set, in a fixed order.

    Args:
        tables: The data.
        batch_size: Examples in a batch, for one shard.
        training: Shuffled and endless, batches running on from epoch to epoch so that all are
            full and each example is used once an epoch; or one pass in order, ending with what
            is left.
        shard: The part that is wanted.
        seed: The seed of the order.
        cache_mb: Data up to this size, in MiB, is read once and kept in memory.
        piece_examples: The number of examples in memory at a time where it is not; by default
            `PIECE_EXAMPLES` or, of large images, as many as `PIECE_BYTES` hold.
        classes: The number of classes, if something else than the labels decides on it.

    Attributes:
        spec: The form of the images.
    """

    def __init__(
        self,
        tables: Sequence[Table],
        *,
        batch_size: int,
        training: bool,
        shard: Shard = WHOLE,
        seed: int = 0,
        cache_mb: float = 1024,
        piece_examples: int | None = None,
        classes: int | None = None,
    ) -> None:
        process = f"process {shard.index} of {shard.count}"
        # Examples in all of the data, of which a shard may have only a part.
        self.total = sum(map(len, tables))
        if shard.count > 1 and by_file(tables, shard):
            tables = tables[shard.index :: shard.count]
            shard = WHOLE
        self.tables = list(tables)
        self.spec = common_spec(self.tables)
        self.chunk_examples = chunk_examples(self.spec)
        # Pictures stay encoded until their batch is due if they take less memory so.
        self._decodes_late = all(
            table.picture_bytes is not None and table.picture_bytes <= self.spec.size
            for table in self.tables
        )
        # Labels are checked against this number; None where they decide on it.
        self.classes = classes or len(self.class_names) or None
        # An error of a reader that TensorFlow called, which would turn it into text.
        self.error: Exception | None = None
        self.batch_size = batch_size
        if not training:
            self.batch_size = min(batch_size, max(1, EVALUATED_BYTES // self.spec.size))
        self.training = training
        # True if some rows of a training batch weigh nothing.
        self.weighted = False
        self._shard = shard
        self._firsts = [0, *itertools.accumulate(map(len, self.tables))]
        self.size = self._firsts.pop()
        self._places = ExamplePlaces(self.tables, self._firsts)
        if not self.size:
            names = ", ".join(table.name for table in self.tables)
            raise DataError(
                subject=names,
                problem=f"no records for {process}",
            )
        cached = self.size * self.spec.size <= cache_mb * 2**20
        if piece_examples is None:
            piece_examples = self.spec.records(PIECE_EXAMPLES, limit=PIECE_BYTES)
        self._order = ExampleOrder(
            [len(table) for table in self.tables],
            seed=seed,
            shuffle=training,
            piece_examples=self.size if cached else piece_examples,
            starts=[table.block_starts() for table in self.tables],
        )
        everything = np.arange(self._order.block_starts.size)
        # Images, spec.dtype [size, *spec.shape], and labels, int32 [size]; None where it is
        # streamed.
        self.memory: Chunk | None = self._read(everything, now=True) if cached else None

    @property
    def kind(self) -> str:
        """The name of the tables' format, or `synthetic`."""
        return self.tables[0].kind

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes by label; empty if the data does not tell."""
        return names_of(self.tables)

    @property
    def damage(self) -> list[str]:
        """A line for each damaged record left out."""
        return [line for table in self.tables for line in table.damage]

    def largest_label(self) -> int:
        """Return the largest label of this process's data; where it is streamed, by reading it.

        It is the last class's if the number of classes is known beforehand. Processes that stream
        the same tables divide them: the largest of all is that of the data.
        """
        if self.classes is not None:
            return self.classes - 1
        if self.memory is not None:
            return int(self.memory[1].max())
        return largest_label(self.tables[self._shard.index :: self._shard.count])

    def indices(self, step: int = 0) -> Iterator[np.ndarray]:
        """Yield the numbers of the examples of several batches at a time.

        Args:
            step: The batch to begin with.

        Yields:
            int32 or int64 [batches, batch_size]; where not training, the last batch may come
            alone and be smaller.
        """
        whole = self.batch_size * self._shard.count
        rest = np.empty(0, np.int64)
        for epoch, piece, skip in self._pieces_from(step * whole):
            ids = np.concatenate([rest, self._order.examples(epoch, piece)[skip:]])
            full = ids.size // whole * whole
            yield from self._cut(ids[:full])
            rest = ids[full:]
        own = rest[self._shard.index :: self._shard.count]
        if own.size:
            yield own[None]

    def chunks(self, step: int = 0) -> Iterator[tuple[np.ndarray, ...]]:
        """Yield several batches at a time.

        Args:
            step: The batch to begin with.

        Yields:
            Images, spec.dtype [batches, batch_size, *spec.shape], and labels, int32
            [batches, batch_size]; where not training, the last batch may come alone and be smaller.
        """
        if self.memory is not None:
            images, labels = self.memory
            yield from ((images[ids], labels[ids]) for ids in self.indices(step))
            return
        whole = self.batch_size * self._shard.count
        rest = self._empty(0)
        for epoch, piece, skip in self._pieces_from(step * whole):
            ids = self._order.examples(epoch, piece)
            images, labels = self._read(self._order.blocks(epoch, piece))
            # Blocks are read in ascending order: find each example's place among them.
            rows = np.searchsorted(np.sort(ids), ids[skip:])
            # The rest of the last piece comes first; its rows stand behind this piece's.
            if rest[1].size:
                rows = np.concatenate([np.arange(rest[1].size) + labels.size, rows])
                images, labels = (
                    np.concatenate(p) for p in zip((images, labels), rest, strict=True)
                )
            full = rows.size // whole * whole
            for cut in self._cut(rows[:full]):
                yield self._decoded(images[cut]), labels[cut]
            rest = images[rows[full:]], labels[rows[full:]]
        own = slice(self._shard.index, None, self._shard.count)
        if rest[1][own].size:
            yield self._decoded(rest[0][own][None]), rest[1][own][None]

    def origin(self, step: int) -> str:
        """Say which files and records one training batch came from."""
        whole = self.batch_size * self._shard.count
        ids = np.empty(0, np.int64)
        for epoch, piece, skip in self._pieces_from(step * whole):
            ids = np.concatenate([ids, self._order.examples(epoch, piece)[skip:]])
            if ids.size >= whole:
                break
        first = self._shard.index * self.batch_size
        return self._places.text(ids[first : min(whole, first + self.batch_size)])

    def places(self, positions: Sequence[int]) -> list[tuple[str, int]]:
        """Return the file and the record there of examples, by their position in one pass."""
        numbers = np.concatenate([cut.ravel() for cut in self.indices()])[list(positions)]
        return [self._places.of(number) for number in numbers.tolist()]

    def _cut(self, ids: np.ndarray) -> Iterator[np.ndarray]:
        """Cut whole global batches into chunks, and take this shard's slice of each batch."""
        batches = ids.reshape(-1, self._shard.count, self.batch_size)[:, self._shard.index]
        step = max(1, self.chunk_examples // self.batch_size)
        for start in range(0, len(batches), step):
            yield batches[start : start + step]

    def _pieces_from(self, position: int) -> Iterator[tuple[int, int, int]]:
        """Yield epoch, piece, and how many of its examples lie before the position."""
        first, skip = divmod(position, self.size)
        for epoch in itertools.count(first) if self.training else [0]:
            for piece, size in enumerate(self._order.pieces(epoch)):
                if skip < size:
                    yield epoch, piece, skip
                skip = max(0, skip - size)

    def _read(self, blocks: np.ndarray, *, now: bool = False) -> Chunk:
        """Read blocks, given in ascending order; neighbours go in one read.

        Args:
            blocks: Their numbers.
            now: True to decode pictures that `_decoded` would decode later.
        """
        starts, stops = self._order.block_starts, self._order.block_stops
        images, labels = self._empty(int((stops - starts)[blocks].sum()), now=now)
        at = i = 0
        while i < len(blocks):
            start, stop = int(starts[blocks[i]]), int(stops[blocks[i]])
            number = bisect.bisect_right(self._firsts, start) - 1
            table, first = self.tables[number], self._firsts[number]
            i += 1
            while (
                i < len(blocks)
                and starts[blocks[i]] == stop < first + len(table)
                and stop - start < self.chunk_examples
            ):
                stop = int(stops[blocks[i]])
                i += 1
            into = slice(at, at + stop - start)
            if self._decodes_late:
                pictures, labels[into] = table.pictures(start - first, stop - first)
                if now:
                    decode_pictures(pictures, images[into])
                else:
                    images[into] = np.fromiter(pictures, object, len(pictures))
            else:
                images[into], labels[into] = table.read(start - first, stop - first)
            self._check_classes(labels[into], table=table, first=start - first)
            at = into.stop
        return images, labels

    def _decoded(self, images: np.ndarray) -> np.ndarray:
        """Return images, spec.dtype [*shape, *spec.shape], of what `_read` returned: [*shape]."""
        if not self._decodes_late:
            return images
        found = np.empty((images.size, *self.spec.shape), self.spec.dtype)
        decode_pictures(images.ravel().tolist(), found)
        return found.reshape(*images.shape, *self.spec.shape)

    def _check_classes(self, labels: np.ndarray, *, table: Table, first: int) -> None:
        if self.classes is not None and labels.max(initial=0) >= self.classes:
            row = int(np.argmax(labels >= self.classes))
            raise wrong_label(
                int(labels[row]),
                where=table.name,
                number=table.record(first + row),
                classes=self.classes,
            )

    def _empty(self, count: int, *, now: bool = False) -> Chunk:
        labels = np.empty(count, np.int32)
        if self._decodes_late and not now:
            return np.empty(count, object), labels
        return np.empty((count, *self.spec.shape), self.spec.dtype), labels


def chunk_examples(spec: ImageSpec) -> int:
    """Return how many examples are handed over at a time: 3 MB for MNIST."""
    return spec.records(CHUNK_EXAMPLES, limit=CHUNK_BYTES)
