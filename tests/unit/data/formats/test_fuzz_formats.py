"""Damaged files of every format: read, or refused in one line; no crash, no hang, little memory.

More than the few that run among the tests, of every format or of some:

    python tests/unit/data/formats/test_fuzz_formats.py --count 100000 [--seed N] [FORMAT ...]
"""

import argparse
import faulthandler
import gzip
import io
import json
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from column_files import hugging_face, vectors
from PIL import Image
from pyarrow import parquet

from trainer.config.errors import UserError
from trainer.data.files import open_tables
from trainer.data.formats.example import encode_examples
from trainer.data.formats.framing import frame
from trainer.data.formats.idx import pack
from trainer.data.formats.protobuf import field, to_varint
from trainer.data.formats.registry import FORMATS
from trainer.data.formats.table import BLOCK_RECORDS

# No file takes longer, nor all of them together more memory.
LONGEST_SECONDS = 20
MOST_MEMORY = 1 << 30
FEW = 400

rng = np.random.default_rng(0)
PIXELS = rng.integers(0, 256, (70, 28, 28), np.uint8)
LABELS = (np.arange(70) % 10).astype(np.uint8)


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npz(save, **arrays):
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


def tfrecord(rows):
    return frame(rows).data.tobytes()


def one_record(message):
    return tfrecord(np.frombuffer(message, np.uint8)[None])


def one_member(raw):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", raw)
        archive.writestr("y.npy", npy(LABELS))
    return file.getvalue()


def picture(image, kind="PNG"):
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind)
    return file.getvalue()


def folders(kind):
    images = enumerate(PIXELS[:4])
    return {f"{'ab'[i % 2]}/{i}.{kind.lower()}": picture(image, kind) for i, image in images}


def csv(images):
    pixels = images[:20].reshape(20, -1)
    head = ["label", *(f"pixel{i}" for i in range(pixels.shape[1]))]
    rows = np.column_stack([LABELS[:20].astype(object), pixels]).tolist()
    return "".join(",".join(map(str, row)) + "\n" for row in [head, *rows]).encode()


def pixel_columns():
    columns = {f"pixel{i}": values for i, values in enumerate(PIXELS.reshape(70, -1)[:, :64].T)}
    return written({"label": LABELS, **columns})


def pictures():
    return written(
        {"label": LABELS[:9], "image": pa.array([picture(image) for image in PIXELS[:9]])}
    )


NAMES = pa.array([f"name {label}" for label in LABELS[:20].tolist()])


def text_of_pixels():
    rows = (" ".join(map(str, row)) for row in PIXELS[:20, :8, :8].reshape(20, 64).tolist())
    return b"label,pixels\n" + "".join(f'a{i % 3},"{r}"\n' for i, r in enumerate(rows)).encode()


def hub():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.parquet")
        return hugging_face(path, PIXELS[:9], LABELS[:9], names=map(str, range(10))).read_bytes()


def written(columns):
    file = io.BytesIO()
    parquet.write_table(pa.table(columns), file, row_group_size=20)
    return file.getvalue()


RECORDS = encode_examples(PIXELS[:9, ..., None], LABELS[:9])


def feature(value):
    if isinstance(value, bytes):
        return field(1, field(1, value))
    if isinstance(value, int):
        return field(3, field(1, bytes([value])))
    number = 2 if value.dtype.kind == "f" else 3
    raw = value.astype("<f4").tobytes() if number == 2 else b"".join(map(to_varint, value.tolist()))
    return field(number, field(1, raw))


def features(named, serialised=feature):
    return b"".join(
        field(1, field(1, name.encode()) + field(2, serialised(value)))
        for name, value in named.items()
    )


def example(**named):
    return field(1, features(named))


def sequence(image, label):
    frames = features({"image": image}, lambda value: field(1, feature(value)))
    return field(1, features({"label": label})) + field(2, frames)


def after_sound_ones(*sound):
    """Frame a damaged message between others."""
    return lambda message: b"".join(map(one_record, (sound[0], message, *sound[1:], message)))


PNGS = [example(image=picture(PIXELS[i]), label=i, name=b"x" * i) for i in range(3)]

DESCRIPTION = json.dumps(
    {
        "featuresDict": {
            "features": {
                "image": {
                    "pythonClassName": "features.Image",
                    "image": {"shape": {"dimensions": ["28", "28", "1"]}},
                },
                "label": {"pythonClassName": "features.ClassLabel"},
            }
        }
    }
).encode()

