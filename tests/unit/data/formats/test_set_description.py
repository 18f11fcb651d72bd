"""Files beside records: descriptions of TFDS, old and new, names of slim, and what is neither."""

import json

import pytest

from trainer.data.formats.set_description import (
    NOTHING,
    SetDescription,
    is_description,
    read_description,
)

NEW = {
    "pythonClassName": "tensorflow_datasets.core.features.features_dict.FeaturesDict",
    "featuresDict": {
        "features": {
            "id": {"pythonClassName": "tensorflow_datasets.core.features.text_feature.Text"},
            "image": {
                "pythonClassName": "tensorflow_datasets.core.features.image_feature.Image",
                "image": {"shape": {"dimensions": ["32", "-1", "3"]}, "encodingFormat": "png"},
            },
            "coarse_label": {"pythonClassName": "features.ClassLabel", "classLabel": {}},
            "label": {"pythonClassName": "features.ClassLabel", "classLabel": {}},
        }
    },
}
OLD = {
    "type": "tensorflow_datasets.core.features.features_dict.FeaturesDict",
    "content": {
        "picture": {
            "type": "tensorflow_datasets.core.features.image_feature.Image",
            "content": {"shape": [28, None, 1], "dtype": "uint8"},
        },
        "kind": {"type": "features.ClassLabel", "content": {"num_classes": 10}},
    },
}


def test_features_of_tfds_tell_names_and_shape(tmp_path):
    (tmp_path / "features.json").write_text(json.dumps(NEW))
    (tmp_path / "label.labels.txt").write_text("apple\npear tree\n")
    (tmp_path / "coarse_label.labels.txt").write_text("fruit\n")
    assert read_description(tmp_path) == SetDescription(
        "image", "label", (32, None, 3), ("apple", "pear tree")
    )


def test_features_of_older_versions_are_read(tmp_path):
    (tmp_path / "features.json").write_text(json.dumps(OLD))
    assert read_description(tmp_path) == SetDescription("picture", "kind", (28, None, 1))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("0:zero\n1:one\n", ("zero", "one")),
        ("1:one\n0:zero", ("zero", "one")),
        ("0:a:b\n", ("a:b",)),
        ("1:one\n2:two\n", ()),
        ("zero\none\n", ()),
        ("0:a\n0:b\n", ()),
        ("", ()),
    ],
)
def test_names_of_slim_go_with_each_number_from_0_on(tmp_path, text, names):
    (tmp_path / "labels.txt").write_text(text)
    assert read_description(tmp_path).class_names == names


@pytest.mark.parametrize("raw", [b"\xff\xfe", b"[" * 100_000, b"7", b'{"featuresDict": []}'])
def test_what_is_no_description_describes_nothing(tmp_path, raw):
    (tmp_path / "features.json").write_bytes(raw)
    (tmp_path / "label.labels.txt").write_bytes(b"\xff")
    assert read_description(tmp_path) == NOTHING
    assert read_description(tmp_path / "nowhere") == NOTHING


def test_descriptions_are_known_by_their_names():
    names = ["features.json", "label.labels.txt", "a/b/labels.txt", "classes.txt"]
    assert all(map(is_description, names))
    assert not any(map(is_description, ["a.tfrecord", "readme.txt", "dataset_info.json"]))
