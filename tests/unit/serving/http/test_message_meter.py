"""Limits of headers and chunks, without a connection."""

import pytest

from trainer.serving.http.message_meter import (
    BETWEEN,
    BODY,
    CHUNK_OVERHEAD,
    HEADER,
    HEADER_BYTES,
    HEADER_FIELDS,
    LimitError,
    MessageMeter,
)


def in_part(part) -> MessageMeter:
    meter = MessageMeter()
    meter.enter(part)
    meter.part_changed = False
    return meter


def test_a_header_of_the_largest_size_is_allowed_and_a_byte_more_is_431():
    meter = in_part(HEADER)
    meter.add_path(HEADER_BYTES - 10)
    meter.add_field(6)
    with pytest.raises(LimitError) as caught:
        meter.add_path(1)
    assert caught.value.status == 431
    meter.enter(HEADER)
    meter.add_path(HEADER_BYTES)


def test_a_header_may_not_have_more_fields_than_the_limit():
    meter = in_part(HEADER)
    for _ in range(HEADER_FIELDS):
        meter.add_field(1)
    with pytest.raises(LimitError, match="more than 200 fields"):
        meter.add_field(1)


@pytest.mark.parametrize("part", [BETWEEN, HEADER])
def test_bytes_that_make_no_field_are_bounded(part):
    meter = in_part(part)
    meter.add_piece(HEADER_BYTES, part_before=part, body_size=0)
    assert meter.in_header
    with pytest.raises(LimitError, match="larger than 64 KiB"):
        meter.add_piece(1, part_before=part, body_size=0)


def test_a_part_that_begins_in_a_piece_starts_the_count_anew():
    meter = in_part(BETWEEN)
    meter.add_piece(HEADER_BYTES, part_before=BETWEEN, body_size=0)
    meter.enter(HEADER)
    meter.add_piece(HEADER_BYTES, part_before=BETWEEN, body_size=0)
    assert meter.unparsed_bytes == 0


def test_bytes_around_chunks_are_bounded_by_those_in_them():
    meter = in_part(BODY)
    meter.body_bytes = 1000
    allowed = HEADER_BYTES + CHUNK_OVERHEAD * 1000
    meter.add_piece(allowed + 1000, part_before=BODY, body_size=1000)
    with pytest.raises(LimitError) as caught:
        meter.add_piece(1, part_before=BODY, body_size=0)
    assert caught.value.status == 400