# For each format some data sets that are whole: by the name of each file its bytes, or bytes with
# a function that packs them after they have been damaged, so that checksums are right. A new format
# has a line here.
SAMPLES = {
    "tfrecord": [
        lambda: {"a.tfrecord": tfrecord(RECORDS)},
        lambda: {"a.tfrecord": (RECORDS[0].tobytes(), one_record)},
        lambda: {"a.tfrecord.gz": (tfrecord(RECORDS), gzip.compress)},
        lambda: {"a.tfrecord": zlib.compress(tfrecord(RECORDS))},
        lambda: {"a.tfrecord": (PNGS[0], after_sound_ones(*PNGS))},
        lambda: {"a.tfrecord": (PNGS[0], one_record)},
        lambda: {"a.tfrecord": (example(image=picture(PIXELS[0], "JPEG"), label=1), one_record)},
        lambda: {"a.tfrecord": (example(image=PIXELS[0].ravel(), label=1), one_record)},
        lambda: {"a.tfrecord": (example(x=PIXELS[0].ravel() / 255, label=b"cat"), one_record)},
        lambda: {"a.tfrecord": (sequence(picture(PIXELS[0]), 1), one_record)},
        lambda: {"a.tfrecord": b"".join(map(one_record, PNGS)), "features.json": DESCRIPTION},
    ],
    "idx": [
        lambda: {"images": pack(PIXELS), "labels": pack(LABELS)},
        lambda: {"images": pack(PIXELS.astype("f4")), "labels": pack(LABELS[:, None])},
        lambda: {"images.gz": gzip.compress(pack(PIXELS)), "labels": pack(LABELS)},
        lambda: {"images.gz": (pack(PIXELS), gzip.compress), "labels": pack(LABELS)},
    ],
    "npy": [
        lambda: {"x.npy": npy(PIXELS), "y.npy": npy(LABELS)},
        lambda: {"x.npy": npy(np.asfortranarray(PIXELS / 255)), "y.npy": npy(np.eye(10)[LABELS])},
        lambda: {"x.npy": npy(PIXELS), "y.npy": npy(LABELS.astype("U3"))},
    ],
    "npz": [
        lambda: {"a.npz": npz(np.savez, x_train=PIXELS, y_train=LABELS, x_test=PIXELS)},
        lambda: {"a.npz": npz(np.savez_compressed, x=PIXELS.reshape(70, 784) / 255, y=LABELS)},
        lambda: {"a.npz": (npy(PIXELS), one_member)},
    ],
    "images": [
        lambda: folders("PNG"),
        lambda: folders("JPEG"),
        lambda: folders("WEBP"),
        lambda: folders("BMP"),
        lambda: {**folders("PNG"), "labels.csv": b"filename,label\na/0.png,x\nb/1.png,y\n"},
    ],
    "csv": [
        lambda: {"a.csv": csv(PIXELS)},
        lambda: {"a.csv": csv(PIXELS[:, :8, :8] / 255)},
        lambda: {"a.csv.gz": (csv(PIXELS), gzip.compress)},
        lambda: {"a.csv": csv(PIXELS[:, :8, :8]).partition(b"\n")[2].replace(b",", b"\t")},
        lambda: {"a.csv": text_of_pixels()},
    ],
    "parquet": [
        lambda: {"a.parquet": pixel_columns()},
        lambda: {"a.parquet": pictures()},
        lambda: {"a.parquet": hub()},
        lambda: {
            "a.parquet": written(
                {"y": NAMES.dictionary_encode(), "x": vectors(PIXELS[:20, :8, :8], sparse=True)}
            )
        },
        lambda: {"a.parquet": written({"y": NAMES, "x": pa.array(PIXELS[:20, :8, :8].tolist())})},
    ],
}  # fmt: skip

# Numbers at which readers break.
EDGES = (0, 1, 2**7, 2**8 - 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1)


def damaged(raw, random_):
    """Return bytes with one to three faults, most near the beginning, most of the same length."""
    raw = bytearray(raw)
    for _ in range(random_.choice((1, 1, 1, 2, 3))):
        span = min(len(raw), random_.choice((16, 128, 512, len(raw))))
        at = random_.randrange(span + 1)
        size = random_.choice((1, 1, 2, 4, 8, 64))
        match random_.randrange(16):
            case 0:
                del raw[at:]
            case 1:
                del raw[at : at + size]
            case 2:
                raw[at:at] = random_.randbytes(size)
            case 3:
                raw[at:at] = raw[at : at + size * 8]
            case 4 | 5:
                raw[at : at + size] = raw[at + size : at + 2 * size][:size]
            case 6 | 7:
                rest = len(raw[at : at + size])
                raw[at : at + size] = bytes([random_.choice((0, 0x7F, 0x80, 0xFF))]) * rest
            case 8 | 9 | 10:
                width = random_.choice((1, 2, 4, 8))
                number = random_.choice(EDGES) % 2 ** (8 * width)
                raw[at : at + width] = number.to_bytes(width, random_.choice(("little", "big")))
            case 11 | 12 if at < len(raw):
                # Headers of texts: digits, brackets, letters.
                raw[at] = random_.choice(b"0123456789(),'<>|bifuUOSV-e. ")
            case 13 | 14 if at < len(raw):
                raw[at] ^= 1 << random_.randrange(8)
            case _:
                raw[at : at + size] = random_.randbytes(len(raw[at : at + size]))
    return bytes(raw)


