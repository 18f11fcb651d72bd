import gzip
import io
import os
import shutil
import tarfile
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from made_models import member, tar, tree

from trainer.config.errors import UserError
from trainer.storage.archive import ArchiveLimits, unpack_archive

STRICT = ArchiveLimits(members=10, size=2**20, links=False)


def header(**fields: bytes) -> bytes:
    """One block of 512 bytes, its fields set by hand."""
    places = {"name": 0, "mode": 100, "size": 124, "type": 156, "linkname": 157, "magic": 257}
    block = bytearray(512)
    for key, value in {"mode": b"0000644\0", "magic": b"ustar\x0000", **fields}.items():
        block[places[key] : places[key] + len(value)] = value
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


HUGE = b"\x80\0\0\0" + (2**33).to_bytes(8, "big")
NEGATIVE = b"\xff" * 8 + (-512 & 0xFFFFFFFF).to_bytes(4, "big")

STRICTLY = {
    "symbolic link": [member("l", type=tarfile.SYMTYPE, linkname="ok")],
    "hard link": [member("ok"), member("l", type=tarfile.LNKTYPE, linkname="ok")],
    "twice": [member("ok", b"1"), member("./ok", b"2")],
    "file over a folder": [member("ok", type=tarfile.DIRTYPE), member("ok")],
    "device": [member("null", type=tarfile.CHRTYPE)],
    "absolute": [member("/etc/passwd")],
    "outside": [member("a/../../x")],
}


@pytest.mark.parametrize("members", STRICTLY.values(), ids=STRICTLY)
def test_where_links_are_not_allowed_neither_is_anything_but_plain_files(tmp_path, members):
    archive = tar(tmp_path / "a.tar.gz", member("first"), *members)
    with pytest.raises(UserError, match=r"^model: not unpacked: its member '.+' is ") as caught:
        unpack_archive(archive, tmp_path / "out", name="model", limits=STRICT)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz", "w"])
def test_files_and_folders_are_unpacked_whatever_compressed_them(tmp_path, mode):
    archive = tar(
        tmp_path / "a.tar",
        member("1", type=tarfile.DIRTYPE),
        member("1", type=tarfile.DIRTYPE),
        member("1/saved_model.pb", b"graph"),
        member("./1/variables/" + "long" * 60, b"weights"),
        mode=mode,
    )
    unpack_archive(archive, tmp_path / "out", name="model", limits=STRICT)
    expected = {"1/saved_model.pb": b"graph", "1/variables/" + "long" * 60: b"weights"}
    assert tree(tmp_path / "out") == expected


def changed(raw: bytes, place: int) -> bytes:
    return raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]


DAMAGE = {
    "checksum": lambda raw: changed(raw, len(raw) - 6),
    "last byte missing": lambda raw: raw[:-1],
    "last block missing": lambda raw: raw[: -len(raw) // 3],
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_a_compressed_archive_is_read_to_its_end_before_it_counts_as_whole(tmp_path, mode, damage):
    # More than is read ahead, so that the end is not seen by chance.
    noise = np.random.default_rng(0).bytes(2**18)
    archive = tar(tmp_path / "a", member("1/saved_model.pb", noise), mode=mode)
    archive.write_bytes(damage(archive.read_bytes()))
    with pytest.raises(UserError, match=r"^model: not a whole tar file: "):
        unpack_archive(archive, tmp_path / "out", name="model")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "damage",
    [
        # The mark of the end, which is two blocks of zeros, is missing.
        lambda raw: raw[:2048],
        lambda raw: raw[:2348],
        # The second header: the members from there on would be left out.
        lambda raw: changed(raw, 1024),
    ],
)
def test_a_tar_file_without_its_end_or_with_a_damaged_header_is_refused(tmp_path, damage):
    archive = tar(tmp_path / "a", *(member(name, b"1") for name in "abc"), mode="w")
    archive.write_bytes(damage(archive.read_bytes()))
    with pytest.raises(UserError, match="model: not a whole tar file: it is cut short, or a head"):
        unpack_archive(archive, tmp_path / "out", name="model")


def test_what_is_larger_unpacked_than_allowed_is_refused_before_it_is_written(tmp_path):
    archive = tar(tmp_path / "a.tar.gz", member("a", bytes(2**21)), member("b"))
    assert archive.stat().st_size < 10_000
    with pytest.raises(UserError, match="not a whole tar file: more than 1048576 bytes unpacked"):
        unpack_archive(archive, tmp_path / "out", name="model", limits=STRICT)
    assert not (tmp_path / "out").exists()


def test_too_many_members_are_refused(tmp_path):
    archive = tar(tmp_path / "a.tar.gz", *(member(str(n)) for n in range(11)))
    with pytest.raises(UserError, match="it has more than 10 members"):
        unpack_archive(archive, tmp_path / "out", name="model", limits=STRICT)


def test_what_does_not_fit_on_the_disk_is_refused(tmp_path):
    size = shutil.disk_usage(tmp_path).free // 512 * 512 + 2**30
    archive = tmp_path / "a.tar"
    archive.write_bytes(header(name=b"a", size=b"\x80" + size.to_bytes(11, "big"), type=b"0"))
    # As a file with a hole it needs no room itself.
    os.truncate(archive, 512 + size + 1024)
    with pytest.raises(UserError, match=r"model: takes \d+ MB unpacked, but .*out has \d+ MB left"):
        unpack_archive(archive, tmp_path / "out", name="model", limits=ArchiveLimits(size=2**60))
    assert tree(tmp_path / "out") == {}


@pytest.mark.parametrize("kind", [b"L", b"K", b"x", b"g"], ids=["name", "link", "pax", "global"])
@pytest.mark.parametrize("size", [HUGE, NEGATIVE], ids=["huge", "negative"])
def test_a_header_that_says_it_is_huge_does_not_fill_memory(tmp_path, kind, size):
    archive = tmp_path / "a.tar.gz"
    raw = header(name=b"././@LongLink", size=size, type=kind) + bytes(2**25)
    archive.write_bytes(gzip.compress(raw, 1))
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=r"^model: not "):
            unpack_archive(
                archive, tmp_path / "out", name="model", limits=ArchiveLimits(links=False)
            )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**23


