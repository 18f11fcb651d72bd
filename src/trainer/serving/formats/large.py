"""Large JSON, parsed in pieces.

A parser written in C holds the GIL until it has read everything: for 100 MB more than a second, in
which the server answers no request. This module has NumPy find the ends of an array's elements, and
parses some elements at a time. That takes less memory, too, as the lists of one piece become an
array before the next piece is parsed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from trainer.serving.http.errors import HTTPError, bad_request, shown_value
from trainer.serving.models.signature import Tensor, shape_text

# Smaller bodies are parsed at once.
LARGE = 2**20
# Bytes that are parsed in one call.
PIECE = 2**16
DEEPEST = 32
LONGEST_KEY = 2**16
_SPACE = b" \t\r\n"
_QUOTE, _BACKSLASH, _COMMA = b'"\\,'
_CLOSED_BY = {ord("["): ord("]"), ord("{"): ord("}")}


@dataclass(frozen=True)
class Array:
    """An array of JSON that has not been parsed yet.

    Attributes:
        text: The whole array, with its brackets.
        at: The place in the body where it begins.
        level: The number of arrays and objects around it.
        piece: Bytes that are parsed in one call.
    """

    text: memoryview
    at: int
    level: int
    piece: int = PIECE

    def groups(self) -> Iterator[tuple[bytes, int]]:
        """Yield arrays of some elements each, with the place in the body where they begin.

        An array that is longer than a piece has a single element.

        Raises:
            HTTPError: The text is no JSON array.
        """
        begin = 1
        for commas, end in _separators(self.text, self.at, self.piece):
            # Cut at the first comma too, so that a long element before it comes alone.
            places = [commas[0], commas[-1]] if len(commas) > 1 else list(commas)
            for place in [*places, *([] if end is None else [end])]:
                group = self.text[begin:place]
                if not bytes(group[:64]).strip(_SPACE) and not bytes(group).strip(_SPACE):
                    if place == end and begin == 1:
                        return
                    raise _wrong("unexpected end of an element", self.at + int(place))
                yield b"[" + group + b"]", self.at + begin
                begin = int(place) + 1

    def chunks(self) -> Iterator[list[Any]]:
        """Yield the elements some at a time; a long one comes alone, and not parsed yet.

        Raises:
            HTTPError: The text is no JSON array.
        """
        for group, at in self.groups():
            yield self.load(group, at)

    def load(self, group: bytes, at: int) -> list[Any]:
        """Parse elements that `groups` yielded; a long element is not parsed yet.

        Args:
            group: The elements in brackets.
            at: The place in the body where they begin.

        Raises:
            HTTPError: They are no JSON.
        """
        if len(group) <= self.piece + 2:
            return loads(group, at - 1)
        return [_load(memoryview(group)[1:-1], at, self.level + 1, self.piece)]

    @property
    def of_objects(self) -> bool:
        """True if the first element is an object."""
        return bytes(self.text[1:64]).lstrip(_SPACE).startswith(b"{")


def parse(body: bytes, *, piece: int = PIECE) -> Any:
    """Parse JSON, except for long arrays, for which an `Array` stands.

    Args:
        body: The document.
        piece: Bytes that are parsed in one call; longer arrays are not parsed yet.

    Raises:
        HTTPError: The part that was parsed is no JSON.
    """
    return _load(memoryview(body), 0, 0, piece)


def is_blank(body: bytes) -> bool:
    """Return whether a body holds spaces at most, without a copy of one that holds more."""
    return not body[:64].strip() and not body.strip()


def lines(body: bytes) -> Iterator[bytes]:
    """Yield a body in pieces of whole lines; pieces of blank lines are left out."""
    begin = 0
    while begin < len(body):
        end = body.find(b"\n", min(begin + PIECE, len(body))) + 1 or len(body)
        piece = body[begin:end]
        if piece.strip():
            yield piece
        begin = end


def loads(text: bytes | memoryview, at: int) -> Any:
    """Parse JSON at once.

    Args:
        text: The JSON.
        at: The place in the body where it begins, for errors.

    Raises:
        HTTPError: It is no JSON; in TensorFlow Serving's words.
    """
    try:
        return orjson.loads(text)
    except ValueError as error:
        if any(word in bytes(text) for word in (b"NaN", b"Infinity")):
            raise bad_request(
                "JSON Parse error: NaN or Infinity among the values; expected finite numbers"
            ) from None
        message, place = getattr(error, "msg", "Invalid value"), getattr(error, "pos", 0)
        raise _wrong(message, at + place) from None


def join_rows(parts: list[np.ndarray], tensor: Tensor) -> np.ndarray:
    """Concatenate arrays of rows.

    Args:
        parts: The arrays.
        tensor: The input that they are for.

    Raises:
        HTTPError: Their rows have different shapes.
    """
    if not parts:
        return np.empty(0, tensor.dtype)
    shapes = list(dict.fromkeys(part.shape[1:] for part in parts))
    if len(shapes) > 1:
        one, other = map(shape_text, shapes[:2])
        raise bad_request(f"input '{tensor.name}' has rows of the shapes {one} and {other}")
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _load(text: memoryview, at: int, level: int, piece: int) -> Any:
    if level > DEEPEST:
        raise bad_request(f"JSON has more than {DEEPEST} levels; expected the values of tensors")
    head = bytes(text[:64])
    skipped = len(head) - len(head.lstrip(_SPACE))
    if len(text) <= piece or skipped == len(head) or head[skipped] not in _CLOSED_BY:
        return loads(text, at)
    text, at = text[skipped:], at + skipped
    if text[0] == ord("["):
        return Array(text, at, level, piece)
    found: dict[str, Any] = {}
    begin = 1
    for commas, end in _separators(text, at, piece):
        for place in [*commas, *([] if end is None else [end])]:
            member = text[begin:place]
            if place == end and begin == 1 and not bytes(member).strip(_SPACE):
                return {}
            key, value, where = _member(member, at + begin)
            found[key] = _load(value, where, level + 1, piece)
            begin = int(place) + 1
    return found


def _member(text: memoryview, at: int) -> tuple[str, memoryview, int]:
    """Return the key of an object's member, its value, and the place where the value begins."""
    quotes = np.flatnonzero(np.frombuffer(text[:LONGEST_KEY], np.uint8) == _QUOTE)
    for close in quotes[1:]:
        # The key ends at the first quote that is not escaped; the parser knows which that is.
        try:
            key = orjson.loads(text[: close + 1])
        except ValueError:
            continue
        rest = bytes(text[close + 1 : close + 65])
        colon = rest.find(b":")
        if isinstance(key, str) and colon >= 0 and not rest[:colon].strip(_SPACE):
            begin = int(close) + 2 + colon
            return key, text[begin:], at + begin
        break
    raise _wrong("expected a key and its value", at)


