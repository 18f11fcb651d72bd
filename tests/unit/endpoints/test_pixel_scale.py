"""Pixels of arrays and tables that are sent to a model which takes numbers from 0 to 1."""

import io

import numpy as np
import pytest

from trainer.config import DataError, UserError
from trainer.endpoints.prediction.files import InputFile
from trainer.endpoints.prediction.pieces import PieceLimits
from trainer.endpoints.prediction.pixel_scale import PixelScale
from trainer.endpoints.prediction.predict_options import PredictOptions

BYTES = PixelScale(low=0, high=255)


def bodies(data, kind, *, scale=BYTES, rows=9, heading=False):
    file = InputFile(source="-", kind=kind)
    pieces = file.pieces(
        PieceLimits(rows=rows, size=4096), skip=lambda row: False, skip_heading=heading,
        scale=scale, stdin=lambda: data,
    )  # fmt: skip
    return [piece.body for piece in pieces]


def npy(array):
    made = io.BytesIO()
    np.save(made, array)
    return made.getvalue()


def test_bytes_of_an_array_are_sent_as_numbers_from_0_to_1_in_requests_that_fit():
    array = np.arange(256, dtype="uint8").reshape(4, 8, 8)
    sent = [np.load(io.BytesIO(body)) for body in bodies(npy(array), "npy", rows=3)]
    assert [each.shape for each in sent] == [(3, 8, 8), (1, 8, 8)]
    assert sent[0].dtype == np.float32
    np.testing.assert_allclose(np.concatenate(sent), array / 255, atol=1e-7)


def test_values_of_a_csv_file_are_sent_on_the_same_scale():
    (body,) = bodies(b"p0,p1\n0,255\n\n51, 102\n", "csv", heading=True)
    assert body == b"0,1\n0.2,0.4\n"
    (body,) = bodies(b"-1,0\n", "csv", scale=PixelScale(low=-1, high=1))
    assert body == b"0,0.5\n"


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (b"p0,p1\n0,255\n", "csv", "row 0 has a value that is no number; --csv-heading leaves"),
        (b"0,1\n0,\n", "csv", "row 1 has a value that is no number$"),
        (b"[[0, 255]]", "json", "--pixel-range is for pictures, arrays and CSV files"),
        (npy(np.array(["a"])), "npy", "is of <U1, expected numbers"),
    ],
)
def test_values_that_have_no_place_on_a_scale_are_one_line(data, kind, words):
    with pytest.raises(DataError, match=words):
        bodies(data, kind)


def test_the_option_is_two_numbers_and_values_stay_without_it():
    assert PredictOptions(pixel_range="0,255").scale == BYTES
    assert PredictOptions().scale is None
    with pytest.raises(UserError, match="--pixel-range 255: expected LOW,HIGH"):
        PredictOptions(pixel_range="255")
    assert bodies(b"0,255\n", "csv", scale=None) == [b"0,255\n"]
