"""Pictures that stay encoded until their batch is due: the same examples, the same errors."""

import io

import numpy as np
import pytest
from PIL import Image

from trainer.config.errors import DataError
from trainer.data.files import open_tables
from trainer.data.formats.framing import masked_crc
from trainer.data.formats.protobuf import field
from trainer.data.formats.read_options import ReadOptions
from trainer.data.host_share import HostShare, SharedStream
from trainer.data.shard import Shard
from trainer.data.stream import Stream

COUNT = 300


def picture(number, kind="PNG"):
    """A picture that holds its number in each row."""
    pixels = np.zeros((9, 11), np.uint8)
    pixels[:, 2:4] = number % 256, number // 256
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def example(number, data):
    """A tf.train.Example of a picture and its label."""

    def feature(name, kind, value):
        return field(1, field(1, name) + field(2, field(kind, value)))

    label = field(1, bytes([number % 7]))
    features = feature(b"image/encoded", 1, field(1, data))
    return field(1, features + feature(b"image/class/label", 3, label))


def tables(folder, form, pictures):
    """Write pictures of seven classes, and open them."""
    if form == "folder":
        for i, data in enumerate(pictures):
            path = folder / str(i % 7) / f"{i:03d}.png"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
        return open_tables([str(folder)], split="train")
    for shard in range(3):
        with (folder / f"{shard}.tfrecord").open("wb") as file:
            for i, data in list(enumerate(pictures))[shard * 100 : shard * 100 + 100]:
                raw = example(i, data)
                length = len(raw).to_bytes(8, "little")
                for part in length, raw:
                    file.write(part + masked_crc(part).to_bytes(4, "little"))
    return open_tables([str(folder)], split="train")


def numbers(images):
    return images[..., 0, 2, 0].astype(int) + 256 * images[..., 0, 3, 0].astype(int)


@pytest.mark.parametrize("form", ["folder", "records"])
@pytest.mark.parametrize("piece", [1, 100, 10_000])
@pytest.mark.parametrize("step", [0, 3, 11])
def test_streamed_pictures_are_those_that_their_numbers_say(tmp_path, form, piece, step):
    found = tables(tmp_path, form, [picture(i) for i in range(COUNT)])
    assert all(table.picture_bytes is not None for table in found)
    whole, labels = Stream(found, batch_size=COUNT, training=False).memory
    assert sorted(numbers(whole)) == list(range(COUNT))
    for training in True, False:
        stream = Stream(
            found, batch_size=32, training=training, cache_mb=0, piece_examples=piece, seed=5
        )
        left = 25 if training else COUNT // 32 + 1 - step
        for (images, own), ids in zip(stream.chunks(step), stream.indices(step), strict=False):
            np.testing.assert_array_equal(images, whole[ids])
            np.testing.assert_array_equal(own, labels[ids])
            left -= len(own)
            if left <= 0:
                break
        assert left <= 0


@pytest.mark.parametrize("form", ["folder", "records"])
def test_hosts_that_hold_other_pictures_decode_their_own(tmp_path, form):
    found = tables(tmp_path, form, [picture(i) for i in range(COUNT)])
    share = HostShare(batch=64, own=COUNT, total=2 * COUNT)
    seen = []
    for process in range(2):
        stream = SharedStream(
            Stream(found, batch_size=1, training=True, cache_mb=0, piece_examples=64),
            share,
            Shard(process, 2, by="record"),
        )
        rows = 0
        for images, _, weights in stream.chunks():
            seen += numbers(images)[weights > 0].tolist()
            rows += len(weights)
            if rows >= 9:
                break
    # An epoch of this host is 9 steps and a part of the tenth: no picture comes twice in nine.
    assert len(seen) == len(set(seen)) >= 9 * 32 - 2


@pytest.mark.parametrize("cache", [0, 1024])
@pytest.mark.parametrize("form", ["folder", "records"])
def test_a_damaged_picture_is_named_when_its_batch_is_due(tmp_path, form, cache):
    pictures = [picture(i) for i in range(COUNT)]
    whole = pictures[207]
    pictures[207] = whole[:50] + bytes([whole[50] ^ 1]) + whole[51:]
    found = tables(tmp_path, form, pictures)
    name = r"207\.png: damaged PNG" if form == "folder" else r"2\.tfrecord: record 7: damaged PNG"
    with pytest.raises(DataError, match=name):
        for _ in Stream(found, batch_size=10, training=False, cache_mb=cache).chunks():
            pass


def test_pictures_that_take_more_memory_encoded_are_decoded_at_once(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    raw = [file.getvalue()] * 20
    path = tmp_path / "a.tfrecord"
    with path.open("wb") as out:
        for i, data in enumerate(raw):
            each = example(i, data)
            for part in len(each).to_bytes(8, "little"), each:
                out.write(part + masked_crc(part).to_bytes(4, "little"))
    [table] = open_tables([str(path)], split="train", options=ReadOptions(image_size=(8, 8)))
    assert table.picture_bytes > table.spec.size
    images, labels = next(Stream([table], batch_size=20, training=False, cache_mb=0).chunks())
    assert images.shape == (1, 20, 8, 8, 3)
    np.testing.assert_array_equal(labels[0], np.arange(20) % 7)


def test_a_new_order_of_classes_leaves_pictures_encoded(tmp_path):
    tables(tmp_path, "folder", [picture(i) for i in range(COUNT)])
    names = tuple("6543210")
    [table] = open_tables([str(tmp_path)], split="train", options=ReadOptions(class_names=names))
    for images, labels in Stream([table], batch_size=50, training=False, cache_mb=0).chunks():
        np.testing.assert_array_equal(labels, 6 - numbers(images) % 7)
