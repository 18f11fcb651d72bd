"""Features of `tf.train.Example` and `tf.train.SequenceExample`, parsed without TensorFlow.

The messages are those of tensorflow/core/example/{example,feature}.proto. Both have a map of
features in field 1; a SequenceExample has lists of features, one for each frame, in field 2. A list
of one frame is a feature like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from trainer.data.formats.protobuf import (
    FIXED32,
    LENGTH_DELIMITED,
    VARINT,
    WireError,
    message_fields,
    read_varint,
)
from trainer.runtime import shortened

# The kinds of feature by their field in `Feature`, and the wire types of their values.
KINDS = {1: "bytes", 2: "float", 3: "int64"}
WIRES = {
    "bytes": (LENGTH_DELIMITED,),
    "float": (LENGTH_DELIMITED, FIXED32),
    "int64": (LENGTH_DELIMITED, VARINT),
}
VARINT_BYTES = 10


class BadExampleError(Exception):
    """Bytes that are no message with the features of a labelled image.

    Args:
        problem: What is wrong with the record.
        row: Its place among those that were given.
        remedy: What to do about it.
    """

    def __init__(self, problem: str, row: int = 0, *, remedy: str = "") -> None:
        super().__init__(problem, row)
        self.problem, self.row, self.remedy = problem, row, remedy


@dataclass(frozen=True)
class Feature:
    """One feature of a message.

    Attributes:
        kind: `bytes`, `float`, `int64`, or `nothing` for one without a list.
        start: Where its `Feature` message begins.
        stop: Where that ends.
        values: The span of its list of values.
        frames: How many features there are of this name, more than 1 in a SequenceExample only;
            all else is of the first.
    """

    kind: str
    start: int
    stop: int
    values: tuple[int, int]
    frames: int = 1


def features_of(raw: bytes) -> dict[str, Feature]:
    """Return the features of a message by name; of several with one name the last counts.

    Raises:
        BadExampleError: It is no such message.
    """
    try:
        found: dict[str, Feature] = {}
        for number, wire, *part in message_fields(raw, 0, len(raw)):
            if wire == LENGTH_DELIMITED and number in (1, 2):
                read = _feature if number == 1 else _feature_list
                found.update(_map_entries(raw, part[0], part[1], read))
        return found
    except WireError:
        raise BadExampleError("not a tf.train.Example") from None


def is_sequence(raw: bytes) -> bool:
    """Return whether a message has features of frames, as a SequenceExample has."""
    return any(number == 2 for number, *_ in message_fields(raw, 0, len(raw)))


def value_spans(raw: bytes, feature: Feature) -> list[tuple[int, int]]:
    """Return the span of each value of a feature.

    Raises:
        WireError: The list is damaged.
    """
    spans = []
    for start, stop, is_packed in _chunks(raw, feature):
        if not is_packed:
            spans.append((start, stop))
        while is_packed and start < stop:
            end = start + 4 if feature.kind == "float" else read_varint(raw, start)[1]
            if end > stop:
                raise WireError
            spans.append((start, end))
            start = end
    return spans


def only_value(raw: bytes, feature: Feature, name: str) -> tuple[int, int]:
    """Return the span of a feature's only value.

    Raises:
        BadExampleError: It has none or several.
        WireError: The list is damaged.
    """
    spans = value_spans(raw, feature)
    if len(spans) != 1:
        raise BadExampleError(
            f"feature {name!r} ({feature.kind}) holds {len(spans)} values, expected 1"
        )
    return spans[0]


def packed_floats(raw: bytes, feature: Feature) -> tuple[int, int] | None:
    """Return the span of a feature's floats if they stand one behind the other, else None."""
    chunks = list(_chunks(raw, feature))
    if len(chunks) == 1 and chunks[0][2] and (chunks[0][1] - chunks[0][0]) % 4 == 0:
        return chunks[0][:2]
    return None