def whole(content):
    """Return the bytes of a file of a sample."""
    return content if isinstance(content, bytes) else content[1](content[0])


def read_all(folder, skip_corrupt=0):
    """Read a folder as training does; return the line of the error if it is refused."""
    try:
        tables = open_tables([str(folder)], split="train", skip_corrupt=skip_corrupt)
        for table in tables:
            table.label_counts()
            for start in range(0, len(table), BLOCK_RECORDS):
                stop = min(start + BLOCK_RECORDS, len(table))
                images, labels = table.read(start, stop)
                assert images.shape == (stop - start, *table.spec.shape), images.shape
                assert images.dtype == table.spec.dtype, images.dtype
                assert labels.shape == (stop - start,), labels.shape
                assert labels.dtype.kind in "iu", labels.dtype
    except UserError as error:
        line = str(error)
        assert line, "an empty message"
        assert "\n" not in line, line
        assert len(line) < 2000, line
        return line
    return None


class HangError(Exception):
    """A file took too long."""


def too_long(*_):
    raise HangError(f"more than {LONGEST_SECONDS} s")


def fuzz(kind, count, seed):
    """Read damaged files of a format, and return what came of it; print what must not be."""
    faulthandler.enable()
    signal.signal(signal.SIGALRM, too_long)
    # What asks for absurd amounts at once fails, instead of being given pages it never touches.
    resource.setrlimit(resource.RLIMIT_AS, (16 << 30, 16 << 30))
    samples = [make() for make in SAMPLES[kind]]
    counts = {"read": 0, "refused": 0}
    failures, slowest = [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(seed, seed + count):
            random_ = random.Random(number)
            files = dict(random_.choice(samples))
            name = random_.choice(sorted(files))
            raw = files[name]
            if isinstance(raw, bytes):
                files[name] = damaged(raw, random_)
            else:
                files[name] = damaged(raw[0], random_), raw[1]
            for file, content in files.items():
                path = Path(folder, file)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(whole(content))
            signal.alarm(LONGEST_SECONDS)
            start = time.monotonic()
            try:
                line = read_all(folder, random_.choice((0, 100)))
                counts["refused" if line else "read"] += 1
            except Exception:
                failures.append({"seed": number, "why": traceback.format_exc()})
            finally:
                signal.alarm(0)
                slowest = max(slowest, time.monotonic() - start)
            for path in sorted(Path(folder).rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
    return {**counts, "failures": failures, "slowest": slowest, "memory": most_memory()}


def most_memory():
    """The most bytes that this program had; getrusage counts those of its parent before it."""
    status = Path("/proc/self/status").read_text()
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if "VmHWM" in line)


def run(kind, count, seed=0):
    command = [sys.executable, __file__, "--count", str(count), "--seed", str(seed), "--one", kind]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, f"{kind}: {ran.stderr[-3000:]}"
    return json.loads(ran.stdout.splitlines()[-1])


def check(found):
    assert not found["failures"], found["failures"][0]["why"]
    assert found["memory"] < MOST_MEMORY
    # Both happen, or the faults are too mild or too hard.
    assert found["read"]
    assert found["refused"]


def test_every_format_has_samples_that_are_whole(tmp_path):
    assert sorted(SAMPLES) == sorted(FORMATS)
    for kind, samples in SAMPLES.items():
        for i, make in enumerate(samples):
            for name, raw in make().items():
                path = tmp_path / f"{kind}{i}" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(whole(raw))
            assert read_all(tmp_path / f"{kind}{i}") is None
            assert open_tables([str(tmp_path / f"{kind}{i}")], split="train")[0].kind == kind


@pytest.mark.parametrize("kind", SAMPLES)
def test_damaged_files_are_read_or_refused_in_one_line(kind):
    check(run(kind, FEW))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000, help="files, all formats together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("formats", nargs="*", metavar="FORMAT", default=list(SAMPLES))
    args = parser.parse_args()
    if args.one:
        print(json.dumps(fuzz(args.formats[0], args.count, args.seed)))
        return
    each = -(-args.count // len(args.formats))
    for kind in args.formats:
        found = run(kind, each, args.seed)
        shown = {**found, "failures": len(found["failures"])}
        print(kind, json.dumps(shown))
        # Each fault once, by where it came up.
        for why, seed in {f["why"][-300:]: f["seed"] for f in found["failures"]}.items():
            print(f"seed {seed}: …{why}")


if __name__ == "__main__":
    main()
