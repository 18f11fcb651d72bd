from .record import (
    SCHEMA_VERSION as SCHEMA_VERSION,
    RunRecord as RunRecord,
    decode_record as decode_record,
    encode_record as encode_record,
    read_record as read_record,
)
