"""Tables of two arrays in the pipeline: what a model gets, and how much memory it takes."""

import tracemalloc

import numpy as np
import pytest

from trainer.config.errors import DataError
from trainer.data.files import open_tables
from trainer.data.stream import Stream

COUNT = 300
FORMS = {
    "floats": lambda x: (x / 255).astype("f4"),
    "rows of floats": lambda x: (x / 255).reshape(COUNT, 784).astype("f4"),
    "floats from -1": lambda x: x / 127.5 - 1,
    "floats to 255": lambda x: x.astype("f8"),
    "wide": lambda x: x.astype(">u2") * 257,
    "integers": lambda x: x.astype("i8"),
    "channels first": lambda x: x[:, None],
    "in Fortran order": lambda x: np.asfortranarray(x / 255),
}


def digits(count=COUNT):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (count, 28, 28), np.uint8)
    pixels[:, 0, :2] = 0, 255
    return pixels, np.arange(count) % 10


def saved(folder, images, labels):
    folder.mkdir()
    np.save(folder / "x.npy", images)
    np.save(folder / "y.npy", labels)
    return open_tables([str(folder)], split="train")


@pytest.mark.tensorflow
@pytest.mark.parametrize("cache_mb", [0, 100], ids=["streamed", "cached"])
def test_a_model_gets_the_same_batches_whatever_the_form(tmp_path, cache_mb):
    from trainer.data.pipeline import make_dataset

    def batches(name, images, labels):
        tables = saved(tmp_path / name, images, labels)
        stream = Stream(tables, batch_size=64, training=True, cache_mb=cache_mb)
        return list(make_dataset(stream).take(6).as_numpy_iterator())

    pixels, labels = digits()
    wanted = batches("bytes", pixels, labels)
    for name, form in FORMS.items():
        # The labels are in another form, too.
        found = batches(name, form(pixels), np.eye(10)[labels] if name == "wide" else labels)
        for (a, a_labels), (b, b_labels) in zip(wanted, found, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6, err_msg=name)
            np.testing.assert_array_equal(a_labels, b_labels, name)


@pytest.mark.parametrize("order", ["C", "F"])
def test_streaming_takes_no_more_memory_than_a_piece(tmp_path, order):
    # 600 MB of zeros, of which the disk has nothing.
    count = 50_000
    (tmp_path / "d").mkdir()
    np.lib.format.open_memmap(
        tmp_path / "d/x.npy", "w+", np.float32, (count, 32, 32, 3), fortran_order=order == "F"
    )
    np.save(tmp_path / "d/y.npy", np.arange(count) % 10)
    tracemalloc.start()
    try:
        tables = open_tables([str(tmp_path / "d")], split="train")
        stream = Stream(tables, batch_size=128, training=True, cache_mb=0, piece_examples=1024)
        chunks = stream.chunks()
        for _ in range(3):
            next(chunks)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # A piece is 12 MB; it is gathered into batches, whose rest is put before the next.
    assert peak < 100e6


def test_what_was_inferred_is_logged_once_for_each_split(tmp_path, caplog):
    pixels, labels = digits()
    caplog.set_level("INFO")
    for part in "train", "test":
        for i in range(2):
            np.save(tmp_path / f"{part}_x{i}.npy", pixels / 255)
            np.save(tmp_path / f"{part}_y{i}.npy", labels)
        open_tables([str(tmp_path)], split=part)
    text = "pixels are float64, taken as from 0 to 1 (else give --pixel-range LOW,HIGH)"
    assert caplog.messages == [f"--train: {text}", f"--test: {text}"]


def test_files_of_one_type_are_of_one_range_though_one_may_be_dark(tmp_path):
    pixels, labels = digits()
    for i, images in enumerate((pixels.astype("u2") * 257, np.full_like(pixels, 9, "u2"))):
        np.save(tmp_path / f"x{i}.npy", images)
        np.save(tmp_path / f"y{i}.npy", labels)
    bright, dark = open_tables([str(tmp_path)], split="train")
    assert bright.spec == dark.spec
    assert (dark.spec.dtype, dark.spec.high) == ("uint16", 65535)
    assert dark.read(0, 64)[0].max() == 9


@pytest.mark.tensorflow
def test_workers_of_a_parameter_server_read_arrays_of_one_order_only(tmp_path):
    from trainer.data.graph.dataset import graph_dataset

    pixels, labels = digits()
    plain = saved(tmp_path / "plain", pixels[..., None], np.eye(10)[labels])
    images, classes = next(iter(graph_dataset(plain, batch_size=COUNT, training=False)))
    np.testing.assert_allclose(images[..., 0], pixels / 255, atol=1e-6)
    np.testing.assert_array_equal(classes, labels)
    other = saved(tmp_path / "other", np.asfortranarray(pixels), labels)
    with pytest.raises(DataError) as caught:
        graph_dataset(other, batch_size=10, training=True)
    assert str(caught.value) == (
        f"{tmp_path}/other/x.npy with y.npy: npy data cannot be read by the workers of a parameter "
        "server, as TensorFlow has no operation for it; write it as TFRecord: trainer data create"
    )
    np.savez(tmp_path / "a.npz", x=pixels, y=labels)
    with pytest.raises(DataError, match="npz data cannot be read by the workers of a parameter"):
        tables = open_tables([str(tmp_path / "a.npz")], split="train")
        graph_dataset(tables, batch_size=10, training=True)