def attributes(folder: Path) -> Path:
    parts = [member(f"{n}", pax_headers={"comment": "x" * 2**20}) for n in range(30)]
    return tar(folder / "a.tar.gz", *parts)


def small_attributes(folder: Path) -> Path:
    parts = [member(f"{n}", pax_headers={"comment": "x" * 12_000}) for n in range(3000)]
    return tar(folder / "a.tar.gz", *parts)


def names(folder: Path) -> Path:
    return tar(folder / "a.tar.gz", *(member(f"{n}" + "/x" * 6000) for n in range(30)))


def holes(folder: Path) -> Path:
    """GNU's sparse files, version 1.0: the list of holes stands where the data should."""
    body = b"10000000\n" + b"0\n" * 2**23
    keys = {"major": "1", "minor": "0", "name": "f", "realsize": "5"}
    pax = {f"GNU.sparse.{key}": value for key, value in keys.items()}
    return tar(folder / "a.tar.gz", member("f", body + bytes(-len(body) % 512), pax_headers=pax))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (attributes, "a member with headers of more than 16384 bytes"),
        (names, r"its member '0/x.{197}…' is named, .*of more than 4096 characters"),
        (holes, "a member with headers of more than 16384 bytes"),
        (small_attributes, "it has more than 2900 members"),
    ],
)
def test_what_stands_before_members_does_not_fill_memory(tmp_path, make, expected):
    archive = make(tmp_path)
    assert archive.stat().st_size < 2_000_000
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=f"^model: not .*{expected}") as caught:
            unpack_archive(
                archive, tmp_path / "out", name="model", limits=ArchiveLimits(members=2900)
            )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**23
    assert len(str(caught.value)) < 400


def test_a_sparse_file_is_refused(tmp_path):
    archive = tmp_path / "a.tar"
    sparse = bytearray(header(name=b"a", size=b"00000000000\0", type=b"S"))
    # Its real size: 8 GiB less one byte, of which nothing is there.
    sparse[483:495] = b"77777777777\0"
    sparse[148:156] = b" " * 8
    sparse[148:156] = b"%06o\0 " % sum(sparse)
    archive.write_bytes(bytes(sparse) + bytes(1024))
    with pytest.raises(UserError, match="a sparse file"):
        unpack_archive(archive, tmp_path / "out", name="model")


@pytest.mark.parametrize("raw", [b"", b"no archive", b"\x1f\x8bnone", b"\xfd7zXZ\0none"])
def test_what_is_no_archive_is_reported_in_one_line(tmp_path, raw):
    (tmp_path / "a").write_bytes(raw)
    with pytest.raises(UserError, match=r"^model: not a whole tar file: .+") as caught:
        unpack_archive(tmp_path / "a", tmp_path / "out", name="model")
    assert "\n" not in str(caught.value)


def test_a_missing_archive_is_reported_in_one_line(tmp_path):
    with pytest.raises(UserError, match="cannot be unpacked: No such file"):
        unpack_archive(tmp_path / "none", tmp_path / "out", name="model")


def damaged() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info, data in [
            member("1/saved_model.pb", b"graph" * 50),
            member("1/" + "name" * 40, b"x", pax_headers={"comment": "é" * 50}),
            member("l", type=tarfile.SYMTYPE, linkname="1"),
            member("d", type=tarfile.DIRTYPE),
        ]:
            archive.addfile(info, io.BytesIO(data) if info.isreg() else None)
    return out.getvalue()


WHOLE = damaged()


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=8),
    st.integers(0, len(WHOLE)),
    st.booleans(),
)
def test_damaged_archives_end_in_one_line_and_nothing_outside(changes, length, zipped):
    raw = bytearray(WHOLE)
    for place, byte in changes:
        raw[place] = byte
        # With a checksum that fits, so that what is in the header counts.
        start = place // 512 * 512
        if raw[start + 257 : start + 262] == b"ustar" and not start <= place - 148 < start + 8:
            raw[start + 148 : start + 156] = b" " * 8
            raw[start + 148 : start + 156] = b"%06o\0 " % sum(raw[start : start + 512])
    raw = bytes(raw[:length])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        archive = folder / "a.tar"
        archive.write_bytes(gzip.compress(raw, 1) if zipped else raw)
        try:
            unpack_archive(archive, folder / "out", name="model", limits=ArchiveLimits(size=2**20))
        except UserError as error:
            assert "\n" not in str(error)
        assert {path.name for path in folder.iterdir()} <= {"a.tar", "out"}
        for path in (folder / "out").rglob("*"):
            assert path.resolve().is_relative_to((folder / "out").resolve())