def _separators(text: memoryview, at: int, piece: int) -> Iterator[tuple[np.ndarray, int | None]]:
    """Yield the places of the commas between the elements of an array or object.

    They come piece by piece; the last ones come with the place of the end.
    """
    depth = quoted = escapes = 0
    for start in range(0, len(text), piece):
        block = np.frombuffer(text[start : start + piece], np.uint8)
        inside, quoted, escapes = _strings(block, quoted, escapes)
        # The mask maps { to [ (91) and } to ] (93), which differ from them by one bit.
        alike = block & 0xDF
        steps = ((alike == 91) & ~inside).astype(np.int32) - ((alike == 93) & ~inside)
        depths = depth + np.cumsum(steps)
        commas = np.flatnonzero((block == _COMMA) & ~inside & (depths == 1)) + start
        ends = np.flatnonzero(depths == 0)
        if len(ends):
            end = start + int(ends[0])
            tail = bytes(text[end + 1 : end + 65])
            if text[end] != _CLOSED_BY[text[0]] or (tail + bytes(text[end + 65 :])).strip(_SPACE):
                raise _wrong("unexpected content after document", at + end)
            yield commas[commas < end], end
            return
        yield commas, None
        depth = int(depths[-1])
    raise _wrong("unexpected end of data", at + len(text))


def _strings(block: np.ndarray, quoted: int, escapes: int) -> tuple[np.ndarray, int, int]:
    """Return which bytes of a text are inside of strings.

    Args:
        block: The next bytes of the text.
        quoted: Whether the text before them ends inside of a string.
        escapes: The number of backslashes that it ends with.

    Returns:
        A mask of the block, and `quoted` and `escapes` for the block after it.
    """
    quotes = block == _QUOTE
    slashes = block == _BACKSLASH
    if escapes or slashes.any():
        # A quote is escaped by an odd number of backslashes right before it.
        places = np.arange(len(block))
        last = np.maximum.accumulate(np.where(slashes, -1, places))
        run = places - last + np.where(last < 0, escapes, 0)
        before = np.concatenate(([escapes], run[:-1]))
        quotes = quotes & (before % 2 == 0)
        escapes = int(run[-1])
    inside = (np.cumsum(quotes) + quoted) % 2 == 1
    return inside, int(inside[-1]), escapes


def _wrong(message: str, at: int) -> HTTPError:
    return bad_request(f"JSON Parse error: {shown_value(message)}. at offset: {at}")
