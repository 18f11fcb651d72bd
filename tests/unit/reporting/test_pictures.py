"""Pictures of a run are read from beside its metrics, and shown with a text for each."""

from __future__ import annotations

import json

import pytest

from trainer.config import UserError
from trainer.reporting import RunRecord, read_pictures, render_report

RECORD = RunRecord(model="cnn", steps=1, weights_crc32c=["00000001"])
PICTURE = {
    "png": "iVBORw0=", "true": "3", "predicted": "5", "confidence": 0.98, "loss": 4.25,
    "example": 17, "file": "<b>.idx",
}  # fmt: skip
PICTURES = {"weights_crc32c": ["00000001"], "worst": [PICTURE], "uncertain": [PICTURE]}


def write(folder, value: object) -> None:
    (folder / "pictures.json").write_text(value if isinstance(value, str) else json.dumps(value))


def test_a_page_shows_pictures_with_true_and_found_class(tmp_path):
    write(tmp_path, PICTURES)
    page = render_report(RECORD, pictures=read_pictures(str(tmp_path), RECORD))
    assert page.count('<img src="data:image/png;base64,iVBORw0="') == 2
    text = "Example 17 of &lt;b&gt;.idx: true 3, found 5, 98.0\u00a0% sure, loss 4.25"
    assert page.count(f'alt="{text}"') == 2
    assert ">Worst examples<" in page and ">Least certain<" in page


def test_a_run_without_pictures_and_one_with_those_of_an_earlier_run_show_none(tmp_path):
    assert read_pictures(str(tmp_path), RECORD).worst == []
    write(tmp_path, {**PICTURES, "weights_crc32c": ["00000002"]})
    assert read_pictures(str(tmp_path), RECORD).worst == []


@pytest.mark.parametrize(
    "text",
    [
        '{"worst": [',
        "[]",
        '{"worst": [{"png": 1}]}',
        json.dumps({"worst": [{**PICTURE, "png": '" onerror="alert(1)'}]}),
    ],
)
def test_damaged_pictures_are_one_line(tmp_path, text: str):
    write(tmp_path, text)
    with pytest.raises(UserError, match=r"pictures\.json: it is damaged") as caught:
        read_pictures(str(tmp_path), RECORD)
    assert "\n" not in str(caught.value)
