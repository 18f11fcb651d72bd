"""JPEGs by libjpeg-turbo directly: the same pixels as Pillow's, with simplejpeg and without."""

import hashlib
import io
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

from trainer.data.formats.jpeg import turbo_pixels
from trainer.data.formats.picture_header import open_picture
from trainer.data.formats.pictures import decode


def photo(seed, height, width, mode="RGB", **options):
    """A JPEG of smooth shapes and noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 9 + 1, width // 9 + 1, 3), np.uint8)
    shapes = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    pixels = np.asarray(shapes) + rng.integers(-9, 10, (height, width, 3))
    file = io.BytesIO()
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).convert(mode)
    image.save(file, "JPEG", **options)
    return file.getvalue()


@settings(deadline=None, max_examples=150)
@given(
    seed=st.integers(0, 1 << 32),
    height=st.integers(8, 400),
    width=st.integers(8, 400),
    mode=st.sampled_from(["RGB", "L"]),
    channels=st.sampled_from([1, 3]),
    wanted=st.none() | st.tuples(st.integers(4, 200), st.integers(4, 200)),
    progressive=st.booleans(),
    subsampling=st.sampled_from([0, 1, 2]),
)
def test_pixels_are_those_that_pillow_decodes(
    seed, height, width, mode, channels, wanted, progressive, subsampling
):
    pytest.importorskip("simplejpeg")
    data = photo(seed, height, width, mode, progressive=progressive, subsampling=subsampling)
    size = wanted[::-1] if wanted else (width, height)
    image = open_picture(data)[1]
    image.draft("L" if channels == 1 else "RGB", size)
    found = turbo_pixels(data, image, full=(width, height), channels=channels)
    pillows = image.convert("L" if channels == 1 else "RGB")
    if found is None:
        assert image.size != (width, height)
        assert min(width, height) < 64
    else:
        np.testing.assert_array_equal(
            found, np.asarray(pillows).reshape(*pillows.size[::-1], channels)
        )


DIGEST = """
import hashlib, pathlib, sys
if sys.argv[2] == "without":
    sys.modules["simplejpeg"] = None
from trainer.data.formats.pictures import decode
digest = hashlib.sha256()
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    for channels in 1, 3:
        for size in None, (60, 50), (30, 31), (224, 224):
            digest.update(decode(path.read_bytes(), channels=channels, size=size))
print(digest.hexdigest())
"""


def test_a_host_without_simplejpeg_trains_on_the_same_pixels(tmp_path):
    for i, (height, width) in enumerate([(375, 500), (120, 100), (100, 120), (64, 64), (33, 500)]):
        (tmp_path / f"{i}.jpg").write_bytes(photo(i, height, width))
    turned = Image.Exif()
    turned[0x0112] = 6
    (tmp_path / "turned.jpg").write_bytes(photo(9, 150, 100, exif=turned))
    (tmp_path / "cmyk.jpg").write_bytes(photo(9, 150, 100, "CMYK"))
    digests = {
        subprocess.run(
            [sys.executable, "-c", DIGEST, str(tmp_path), how],
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        ).stdout
        for how in ("with", "without")
    }
    assert len(digests) == 1
    assert len(digests.pop().strip()) == hashlib.sha256().digest_size * 2


def test_what_is_returned_is_not_overwritten_by_the_next_picture():
    first, second = photo(1, 80, 90), photo(2, 80, 90)
    found = decode(first, channels=3)
    kept = found.copy()
    decode(second, channels=3)
    np.testing.assert_array_equal(found, kept)


def test_a_large_picture_is_decoded_too():
    data = photo(3, 1300, 1400)
    found = decode(data, channels=3)
    np.testing.assert_array_equal(found, np.asarray(Image.open(io.BytesIO(data))))
