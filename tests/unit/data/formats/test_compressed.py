"""Files packed with gzip or zlib: whole, damaged, out of proportion, or only looking like it."""

import gzip
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from trainer.config.errors import DataError
from trainer.data.files import find, open_tables
from trainer.data.formats.compressed import packing_of, unpack
from trainer.data.formats.example import encode_examples
from trainer.data.formats.file_reader import read_head, read_sample
from trainer.data.formats.framing import frame
from trainer.data.formats.record_table import TFRecordTable
from trainer.data.formats.tfrecord import FORMAT
from trainer.data.formats.unpacked_file import UnpackedFile

PACK = {"gzip": gzip.compress, "zlib": zlib.compress}
either = pytest.mark.parametrize("packing", PACK)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("packed")


def digits(count):
    rng = np.random.default_rng(count)
    images = rng.integers(0, 256, (count, 28, 28, 1), np.uint8)
    return images, rng.integers(0, 10, count).astype(np.uint8)


def records(count):
    return frame(encode_examples(*digits(count))).tobytes()


def put(path, raw):
    path.write_bytes(raw)
    return path


def error_of(call, *args, **options):
    with pytest.raises(DataError) as caught:
        call(*args, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@settings(deadline=None, max_examples=40)
@given(
    content=st.binary(max_size=2000),
    repeat=st.integers(1, 400),
    level=st.integers(0, 9),
    packing=st.sampled_from(sorted(PACK)),
)
def test_whatever_is_packed_is_unpacked(folder, content, repeat, level, packing):
    content *= repeat
    path = put(folder / "any", PACK[packing](content, level))
    assert b"".join(unpack(path, packing)) == content
    assert read_head(path, 100) == content[:100] or packing == "zlib"


@pytest.mark.parametrize("level", range(10))
@either
def test_the_first_bytes_tell_how_a_file_is_packed(packing, level):
    assert packing_of(PACK[packing](records(3), level)[:128]) == packing


@pytest.mark.parametrize(
    "head",
    [
        b"x^2 + y^2 = 1, of course\n",
        b"\x78\x9c and no stream at all",
        # A record of 376 bytes: its length is 78 01.
        frame(np.zeros((1, 0x178), np.uint8)).tobytes()[:128],
        b"",
        b"\x1f",
    ],
)
def test_what_only_looks_packed_is_read_as_it_is(head):
    assert packing_of(head) == ""


def test_streams_one_behind_the_other_and_zeros_at_the_end_are_one_content(tmp_path):
    raw = gzip.compress(b"one") + gzip.compress(b"two") + bytes(1000)
    assert b"".join(unpack(put(tmp_path / "x", raw), "gzip")) == b"onetwo"


@pytest.mark.parametrize("left", [1, 30, 700])
@either
def test_a_stream_that_is_cut_short_is_named_with_its_file_and_place(tmp_path, packing, left):
    raw = PACK[packing](records(20))[:-left]
    path = put(tmp_path / "a.tfrecord", raw)
    message = error_of(TFRecordTable, path)
    assert message.startswith(f"{path}: damaged {packing} file (it ends before its stream does, at")
    assert f"byte {len(raw)})" in message


def test_the_place_of_a_damaged_byte_is_named(tmp_path):
    # Stored blocks: the header of the second one is damaged.
    raw = bytearray(zlib.compress(bytes(range(256)) * 1000, 0))
    second = 2 + 5 + int.from_bytes(raw[3:5], "little")
    raw[second] = 6
    path = put(tmp_path / "x", bytes(raw))
    message = error_of(lambda: list(unpack(path, "zlib")))
    assert message.startswith(f"{path}: damaged zlib file (invalid block type, at byte {second})")


@either
def test_a_wrong_checksum_of_the_stream_is_an_error(tmp_path, packing):
    raw = bytearray(PACK[packing](records(20)))
    raw[-5 if packing == "gzip" else -1] ^= 1
    message = error_of(TFRecordTable, put(tmp_path / "x", bytes(raw)))
    assert "incorrect data check" in message


def test_a_bomb_is_refused(tmp_path):
    path = put(tmp_path / "x", zlib.compress(bytes(10 << 20)))
    message = error_of(lambda: list(unpack(path, "zlib", free=1 << 20)))
    assert "unpacks to more than 1,3" in message
    assert "out of all proportion" in message


@pytest.mark.parametrize("in_memory", [0, 5000, 1 << 30])
def test_many_packed_files_are_read_at_any_place_in_memory_and_from_disk(tmp_path, in_memory):
    contents = [np.random.default_rng(i).bytes(3000) for i in range(20)]
    files = [
        UnpackedFile(put(tmp_path / str(i), gzip.compress(content)), in_memory=in_memory)
        for i, content in enumerate(contents)
    ]
    for file, content in zip(files, contents, strict=True):
        assert file.size == 3000
        assert file.read(1234, 500) == content[1234:1734]
        assert file.read(2900, 500) == content[2900:]
        with file.stream() as stream:
            assert stream.read(10) == content[:10]
            stream.seek(2995)
            assert stream.read() == content[2995:]


@pytest.mark.parametrize("skip_corrupt", [False, True])
@either
def test_packed_records_are_those_that_were_packed(tmp_path, packing, skip_corrupt):
    images, labels = digits(200)
    path = put(tmp_path / "a.tfrecord", PACK[packing](records(200)))
    [table] = open_tables([str(path)], split="train", skip_corrupt=skip_corrupt)
    assert len(table) == 200
    found, classes = table.read(128, 200)
    np.testing.assert_array_equal(found, images[128:])
    np.testing.assert_array_equal(classes, labels[128:])


@either
def test_records_of_packed_files_are_checked(tmp_path, packing):
    raw = bytearray(records(200))
    stride = len(raw) // 200
    raw[150 * stride + 400] ^= 1
    path = put(tmp_path / "a.tfrecord", PACK[packing](bytes(raw)))
    message = error_of(TFRecordTable(path).read, 0, 200)
    assert message.startswith(
        f"{path}: record 150 at offset {150 * stride} of the unpacked file: data checksum is wrong"
    )
    assert len(TFRecordTable(path, skip_corrupt=True)) == 199


@either
def test_a_packed_file_without_a_record_is_an_empty_shard(tmp_path, packing):
    full = put(tmp_path / "a-00000-of-00002.tfrecord.gz", PACK[packing](records(10)))
    put(tmp_path / "a-00001-of-00002.tfrecord.gz", PACK[packing](b""))
    assert sum(map(len, open_tables([str(tmp_path)], split="train"))) == 10
    assert len(find([str(full)], split="train").paths) == 1


@either
def test_the_number_of_packed_records_is_estimated_from_a_sample(tmp_path, packing):
    path = put(tmp_path / "a.tfrecord", PACK[packing](records(5000)))
    found = FORMAT.estimate([path], sample_bytes=1 << 16)
    assert not found.exact
    assert abs(found.examples - 5000) < 250
    head, share = read_sample(path, 1 << 16)
    assert len(head) == 1 << 16
    assert 0.5 < share < 1.1


def test_files_that_are_unpacked_at_a_time_keep_their_content_apart(tmp_path):
    contents = [np.random.default_rng(i).bytes(9 << 20) for i in range(4)]
    paths = [put(tmp_path / str(i), gzip.compress(raw, 1)) for i, raw in enumerate(contents)]
    with ThreadPoolExecutor(4) as pool:
        files = list(pool.map(lambda path: UnpackedFile(path, in_memory=10 << 20), paths))
    for file, content in zip(files, contents, strict=True):
        assert file.size == len(content)
        for at in (0, (4 << 20) - 3, (8 << 20) - 1, file.size - 5):
            assert file.read(at, 5 << 20) == content[at : at + (5 << 20)]
        with file.stream() as stream:
            assert stream.read() == content


ONE_AFTER_THE_OTHER = """
import sys
from pathlib import Path
from trainer.config.errors import DataError
from trainer.data.formats.unpacked_file import UnpackedFile

whole, cut = map(Path, sys.argv[1:])
for _ in range(3):
    try:
        UnpackedFile(cut, in_memory=30_000)
    except DataError:
        pass
    assert UnpackedFile(whole, in_memory=30_000).is_in_memory
first = UnpackedFile(whole, in_memory=30_000)
assert not UnpackedFile(whole, in_memory=30_000).is_in_memory
"""


def test_memory_of_files_that_are_gone_is_free_again(tmp_path):
    whole = put(tmp_path / "whole", gzip.compress(bytes(range(256)) * 100))
    cut = put(tmp_path / "cut", whole.read_bytes()[:-5])
    subprocess.run([sys.executable, "-c", ONE_AFTER_THE_OTHER, whole, cut], check=True, timeout=60)
