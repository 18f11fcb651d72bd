"""Count of a message that a client is sending, against the limits of headers and chunks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

# nginx, which stands before the model in SageMaker's container, takes half of this.
HEADER_BYTES = 2**16
HEADER_FIELDS = 200
# A body in chunks of one byte has six bytes around each. More than that is no transfer of a body.
CHUNK_OVERHEAD = 8


class MessagePart(Enum):
    """The part of a message that a client is sending."""

    BETWEEN, HEADER, BODY = range(3)


# Looking members up in the class would cost each request a microsecond.
BETWEEN, HEADER, BODY = MessagePart


class LimitError(Exception):
    """A client has sent more than it may.

    Args:
        status: HTTP's, of the response that ends the connection.
        message: What it has sent too much of.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(slots=True)
class MessageMeter:
    """Counts the bytes and fields of the message that is being sent.

    The connection reports what the parser finds, and each piece of bytes after it was parsed.

    Attributes:
        part: The part that is being sent.
        header_bytes: Bytes of the whole fields of this header, and of the path before them.
        header_fields: Number of those fields.
        unparsed_bytes: Bytes of a header that make no whole field yet.
        body_bytes: Bytes of this body.
        overhead_bytes: Bytes around the chunks of this body, and behind the last.
        part_changed: Whether another part began in the piece that is being parsed.
    """

    part: MessagePart = BETWEEN
    header_bytes: int = 0
    header_fields: int = 0
    unparsed_bytes: int = 0
    body_bytes: int = 0
    overhead_bytes: int = 0
    part_changed: bool = False

    @property
    def in_header(self) -> bool:
        """True from the first byte of a header, or of empty lines before it, to the last."""
        return self.part is HEADER or (self.part is not BODY and self.unparsed_bytes > 0)

    def enter(self, part: MessagePart) -> None:
        """Begin to count another part."""
        self.part, self.part_changed = part, True
        self.header_bytes = self.header_fields = self.unparsed_bytes = 0
        if part is BODY:
            self.body_bytes = self.overhead_bytes = 0

    def add_path(self, size: int) -> None:
        """Count some of the path.

        Raises:
            LimitError: The header is too large.
        """
        self.header_bytes += size
        if self.header_bytes > HEADER_BYTES:
            raise _header_too_large()

    def add_field(self, size: int) -> None:
        """Count a field of the header.

        Args:
            size: Bytes of its name and value.

        Raises:
            LimitError: The header is too large.
        """
        self.header_bytes += size + 4  # ": " and the end of the line
        self.header_fields += 1
        if self.header_bytes > HEADER_BYTES or self.header_fields > HEADER_FIELDS:
            raise _header_too_large()

    def add_piece(self, size: int, *, part_before: MessagePart, body_size: int) -> None:
        """Count, of a piece that was parsed, what belongs to no whole field or chunk.

        Args:
            size: Bytes of the piece.
            part_before: The part that was being sent when it came.
            body_size: Bytes in it that belong to the body.

        Raises:
            LimitError: There is too much of that.
        """
        if self.part_changed:
            # The parser does not say where in the piece; the next piece will be counted whole.
            self.unparsed_bytes = 0
        elif self.part is not BODY:
            self.unparsed_bytes += size
            if self.unparsed_bytes > HEADER_BYTES:
                raise _header_too_large()
        elif part_before is BODY:
            self.overhead_bytes += size - body_size
            if self.overhead_bytes > HEADER_BYTES + CHUNK_OVERHEAD * self.body_bytes:
                raise LimitError(400, "more between the chunks of a body than in them")


def _header_too_large() -> LimitError:
    return LimitError(
        431, f"the header is larger than {HEADER_BYTES // 1024} KiB, or has more than "
        f"{HEADER_FIELDS} fields"
    )  # fmt: skip
