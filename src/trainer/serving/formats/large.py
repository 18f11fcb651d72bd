"""Large JSON, read piece by piece.

A parser written in C keeps all other threads waiting until it has read everything: for 100 MB more
than a second, in which the server answers nobody. Here only the places where elements of an array
end are looked for, by NumPy, and the elements are parsed some at a time. It takes less memory, too,
as the lists of one piece become an array before the next one is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from trainer.serving.http.errors import HTTPError, bad_request, shown
from trainer.serving.models.signature import Tensor, shape_text

# Smaller bodies are read at once.
LARGE = 2**20
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
        text: All of it, brackets included.
        at: Where in the body it begins.
        level: How many arrays and objects it is in.
    """

    text: memoryview
    at: int
    level: int

    def groups(self) -> Iterator[tuple[bytes, int]]:
        """Yield arrays of some elements each, and where in the body their elements begin.

        One that is longer than a piece has a single element.

        Raises:
            HTTPError: This is no array.
        """
        begin = 1
        for commas, end in _separators(self.text, self.at):
            # The first too, so that a long element before it is alone.
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
            HTTPError: This is no array.
        """
        for group, at in self.groups():
            yield self.load(group, at)

    def load(self, group: bytes, at: int) -> list[Any]:
        """Parse what `groups` gave; a long element is not parsed yet.

        Raises:
            HTTPError: It is no JSON.
        """
        if len(group) <= PIECE + 2:
            return loads(group, at - 1)
        return [_load(memoryview(group)[1:-1], at, self.level + 1)]

    @property
    def of_objects(self) -> bool:
        """Whether its first element is an object."""
        return bytes(self.text[1:64]).lstrip(_SPACE).startswith(b"{")


def parse(body: bytes) -> Any:
    """Parse JSON, but for arrays that are long.

    Raises:
        HTTPError: It is none, as far as it has been parsed.
    """
    return _load(memoryview(body), 0, 0)


def is_blank(body: bytes) -> bool:
    """Return whether a body holds nothing; one that does is not copied."""
    return not body[:64].strip() and not body.strip()


def lines(body: bytes) -> Iterator[bytes]:
    """Yield some lines of a body at a time, blank ones aside."""
    begin = 0
    while begin < len(body):
        end = body.find(b"\n", min(begin + PIECE, len(body))) + 1 or len(body)
        piece = body[begin:end]
        if piece.strip():
            yield piece
        begin = end


def loads(text: bytes | memoryview, at: int) -> Any:
    """Parse JSON that begins at this place of a body.

    Raises:
        HTTPError: It is none; in TensorFlow Serving's words.
    """
    try:
        return orjson.loads(text)
    except ValueError as error:
        if any(word in bytes(text) for word in (b"NaN", b"Infinity")):
            raise bad_request(
                "JSON Parse error: NaN or Infinity among the values; expected finite numbers"
            ) from None
        what, place = getattr(error, "msg", "Invalid value"), getattr(error, "pos", 0)
        raise _wrong(what, at + place) from None


def joined(parts: list[np.ndarray], tensor: Tensor) -> np.ndarray:
    """Put arrays of rows of an input together.

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


def _load(text: memoryview, at: int, level: int) -> Any:
    if level > DEEPEST:
        raise bad_request(f"JSON has more than {DEEPEST} levels; expected the values of tensors")
    head = bytes(text[:64])
    skipped = len(head) - len(head.lstrip(_SPACE))
    if len(text) <= PIECE or skipped == len(head) or head[skipped] not in _CLOSED_BY:
        return loads(text, at)
    text, at = text[skipped:], at + skipped
    if text[0] == ord("["):
        return Array(text, at, level)
    found: dict[str, Any] = {}
    begin = 1
    for commas, end in _separators(text, at):
        for place in [*commas, *([] if end is None else [end])]:
            member = text[begin:place]
            if place == end and begin == 1 and not bytes(member).strip(_SPACE):
                return {}
            key, value, where = _member(member, at + begin)
            found[key] = _load(value, where, level + 1)
            begin = int(place) + 1
    return found


def _member(text: memoryview, at: int) -> tuple[str, memoryview, int]:
    """The key of a member of an object, its value, and where that begins."""
    quotes = np.flatnonzero(np.frombuffer(text[:LONGEST_KEY], np.uint8) == _QUOTE)
    for close in quotes[1:]:
        # Up to the first quote that is not escaped, which the parser knows.
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


def _separators(text: memoryview, at: int) -> Iterator[tuple[np.ndarray, int | None]]:
    """Yield the places of the commas between the elements of an array or object, by pieces.

    With the last ones comes the place of its end.
    """
    depth = quoted = escapes = 0
    for start in range(0, len(text), PIECE):
        block = np.frombuffer(text[start : start + PIECE], np.uint8)
        inside, quoted, escapes = _strings(block, quoted, escapes)
        # Upper and lower brackets: [ and { are 91 and 123, ] and } are 93 and 125.
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
    """Tell which bytes are inside of strings.

    Args:
        block: Some of a text.
        quoted: Whether the text before ends inside of one.
        escapes: How many backslashes it ends with.

    Returns:
        That, and what is so at the end of this block.
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


def _wrong(what: str, at: int) -> HTTPError:
    return bad_request(f"JSON Parse error: {shown(what)}. at offset: {at}")