def numbers_of(raw: bytes, feature: Feature) -> np.ndarray:
    """Return the values of a feature: float32 [n] or int64 [n].

    Raises:
        WireError: The list is damaged.
    """
    data = b"".join(raw[start:stop] for start, stop, _ in _chunks(raw, feature))
    if feature.kind == "int64":
        return varints(data)
    if len(data) % 4:
        raise WireError
    return np.frombuffer(data, "<f4")


def varints(raw: bytes) -> np.ndarray:
    """Return the numbers that stand one behind the other as varints: int64 [n].

    Raises:
        WireError: The last one is cut short, or one is too long.
    """
    found = np.frombuffer(raw, np.uint8)
    ends = np.flatnonzero(found < 0x80)
    if not found.size:
        return np.zeros(0, np.int64)
    if found[-1] >= 0x80:
        raise WireError
    if ends.size == found.size:
        return found.astype(np.int64)
    starts = np.concatenate([[0], ends[:-1] + 1])
    longest = int((ends - starts).max()) + 1
    if longest > VARINT_BYTES:
        raise WireError
    values = np.zeros(ends.size, np.uint64)
    for i in range(longest):
        here = np.flatnonzero(ends - starts >= i)
        seven = (found[starts[here] + i] & 0x7F).astype(np.uint64)
        values[here] |= seven << np.uint64(7 * i)
    return values.view(np.int64)


def shown_features(raw: bytes, features: dict[str, Feature], *, most: int = 12) -> str:
    """Return names, kinds and lengths of features for messages: `image (bytes, 312 long)`."""
    shown = []
    for name in sorted(features)[:most]:
        feature = features[name]
        try:
            spans = value_spans(raw, feature)
        except WireError:
            spans = []
        size = f"{len(spans)} values"
        if len(spans) == 1:
            size = f"{spans[0][1] - spans[0][0]} long" if feature.kind == "bytes" else "1 value"
        size += f" in each of {feature.frames} frames" if feature.frames > 1 else ""
        shown.append(f"{shortened(repr(name))} ({feature.kind}, {size})")
    return ", ".join(shown) + (" …" if len(features) > most else "")


def _chunks(raw: bytes, feature: Feature) -> Iterator[tuple[int, int, bool]]:
    """Yield the spans of single values and of packed lists of them, and which of the two it is."""
    wires = WIRES.get(feature.kind, ())
    for number, wire, start, stop in message_fields(raw, *feature.values):
        if number == 1 and wire in wires:
            yield start, stop, feature.kind != "bytes" and wire == LENGTH_DELIMITED


def _map_entries(
    raw: bytes, start: int, stop: int, read: Callable[[bytes, int, int], Feature]
) -> Iterator[tuple[str, Feature]]:
    """Yield name and feature of each entry of the map that a message holds in field 1."""
    for number, wire, a, b in message_fields(raw, start, stop):
        if number != 1 or wire != LENGTH_DELIMITED:
            continue
        parts = {n: (c, d) for n, w, c, d in message_fields(raw, a, b) if w == LENGTH_DELIMITED}
        if 1 not in parts or 2 not in parts:
            raise BadExampleError("a feature without name or value")
        yield raw[slice(*parts[1])].decode("utf-8", "replace"), read(raw, *parts[2])


def _feature(raw: bytes, start: int, stop: int) -> Feature:
    """Parse a `Feature`; of several lists in it the last counts."""
    kind, values = "nothing", (stop, stop)
    for number, wire, a, b in message_fields(raw, start, stop):
        if number in KINDS and wire == LENGTH_DELIMITED:
            kind, values = KINDS[number], (a, b)
    return Feature(kind, start, stop, values)


def _feature_list(raw: bytes, start: int, stop: int) -> Feature:
    """Parse a `FeatureList`: the features of several frames."""
    frames = [
        (a, b)
        for number, wire, a, b in message_fields(raw, start, stop)
        if (number, wire) == (1, LENGTH_DELIMITED)
    ]
    if not frames:
        return Feature("nothing", start, stop, (stop, stop), frames=0)
    first = _feature(raw, *frames[0])
    if len(frames) == 1:
        return first
    return replace(first, start=start, stop=stop, frames=len(frames))
