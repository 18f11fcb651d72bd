"""`trainer data inspect`, `create` and `split` on data that does not say all about itself."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainer.cli import command_line


@pytest.fixture
def photos(tmp_path) -> Path:
    """A folder of photos of several sizes, by class."""
    for number, name in enumerate(("cat", "dog")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for side in (8, 12, 16, 20):
            picture = Image.new("RGB", (side, side), (100 * number, 50, 50))
            picture.save(tmp_path / "photos" / name / f"{side}.png")
    return tmp_path / "photos"


def facts(capsys, *argv: str) -> list[dict]:
    assert command_line.main(["data", "inspect", "--json", *argv]) == 0
    return json.loads(capsys.readouterr().out)["splits"]


def test_photos_of_several_sizes_are_looked_at_in_one(photos, capsys):
    assert command_line.main(["data", "inspect", str(photos)]) == 2
    assert "resize them all: --image-size H,W" in capsys.readouterr().err
    (found,) = facts(capsys, str(photos), "--image-size", "10,12")
    assert (found["shape"], found["examples"]) == ([10, 12, 3], 8)


@pytest.mark.parametrize(
    ("verb", "parts"), [(["create", "--source"], ["train"]), (["split"], ["train", "test"])]
)
def test_they_are_written_in_one_size(photos, capsys, tmp_path, verb, parts):
    share = ["--test", "0.25"] if verb == ["split"] else []
    out = str(tmp_path / "out")
    argv = ["data", *verb, str(photos), "--out", out, "--image-size", "6,6", *share]
    assert command_line.main(argv) == 0
    capsys.readouterr()
    found = facts(capsys, out)
    assert {each["split"]: each["shape"] for each in found} == {part: [6, 6, 3] for part in parts}
    # Files of another size are other files: nothing of the first is kept.
    argv[argv.index("6,6")] = "8,8"
    assert command_line.main(argv) == 0
    capsys.readouterr()
    assert {tuple(each["shape"]) for each in facts(capsys, out)} == {(8, 8, 3)}


def test_features_and_the_range_of_pixels_are_named(tmp_path, capsys):
    arrays = {"seen": np.full((4, 5, 5), 50, "uint8"), "kind": np.arange(4), "more": np.arange(4)}
    np.savez(tmp_path / "a.npz", **arrays)
    (found,) = facts(
        capsys, str(tmp_path / "a.npz"), "--feature", "image=seen", "label=kind",
        "--pixel-range", "0,100",
    )  # fmt: skip
    assert (found["shape"], found["pixel_range"]) == ([5, 5, 1], [0.0, 100.0])
    argv = ["data", "inspect", str(tmp_path), "--feature", "image"]
    assert command_line.main(argv) == 2
    assert "--feature image: expected NAME=NAME" in capsys.readouterr().err
