"""What S3 says of an object's bytes."""

from __future__ import annotations

import base64

import pytest

from trainer.storage.sync.checksums import Checksums
from trainer.storage.sync.s3 import checksums_of

MD5 = "0123456789abcdef0123456789abcdef"
TAG = {"ETag": f'"{MD5}"'}


def encoded(digits: str) -> str:
    return base64.b64encode(bytes.fromhex(digits)).decode()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (TAG, Checksums(md5=MD5)),
        (TAG | {"ServerSideEncryption": "AES256"}, Checksums(md5=MD5)),
        # Encrypted so, the ETag looks like an MD5 and is none.
        (TAG | {"ServerSideEncryption": "aws:kms"}, Checksums()),
        (TAG | {"ServerSideEncryption": "aws:kms:dsse"}, Checksums()),
        (TAG | {"SSECustomerAlgorithm": "AES256"}, Checksums()),
        (
            TAG
            | {"ServerSideEncryption": "aws:kms", "ChecksumType": "FULL_OBJECT"}
            | {"ChecksumCRC64NVME": encoded("ae8b14860a799888")},
            Checksums(crc64nvme="ae8b14860a799888"),
        ),
        (TAG | {"ChecksumSHA256": encoded("ab" * 32)}, Checksums(md5=MD5, sha256="ab" * 32)),
        # A checksum of the parts' checksums.
        ({"ChecksumSHA256": encoded("ab" * 32) + "-3"}, Checksums()),
        ({"ChecksumType": "COMPOSITE", "ChecksumCRC32C": encoded("ab" * 4)}, Checksums()),
        ({"ETag": f'"{MD5}-2"'}, Checksums(parts_md5=f"{MD5}-2", part_size=8 * 2**20)),
    ],
)
def test_only_what_is_a_checksum_of_all_bytes_counts(answer, expected):
    assert checksums_of(answer, 10 * 2**20) == expected
