"""Records of every form, read by a graph, against our own reader; what no graph can read."""

import json

import numpy as np
import pytest
from PIL import Image
from record_files import encoded, message, write

from trainer.config.errors import DataError
from trainer.data.formats.read_options import ReadOptions
from trainer.data.formats.tfrecord import FORMAT
from trainer.data.stream import Stream

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (90, 20, 24, 3), np.uint8)
NAMES = ("ant", "bee", "cat")

READ = {
    "png": lambda x, y: {"image": encoded(x), "label": y},
    "grey png": lambda x, y: {"image": encoded(x[..., :1]), "label": y},
    "jpeg": lambda x, y: {"image/encoded": encoded(x, "JPEG"), "image/class/label": y},
    "webp": lambda x, y: {"image": encoded(x, "WEBP", lossless=True), "label": y},
    "webp with alpha, png": lambda x, y: {
        "image": encoded(np.dstack([x, x[..., :1] | 1]), "WEBP", lossless=True, exact=True)
        if y else encoded(x), "label": y,
    },
    "lossy webp": lambda x, y: {"image": encoded(x, "WEBP", quality=80), "label": y},
    "bytes": lambda x, y: {"x": x.tobytes(), "y": y, "rows": 20, "cols": 24},
    "uint16": lambda x, y: {
        "image": (x * np.uint16(257)).tobytes(), "label": y, "height": 20, "width": 24
    },
    "int64 bytes": lambda x, y: {
        "image": x.astype(np.int64).tobytes(), "label": y, "height": 20, "width": 24
    },
    "floats": lambda x, y: {
        "image": (x.ravel() / 255).tolist(), "label": y, "height": 20, "width": 24
    },
    "channels first": lambda x, y: {
        "image": x.transpose(2, 0, 1).tobytes(), "label": y, "shape": [3, 20, 24]
    },
    "alpha": lambda x, y: {
        "image": np.dstack([x, x[..., :1]]).tobytes(), "label": y, "shape": [20, 24, 4]
    },
    "integers": lambda x, y: {"image": x.ravel().tolist(), "label": y, "height": 20, "width": 24},
    "whole floats": lambda x, y: {"image": encoded(x), "label": float(y)},
    "digits": lambda x, y: {"image": encoded(x), "label": b"%d" % y},
    "names": lambda x, y: {"image": encoded(x), "label": NAMES[y]},
}  # fmt: skip


@pytest.fixture(scope="module")
def datasets():
    from trainer.data.graph.dataset import graph_dataset
    from trainer.data.pipeline import make_dataset

    def both(tables):
        stream = Stream(tables, batch_size=32, training=False)
        graph = graph_dataset(tables, batch_size=32, training=False)
        return [
            list(map(np.concatenate, zip(*((x.numpy(), y.numpy()) for x, y in found), strict=True)))
            for found in (graph, make_dataset(stream))
        ]

    return both


def tables_of(path, make, *, count=90, **options):
    messages = [message(make(x, i % 3)) for i, x in enumerate(IMAGES[:count])]
    return FORMAT.open_all([(write(path, messages), None)], ReadOptions(**options))


@pytest.mark.parametrize("name", READ)
def test_a_graph_gives_what_our_own_reader_gives(datasets, tmp_path, name):
    (images, labels), (ours, numbers) = datasets(tables_of(tmp_path / "a", READ[name]))
    np.testing.assert_array_equal(labels, numbers)
    # Decoders of JPEG may round in another way.
    np.testing.assert_allclose(images, ours, atol=8 / 255 if name == "jpeg" else 1e-6)


def test_a_graph_resizes_pictures_nearly_as_our_own_reader_does(datasets, tmp_path):
    found = datasets(tables_of(tmp_path / "a", READ["png"], image_size=(10, 12)))
    assert found[0][0].shape == (90, 10, 12, 3)
    np.testing.assert_allclose(found[0][0], found[1][0], atol=2 / 255)


GREY = {
    "type": "tensorflow_datasets.core.features.features_dict.FeaturesDict",
    "content": {
        "image": {
            "type": "...image_feature.Image",
            "content": {"shape": {"dimensions": ["20", "24", "1"]}},
        },
        "label": {"type": "...class_label_feature.ClassLabel", "content": {"numClasses": "3"}},
    },
}
REFUSED = {
    "labels are lists": lambda x, y: {"image": encoded(x), "label": [float(y == 0), float(y > 0)]},
}  # fmt: skip


@pytest.mark.parametrize("problem", REFUSED)
def test_what_no_graph_can_read_is_refused(datasets, tmp_path, problem):
    with pytest.raises(DataError, match=problem):
        datasets(tables_of(tmp_path / "a", REFUSED[problem], count=3))


def test_webp_of_a_set_described_as_grey_is_refused(datasets, tmp_path):
    (tmp_path / "features.json").write_text(json.dumps(GREY))
    with pytest.raises(DataError, match="grey WebP"):
        datasets(tables_of(tmp_path / "a", READ["webp"], count=3))


def test_pictures_that_are_turned_are_refused(datasets, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    make = lambda x, y: {"image": encoded(x, "JPEG", exif=exif), "label": y}  # noqa: E731
    with pytest.raises(DataError, match="turned by their Exif data; write them anew"):
        datasets(tables_of(tmp_path / "a", make, count=3))


def test_sequences_are_refused(datasets, tmp_path):
    path = write(tmp_path / "a", [message({"label": 1}, {"image": [encoded(IMAGES[0])]})])
    with pytest.raises(DataError, match="SequenceExamples"):
        datasets(FORMAT.open_all([(path, None)], ReadOptions()))
